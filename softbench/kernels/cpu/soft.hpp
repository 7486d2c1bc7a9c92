// All of SOFT, head by head: what one step leaves in the caches the next finds there.
#pragma once

#include "steps.hpp"

// One step is over when the next begins, so that both are given the same place.
template <class Real>
struct SoftRoom {
  Scratch<Real> before;
  InverseRoom<Real> inverse;
  Room<Real> tokens;
  SoftRoom(Scratch<Real>& scratch, int N, int M, int D)
      : before(scratch), inverse(before, N, M, D), tokens(scratch, N, M, D) {
    scratch.after(before);
  }
};

// What the backward pass is given: S, W, landmarks and X of one head.
template <class Real>
struct Kept {
  Real *s_MD, *w_MD, *landmark_MD, *inverse_MM;
};

// Without one they are of the head in hand only.
template <class Real>
struct SoftAloneRoom {
  Kept<Real> kept;
  SoftRoom<Real> steps;
  SoftAloneRoom(Scratch<Real>& scratch, int N, int M, int D)
      : kept{scratch.take(ptrdiff_t(M) * D), scratch.take(ptrdiff_t(M) * D),
             scratch.take(ptrdiff_t(M) * D), scratch.take(ptrdiff_t(M) * M)},
        steps(scratch, N, M, D) {}
};

template <class Real>
struct SoftBackwardRoom {
  Real *dl, *through_x, *dx;
  Scratch<Real> before;
  BackwardRoom<Real> tokens;
  InverseBackwardRoom<Real> inverse;
  SoftBackwardRoom(Scratch<Real>& scratch, int N, int M, int D)
      : dl(scratch.take(ptrdiff_t(M) * D)),
        through_x(scratch.take(ptrdiff_t(M) * D)),
        dx(scratch.take(ptrdiff_t(M) * M)),
        before(scratch),
        tokens(before, N, M, D),
        inverse(scratch, N, M, D) {
    scratch.after(before);
  }
};

// Tokens of head `index` that are worth fetching ahead, `most` bytes: what there is time for, and
// what leaves room in the second cache.
template <class Real>
static Next<Real> ahead(const Operand& x, int64_t index, const Sizes& sizes, int64_t most) {
  if (index >= sizes.batch * sizes.heads) return {};
  const int64_t fitting = most / (sizes.width * int64_t(sizeof(Real)));
  const int count = int(fitting < sizes.tokens ? fitting : sizes.tokens);
  return {rows_of<const Real>(x, index, sizes), count, int(sizes.width)};
}

// Out of one head; S, W, landmarks and X stay in `kept`.
template <class Real>
static void soft_head(const Sizes& sizes, const Windows& windows, int64_t steps, double ridge,
                      const Operand* in, const Operand& out, int64_t index, SoftRoom<Real>& room,
                      Kept<Real> kept) {
  const int M = int(sizes.landmarks), D = int(sizes.width);
  pooled<Real>(rows_of<const Real>(in[0], index, sizes), windows, sizes.scale, D, kept.landmark_MD);
  landmark_inverse<Real>(kept.landmark_MD, M, D, room.inverse, steps, ridge, kept.inverse_MM,
                         ahead<Real>(in[1], index, sizes, 1 << 19).template share<2>(0, 1, 1));
  forward<Real>(head_of<Real>(sizes, in[0], in[1], kept.landmark_MD, kept.inverse_MM, index),
                room.tokens, output_of<Real>(out, index, sizes), kept.s_MD, kept.w_MD,
                ahead<Real>(in[0], index + sizes.threads, sizes, 1 << 20));
}

// in: q, v; out: out, S, W, landmarks, X.
template <class Real>
static void all_soft(const Sizes& sizes, const Windows& windows, int64_t steps, double ridge,
                     const Operand* in, const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, SoftRoom>(sizes, scratch, thread);
    const auto kept = [&](int one) { return matrix_of<Real>(out[one], index, sizes); };
    soft_head<Real>(sizes, windows, steps, ridge, in, out[0], index, room,
                    {kept(1), kept(2), kept(3), kept(4)});
  });
}

// That without a gradient to come. in: q, v; out: out.
template <class Real>
static void all_soft_alone(const Sizes& sizes, const Windows& windows, int64_t steps, double ridge,
                           const Operand* in, const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, SoftAloneRoom>(sizes, scratch, thread);
    soft_head<Real>(sizes, windows, steps, ridge, in, out[0], index, room.steps, room.kept);
  });
}

// in: q, v, landmarks, X, dO, S, W; out: dq, dv.
template <class Real>
static void all_soft_gradients(const Sizes& sizes, const Windows& windows, const Operand* in,
                               const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  in_large_pages<Real>(out[1], sizes);
  const int M = int(sizes.landmarks), D = int(sizes.width);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, SoftBackwardRoom>(sizes, scratch, thread);
    const Real* landmark_MD = matrix_of<const Real>(in[2], index, sizes);
    const Real* inverse_MM = matrix_of<const Real>(in[3], index, sizes);
    const Head<Real> head = head_of<Real>(sizes, in[0], in[1], landmark_MD, inverse_MM, index);
    const Rows<Real> dq = output_of<Real>(out[0], index, sizes);
    backward<Real>(head, room.tokens, rows_of<const Real>(in[4], index, sizes),
                   matrix_of<const Real>(in[5], index, sizes),
                   matrix_of<const Real>(in[6], index, sizes),
                   {dq, output_of<Real>(out[1], index, sizes), room.dl, room.dx});
    landmark_inverse_backward<Real>(head.landmark_MD, head.inverse_MM, room.dx, M, D, room.inverse,
                                    room.through_x);
    add_scaled(room.through_x, Real(1), M * D, room.dl);
    add_pooled_gradient<Real>(room.dl, windows, sizes.scale, D, dq);
  });
}
