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

// X; meanwhile the lines of `soon`, then those of `later` are brought to the second cache: nothing
// else asks for memory here.
template <class Real>
static void landmark_inverse(const Real* l_MD, int M, int D, int64_t steps, double ridge, Real* x_MM,
                             Fetch<0, 2> soon, Fetch<0, 2> later) {
  std::vector<Real> a(size_t(M) * M);
  landmark_kernel(l_MD, M, D, a.data(), M);
  newton(a.data(), M, steps, ridge, x_MM, [&]() INLINED {
    if (soon.left > 0) return soon.one();
    later.one();
  });
}

// x or xᵀ, its rows filled up to `step` by zeros.
template <class Real>
static std::vector<Real> filled(const Real* x_MM, int M, int step, bool turned) {
  std::vector<Real> wide(size_t(M) * step);
  for (int i = 0; i < M; ++i)
    for (int j = 0; j < M; ++j)
      wide[ptrdiff_t(turned ? j : i) * step + (turned ? i : j)] = x_MM[ptrdiff_t(i) * M + j];
  return wide;
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
                                      int D, Real* dl_MD) {
  using L = Lanes<Real>;
  const int step = Cut<Real>(M).step;
  const std::vector<Real> xt = filled(x_MM, M, step, true);
  std::vector<Real> h = filled(dx_MM, M, step, false), y(h.size()), a(h.size());
  landmark_kernel(l_MD, M, D, a.data(), step);
  mixed<Real>({xt.data(), step, 1}, {h.data(), step}, M, step, y.data());
  mixed<Real>({y.data(), step, 1}, {xt.data(), step}, M, step, h.data());
  add_transpose(h.data(), M, step);
  for (int i = 0; i < M; ++i) {
    typename L::Vector total{};
    for (int j = 0; j < step; j += L::count) {
      Real* at = h.data() + ptrdiff_t(i) * step + j;
      const auto one = -L::load(at) * L::load(a.data() + ptrdiff_t(i) * step + j);
      L::store(at, one);
      total += one;
    }
    h[ptrdiff_t(i) * (step + 1)] -= L::total(total);
  }
  mixed<Real>({h.data(), step, 1}, {l_MD, D}, M, D, dl_MD);
}
