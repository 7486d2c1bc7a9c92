// SOFT's X of one head: the Gaussian kernel of its landmarks, inverted by Newton's steps.
//
// A_ij = exp(-½ ‖L_i - L_j‖²) (Lu et al., SOFT, arXiv 2110.11945, eq. 9). The gradient of X is taken
// for that of an inverse, dA = -Xᵀ dX Xᵀ; with H = (dA + dAᵀ) ∘ A, dL_i = Σ_j H_ij (L_j - L_i).
#pragma once

#include "gaussian.hpp"
#include "newton.hpp"

template <class Real>
struct InverseRoom {
  Room<Real> landmarks;  // their kernel is that of tokens which are the landmarks
  NewtonRoom<Real> steps;
  InverseRoom(Scratch<Real>& scratch, int, int M, int D)
      : landmarks(scratch, M, M, D), steps(scratch, Cut<Real>(M)) {}
};

template <class Real>
struct InverseBackwardRoom {
  Room<Real> landmarks;
  Real *xt, *h, *y, *a;
  InverseBackwardRoom(Scratch<Real>& scratch, int, int M, int D) : landmarks(scratch, M, M, D) {
    for (Real** one : {&xt, &h, &y, &a}) *one = scratch.take(ptrdiff_t(M) * Cut<Real>(M).step);
  }
};

// A, its rows `step` apart and filled up by zeros.
template <class Real>
static void landmark_kernel(const Real* l_MD, int M, int D, Room<Real>& room, Real* a, int step) {
  using L = Lanes<Real>;
  const Head<Real> head{M, M, D, {l_MD, D}, {l_MD, D}, l_MD, nullptr, 1.0};
  prepare(head, room);
  for (int first = 0; first < M; first += L::tile) {
    const Real* p_MT = kernel_tile(head, room, first);
    for (int j = 0; j < M; ++j)
      std::copy_n(p_MT + ptrdiff_t(j) * L::tile, held<Real>(M, first),
                  a + ptrdiff_t(j) * step + first);
  }
  for (int j = 0; j < M; ++j) std::fill(a + ptrdiff_t(j) * step + M, a + ptrdiff_t(j + 1) * step, 0);
}

// X; meanwhile the lines of `soon` are brought to the second cache: nothing else asks for memory.
template <class Real>
static void landmark_inverse(const Real* l_MD, int M, int D, InverseRoom<Real>& room, int64_t steps,
                             double ridge, Real* x_MM, Fetch<0, 2> soon) {
  const Cut<Real> cut(M);
  landmark_kernel(l_MD, M, D, room.landmarks, room.steps.r, cut.step);
  std::fill(room.steps.r + ptrdiff_t(M) * cut.step, room.steps.r + cut.size(), 0);
  newton(cut, room.steps, steps, ridge, x_MM, [&]() INLINED { soon.one(); });
}

// x or xᵀ [M, M] to `wide`, its rows filled up to `step` by zeros.
template <class Real>
static void fill(const Real* x_MM, int M, int step, bool turned, Real* wide) {
  std::fill(wide, wide + ptrdiff_t(M) * step, 0);
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < M; ++j)
      wide[ptrdiff_t(turned ? j : i) * step + (turned ? i : j)] = x_MM[ptrdiff_t(i) * M + j];
}

// x + xᵀ in place of x [M, step].
template <class Real>
static void add_transpose(Real* x, int M, int step) {
  for (int i = 0; i < M; ++i)
    for (int j = 0; j <= i; ++j) {
      Real &one = x[ptrdiff_t(i) * step + j], &other = x[ptrdiff_t(j) * step + i];
      one = other = one + other;
    }
}

// dL, given X, symmetric but for rounding, and its gradient.
template <class Real>
static void landmark_inverse_backward(const Real* l_MD, const Real* x_MM, const Real* dx_MM, int M,
                                      int D, InverseBackwardRoom<Real>& room, Real* dl_MD) {
  using L = Lanes<Real>;
  const int step = Cut<Real>(M).step;
  fill(x_MM, M, step, true, room.xt);
  fill(dx_MM, M, step, false, room.h);
  landmark_kernel(l_MD, M, D, room.landmarks, room.a, step);
  mixed<Real>({room.xt, step, 1}, {room.h, step}, M, step, room.y);
  mixed<Real>({room.y, step, 1}, {room.xt, step}, M, step, room.h);
  add_transpose(room.h, M, step);
  for (int i = 0; i < M; ++i) {
    typename L::Vector total{};
    for (int j = 0; j < step; j += L::count) {
      Real* at = room.h + ptrdiff_t(i) * step + j;
      const auto one = -L::load(at) * L::load(room.a + ptrdiff_t(i) * step + j);
      L::store(at, one);
      total += one;
    }
    room.h[ptrdiff_t(i) * (step + 1)] -= L::total(total);
  }
  mixed<Real>({room.h, step, 1}, {l_MD, D}, M, D, dl_MD);
}
