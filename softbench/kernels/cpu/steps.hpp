// Single steps of SOFT for all heads of a batch: low-rank attention, landmarks, their inverse.
#pragma once

#include "landmarks.hpp"
#include "low_rank.hpp"
#include "low_rank_backward.hpp"
#include "threads.hpp"
#include "windows.hpp"

// in: q, v, landmarks, inverse; out: out, S, W.
template <class Real>
static void all_forward(const Sizes& sizes, const Operand* in, const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, Room>(sizes, scratch, thread);
    const Real* landmark_MD = matrix_of<const Real>(in[2], index, sizes);
    const Real* inverse_MM = matrix_of<const Real>(in[3], index, sizes);
    forward<Real>(head_of<Real>(sizes, in[0], in[1], landmark_MD, inverse_MM, index), room,
                  output_of<Real>(out[0], index, sizes), matrix_of<Real>(out[1], index, sizes),
                  matrix_of<Real>(out[2], index, sizes));
  });
}

// in: q, v, landmarks, inverse, dO, S, W; out: dq, dv, d landmarks, d inverse.
template <class Real>
static void all_backward(const Sizes& sizes, const Operand* in, const Operand* out, void* scratch) {
  in_large_pages<Real>(out[0], sizes);
  in_large_pages<Real>(out[1], sizes);
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, BackwardRoom>(sizes, scratch, thread);
    const Real* landmark_MD = matrix_of<const Real>(in[2], index, sizes);
    const Real* inverse_MM = matrix_of<const Real>(in[3], index, sizes);
    backward<Real>(head_of<Real>(sizes, in[0], in[1], landmark_MD, inverse_MM, index), room,
                   rows_of<const Real>(in[4], index, sizes),
                   matrix_of<const Real>(in[5], index, sizes),
                   matrix_of<const Real>(in[6], index, sizes),
                   {output_of<Real>(out[0], index, sizes), output_of<Real>(out[1], index, sizes),
                    matrix_of<Real>(out[2], index, sizes), matrix_of<Real>(out[3], index, sizes)});
  });
}

// x: q and landmarks of every head.
template <class Real>
static void all_pooled(const Sizes& sizes, const Windows& windows, const Operand* x) {
  for_heads(sizes, [&](int64_t, int64_t index) {
    pooled<Real>(rows_of<const Real>(x[0], index, sizes), windows, sizes.scale, int(sizes.width),
                 matrix_of<Real>(x[1], index, sizes));
  });
}

// x: d landmarks and dq of every head.
template <class Real>
static void all_pooled_gradients(const Sizes& sizes, const Windows& windows, const Operand* x) {
  for_heads(sizes, [&](int64_t, int64_t index) {
    add_pooled_gradient<Real>(matrix_of<const Real>(x[0], index, sizes), windows, sizes.scale,
                              int(sizes.width), rows_of<Real>(x[1], index, sizes));
  });
}

// x: landmarks and X of every head.
template <class Real>
static void all_inverses(const Sizes& sizes, int64_t steps, double ridge, const Operand* x,
                         void* scratch) {
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, InverseRoom>(sizes, scratch, thread);
    landmark_inverse<Real>(matrix_of<const Real>(x[0], index, sizes), int(sizes.landmarks),
                           int(sizes.width), room, steps, ridge,
                           matrix_of<Real>(x[1], index, sizes), {});
  });
}

// x: landmarks, X, dX and d landmarks of every head.
template <class Real>
static void all_inverse_gradients(const Sizes& sizes, const Operand* x, void* scratch) {
  for_heads(sizes, [&](int64_t thread, int64_t index) {
    auto room = room_of<Real, InverseBackwardRoom>(sizes, scratch, thread);
    landmark_inverse_backward<Real>(
        matrix_of<const Real>(x[0], index, sizes), matrix_of<const Real>(x[1], index, sizes),
        matrix_of<const Real>(x[2], index, sizes), int(sizes.landmarks), int(sizes.width), room,
        matrix_of<Real>(x[3], index, sizes));
  });
}
