// SOFT's Newton iteration for one symmetric matrix: X <- 2 X - X R X, R = A + ridge I, X_0 = alpha R.
//
// Lu et al., SOFT, arXiv 2110.11945, Algorithm 2; alpha = 0.9 · 2 / (largest row sum of A)².
// X R X is symmetric whatever symmetric X is, so only its lower half is computed, but for the last
// step. X R is not taken for symmetric: rounding makes X and R commute no longer, and steps that
// ignore that diverge.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "product.hpp"
#include "scratch.hpp"

// How a symmetric matrix of M rows is cut into columns of whole vectors and a few rows left over,
// whose columns are had as rows. Where too many would be left over one more vector is taken.
template <class Real>
struct Cut {
  static constexpr int lanes = Lanes<Real>::count;
  int M, step, whole, left;  // step: columns of a row in memory; whole: columns in vectors
  explicit Cut(int M) : M(M), step((M + lanes - 1) / lanes * lanes) {
    const int over = M % lanes;
    const bool by_rows = over && over * (step / lanes) < M;
    whole = by_rows ? M - over : step;
    left = by_rows ? over : 0;
  }
  int upright() const { return M - left; }  // rows that are not left over
  ptrdiff_t size() const { return ptrdiff_t(step) * step; }
};

// The upper half of x from its lower one.
template <class Real>
static INLINE void mirror(const Cut<Real>& cut, Real* x) {
  using L = Lanes<Real>;
  using Mask = typename L::Mask;
  Mask lane;
  for (int i = 0; i < L::count; ++i) lane[i] = i;
  for (int row = 0; row < cut.whole; row += L::count)
    for (int column = 0; column <= row; column += L::count) {
      typename L::Vector lower[L::count], upper[L::count];
#pragma GCC unroll 16
      for (int i = 0; i < L::count; ++i)
        lower[i] = upper[i] = L::load(x + ptrdiff_t(row + i) * cut.step + column);
      transpose<Real>(upper);
#pragma GCC unroll 16
      for (int i = 0; i < L::count; ++i) {
        if (row == column) upper[i] = lane <= Mask{} + i ? lower[i] : upper[i];
        L::store(x + ptrdiff_t(column + i) * cut.step + row, upper[i]);
      }
    }
  for (int row = cut.whole; row < cut.M; ++row)
    for (int column = 0; column < row; ++column)
      x[ptrdiff_t(column) * cut.step + row] = x[ptrdiff_t(row) * cut.step + column];
}

template <class Real>
struct NewtonRoom {
  Real *r, *x, *next, *left, *y;
  NewtonRoom(Scratch<Real>& scratch, const Cut<Real>& cut)
      : r(scratch.take(cut.size())),
        x(scratch.take(cut.size())),
        next(scratch.take(cut.size())),
        left(scratch.take(ptrdiff_t(cut.left) * cut.step)),
        y(scratch.take(ptrdiff_t(kRows) * cut.step)) {}
};

// The lower half of next = 2 x - x r x for some rows: their x r first, its last columns from `left`.
template <class Real, int Height, class Meanwhile>
static INLINE void rows_of_step(const Cut<Real>& cut, NewtonRoom<Real>& room, int first,
                                int columns, Meanwhile meanwhile) {
  using L = Lanes<Real>;
  const int step = cut.step;
  const Real* own = room.x + ptrdiff_t(first) * step;
  Real *y = room.y, *to = room.next + ptrdiff_t(first) * step;
  product<Real, Height>({own, step, 1}, {room.r, step}, cut.M, cut.whole, meanwhile,
                        [&](int i, int d, typename L::Vector sum) INLINED {
                          L::store(y + i * step + d, sum);
                        });
  for (int i = 0; i < Height; ++i)
    for (int c = 0; c < cut.left; ++c)
      y[i * step + cut.whole + c] = room.left[ptrdiff_t(c) * step + first + i];
  product<Real, Height>({y, step, 1}, {room.x, step}, cut.M, columns, meanwhile,
                        [&](int i, int d, typename L::Vector sum) INLINED {
                          const auto now = L::load(own + i * step + d);
                          L::store(to + i * step + d, now + now - sum);
                        });
}

