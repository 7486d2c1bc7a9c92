// SOFT's Newton iteration for one matrix: X <- 2 X - X R X, R = A + ridge I, X_0 = alpha R.
//
// Lu et al., SOFT, arXiv 2110.11945, Algorithm 2; alpha = 0.9 · 2 / (largest row sum of A)².
// Matrices are kept with their rows filled up to whole vectors by zeros, which stay zeros.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "blocks.hpp"

// x_MM of a_MM after that many steps.
template <class Real>
static INLINE void newton(const Real* a_MM, int M, int64_t steps, double ridge, Real* x_MM) {
  using L = Lanes<Real>;
  using Vector = typename L::Vector;
  const int step = (M + L::count - 1) / L::count * L::count;
  const size_t size = size_t(M) * step;
  std::vector<Real> r(size), x(size), next(size), y(size_t(kRows) * step);
  Real largest = -INFINITY;
  for (int i = 0; i < M; ++i) {
    Real sum = 0;
    for (int j = 0; j < M; ++j) sum += r[size_t(i) * step + j] = a_MM[size_t(i) * M + j];
    r[size_t(i) * step + i] += Real(ridge);
    largest = sum > largest || sum != sum ? sum : largest;  // NaN stays, as torch's maximum has it
  }
  const Real alpha = Real(0.9 * 2) / (largest * largest);
  for (size_t i = 0; i < size; ++i) x[i] = alpha * r[i];
  for (int64_t k = 0; k < steps; ++k) {
    // A few rows of X R at a time: all of it would push the others out of the first cache.
    in_blocks<Real>(M, [&](int first, auto height) INLINED {
      constexpr int rows = decltype(height)::value;
      const Real* own = x.data() + ptrdiff_t(first) * step;
      Real* to = next.data() + ptrdiff_t(first) * step;
      product<Real, rows>({own, step, 1}, r.data(), M, step, [&](int i, int d, Vector sum) INLINED {
        L::store(y.data() + i * step + d, sum);
      });
      product<Real, rows>({y.data(), step, 1}, x.data(), M, step,
                          [&](int i, int d, Vector sum) INLINED {
                            const Vector now = L::load(own + i * step + d);
                            L::store(to + i * step + d, now + now - sum);
                          });
    });
    x.swap(next);
  }
  for (int i = 0; i < M; ++i)
    std::copy_n(x.data() + size_t(i) * step, M, x_MM + size_t(i) * M);
}
