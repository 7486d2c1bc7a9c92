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

// in: q, v; out: out, S, W, landmarks, X.
template <class Real>
static void all_soft(const Sizes& sizes, const Windows& windows, int64_t steps, double ridge,
                     const Operand* in, const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  const int M = int(sizes.landmarks), D = int(sizes.width);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, SoftRoom>(sizes, scratch, thread);
    Real* landmark_MD = matrix_of<Real>(out[3], index, sizes);
    pooled<Real>(rows_of<const Real>(in[0], index, sizes), windows, sizes.scale, D, landmark_MD);
    landmark_inverse<Real>(landmark_MD, M, D, room.inverse, steps, ridge,
                           matrix_of<Real>(out[4], index, sizes),
                           ahead<Real>(in[1], index, sizes, 1 << 19).template share<2>(0, 1, 1));
    forward<Real>(head_of<Real>(sizes, in[0], in[1], out[3], out[4], index), room.tokens,
                  output_of<Real>(out[0], index, sizes), matrix_of<Real>(out[1], index, sizes),
                  matrix_of<Real>(out[2], index, sizes),
                  ahead<Real>(in[0], index + sizes.threads, sizes, 1 << 20));
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
    const Head<Real> head = head_of<Real>(sizes, in[0], in[1], in[2], in[3], index);
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
