// Products of matrices as small as the landmarks'.
#pragma once

#include "blocks.hpp"

// A matrix of scalars by its steps from row to row and from column to column.
template <class Real>
struct Scalars {
  const Real* data;
  ptrdiff_t row, column;
  INLINE Real at(int i, int k) const { return data[i * row + k * column]; }
};

// finish(row, column, sum) of every vector of a few rows of a b; b is [inner, columns], whole
// vectors. Meanwhile something else may be done.
template <class Real, int Height, class Meanwhile, class Finish>
static INLINE void product(Scalars<Real> a, Rows<const Real> b, int inner, int columns,
                           Meanwhile meanwhile, Finish finish) {
  using L = Lanes<Real>;
  in_strips<Real>(columns, [&](int column, auto vectors) INLINED {
    constexpr int across = decltype(vectors)::value;
    typename L::Vector sum[Height][across] = {};
    for (int k = 0; k < inner; ++k) {
      meanwhile();
      typename L::Vector right[across];
#pragma GCC unroll 4
      for (int i = 0; i < across; ++i)
        right[i] = L::load(b.row(k) + column + i * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < Height; ++j)
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) sum[j][i] += L::all(a.at(j, k)) * right[i];
    }
#pragma GCC unroll 8
    for (int j = 0; j < Height; ++j)
#pragma GCC unroll 4
      for (int i = 0; i < across; ++i) finish(j, column + i * L::count, sum[j][i]);
  });
}

// y [M, columns] = a x, a [M, M]; columns are whole vectors.
template <class Real>
static void mixed(Scalars<Real> a, Rows<const Real> x, int M, int columns, Real* y) {
  using L = Lanes<Real>;
  in_blocks<Real>(M, [&](int first, auto height) INLINED {
    product<Real, decltype(height)::value>(
        {a.data + first * a.row, a.row, a.column}, x, M, columns, []() INLINED {},
        [&](int i, int d, typename L::Vector sum) INLINED {
          L::store(y + ptrdiff_t(first + i) * columns + d, sum);
        });
  });
}
