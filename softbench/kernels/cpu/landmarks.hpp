// SOFT's X of one head: the Gaussian kernel of its landmarks, inverted by Newton's steps.
//
// A_ij = exp(-½ ‖L_i - L_j‖²) (Lu et al., SOFT, arXiv 2110.11945, eq. 9). The gradient of X is taken
// for that of an inverse, dA = -Xᵀ dX Xᵀ; with H = (dA + dAᵀ) ∘ A, dL_i = Σ_j H_ij (L_j - L_i).
#pragma once

#include "low_rank.hpp"
#include "newton.hpp"

// A, its rows filled up to `step`; columns beyond M are left as they are.
template <class Real>
static void landmark_kernel(const Real* l_MD, int M, int D, Real* a_MM, int step) {
  using L = Lanes<Real>;
  std::vector<Real> kernel(size_t(Room<Real>::tiles(M)) * L::tile * M);
  Room<Real> room(kernel.data(), M, D);
  const Head<Real> head{M, M, D, {l_MD, D}, {l_MD, D}, l_MD, nullptr, 1.0};
  prepare(head, room);
  for (int first = 0; first < M; first += L::tile) {
    const Real* p_MT = kernel_tile(head, room, first);
    for (int j = 0; j < M; ++j)
      std::copy_n(p_MT + ptrdiff_t(j) * L::tile, held<Real>(M, first),
                  a_MM + ptrdiff_t(j) * step + first);
  }
}

template <class Real>
static void landmark_inverse(const Real* l_MD, int M, int D, int64_t steps, double ridge,
                             Real* x_MM) {
  std::vector<Real> a(size_t(M) * M);
  landmark_kernel(l_MD, M, D, a.data(), M);
  newton(a.data(), M, steps, ridge, x_MM);
}

// [M, M] with its rows filled up to `step` by zeros.
template <class Real>
static std::vector<Real> filled(const Real* x_MM, int M, int step) {
  std::vector<Real> wide(size_t(M) * step);
  for (int i = 0; i < M; ++i) std::copy_n(x_MM + ptrdiff_t(i) * M, M, wide.data() + ptrdiff_t(i) * step);
  return wide;
}

// dL, given X and its gradient.
template <class Real>
static void landmark_inverse_backward(const Real* l_MD, const Real* x_MM, const Real* dx_MM, int M,
                                      int D, Real* dl_MD) {
  const int step = Cut<Real>(M).step;
  std::vector<Real> x = filled(x_MM, M, step), dx = filled(dx_MM, M, step), y(x.size());
  std::vector<Real> a(x.size());
  landmark_kernel(l_MD, M, D, a.data(), step);
  mixed<Real>({x.data(), 1, step}, {dx.data(), step}, M, step, y.data());
  // X is symmetric, which its transpose need not be told.
  mixed<Real>({y.data(), step, 1}, {x.data(), step}, M, step, dx.data());
  for (int i = 0; i < M; ++i) {
    Real total = 0;
    for (int j = 0; j < M; ++j) {
      const Real one = -(dx[ptrdiff_t(i) * step + j] + dx[ptrdiff_t(j) * step + i]);
      total += y[ptrdiff_t(i) * step + j] = one * a[ptrdiff_t(i) * step + j];
    }
    y[ptrdiff_t(i) * (step + 1)] -= total;
  }
  mixed<Real>({y.data(), step, 1}, {l_MD, D}, M, D, dl_MD);
}