template <class Real, class Meanwhile>
static INLINE void newton_step(const Cut<Real>& cut, NewtonRoom<Real>& room, Meanwhile meanwhile) {
  using L = Lanes<Real>;
  const int step = cut.step;
  // (X R)ᵀ = R X: its rows left over are the columns of X R left over.
  in_blocks<Real>(cut.left, [&](int first, auto height) INLINED {
    product<Real, decltype(height)::value>(
        {room.r + ptrdiff_t(cut.whole + first) * step, step, 1}, {room.x, step},
        cut.M, step, meanwhile, [&](int i, int d, typename L::Vector sum) INLINED {
          L::store(room.left + ptrdiff_t(first + i) * step + d, sum);
        });
  });
  in_blocks<Real>(cut.upright(), [&](int first, auto height) INLINED {
    constexpr int rows = decltype(height)::value;
    const int columns = (first + rows + L::count - 1) / L::count * L::count;
    rows_of_step<Real, rows>(cut, room, first, columns, meanwhile);
  });
  in_blocks<Real>(cut.left, [&](int first, auto height) INLINED {
    rows_of_step<Real, decltype(height)::value>(cut, room, cut.whole + first, step, meanwhile);
  });
  mirror(cut, room.next);
  std::swap(room.x, room.next);
}

// A step as it is written, both products whole. The last one is: rounding in X R, told twice by a
// mirror, would be multiplied by X on the side where the output is sensitive to it.
template <class Real, class Meanwhile>
static INLINE void plain_step(const Cut<Real>& cut, NewtonRoom<Real>& room, Meanwhile meanwhile) {
  using L = Lanes<Real>;
  const int step = cut.step;
  in_blocks<Real>(cut.M, [&](int first, auto height) INLINED {
    constexpr int rows = decltype(height)::value;
    const Real* own = room.x + ptrdiff_t(first) * step;
    Real *y = room.y, *to = room.next + ptrdiff_t(first) * step;
    product<Real, rows>({own, step, 1}, {room.r, step}, cut.M, step, meanwhile,
                        [&](int i, int d, typename L::Vector sum) INLINED {
                          L::store(y + i * step + d, sum);
                        });
    product<Real, rows>({y, step, 1}, {room.x, step}, cut.M, step, meanwhile,
                        [&](int i, int d, typename L::Vector sum) INLINED {
                          const auto now = L::load(own + i * step + d);
                          L::store(to + i * step + d, now + now - sum);
                        });
  });
  std::swap(room.x, room.next);
}

// R and X_0 from A, which lies in the place of R and of which the lower half is read.
template <class Real>
static INLINE void begin(const Cut<Real>& cut, NewtonRoom<Real>& room, double ridge) {
  using L = Lanes<Real>;
  mirror(cut, room.r);
  Real largest = -INFINITY;
  for (int i = 0; i < cut.M; ++i) {
    typename L::Vector sums{};
    for (int j = 0; j < cut.step; j += L::count)
      sums += L::load(room.r + ptrdiff_t(i) * cut.step + j);
    const Real sum = L::total(sums);
    room.r[ptrdiff_t(i) * (cut.step + 1)] += Real(ridge);
    largest = sum > largest || sum != sum ? sum : largest;  // NaN stays, as torch's maximum has it
  }
  const Real alpha = Real(0.9 * 2) / (largest * largest);
  for (ptrdiff_t i = 0; i < cut.size(); i += L::count)
    L::store(room.x + i, L::all(alpha) * L::load(room.r + i));
  // Columns beyond M are multiplied along and never told; zeros, for denormal numbers are slow.
  std::memset(room.next, 0, sizeof(Real) * cut.size());
}

// x_MM after that many steps from A in the place of R, filled up by zeros; `meanwhile` is called all
// along.
template <class Real, class Meanwhile>
static INLINE void newton(const Cut<Real>& cut, NewtonRoom<Real>& room, int64_t steps, double ridge,
                          Real* x_MM, Meanwhile meanwhile) {
  begin(cut, room, ridge);
  for (int64_t k = 1; k < steps; ++k) newton_step(cut, room, meanwhile);
  plain_step(cut, room, meanwhile);
  for (int i = 0; i < cut.M; ++i)
    std::copy_n(room.x + ptrdiff_t(i) * cut.step, cut.M, x_MM + ptrdiff_t(i) * cut.M);
}
