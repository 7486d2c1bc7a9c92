// The three products of a low-rank kernel on one tile of tokens, and the tile's transpose.
//
// A tile of the kernel, K [M, tile], has its tokens side by side in lanes: whatever M is, no lane
// is wasted. Every product keeps a block of running sums in registers and reads each input once.
#pragma once

#include <type_traits>

#include "fetch.hpp"

// The tallest block of rows. Double precision is for checking: fewer heights compile sooner.
template <class Real>
constexpr int kTallest = sizeof(Real) == 4 || kRows < 4 ? kRows : 4;

template <int Height, int Least, class Body>
static INLINE void of_height(int rows, int first, Body body) {
  if constexpr (Height > Least)
    if (rows < Height) return of_height<Height - 1, Least>(rows, first, body);
  if (rows >= Height) return body(first, std::integral_constant<int, Height>{});
  for (int row = 0; row < rows; ++row) body(first + row, std::integral_constant<int, 1>{});
}

// Calls body(first, rows) with `total` rows in blocks of nearly equal height; rows is a constant
// of the compiler.
template <class Real, class Body>
static INLINE void in_blocks(int total, Body body) {
  constexpr int tallest = kTallest<Real>;
  const int blocks = (total + tallest - 1) / tallest;
  for (int block = 0, first = 0; block < blocks; ++block) {
    const int rows = (total - first) / (blocks - block);
    of_height<tallest, tallest / 2 + 1>(rows, first, body);
    first += rows;
  }
}

// Calls body(first, vectors) for `width` lanes as strips of kAcross vectors, then narrower ones.
template <class Real, int Vectors = kAcross, class Body>
static INLINE void in_strips(int width, Body body, int first = 0) {
  constexpr int lanes = Vectors * Lanes<Real>::count;
  for (; width - first >= lanes; first += lanes) body(first, std::integral_constant<int, Vectors>{});
  if constexpr (Vectors > 1)
    if (first < width) in_strips<Real, Vectors - 1>(width, body, first);
}

// x [num, D] to x_DT [D, tile]; lanes beyond num are zero. D is a multiple of the lanes.
template <class Real>
static INLINE void turned(Rows<const Real> x, int num, int D, Real* x_DT) {
  using L = Lanes<Real>;
  for (int token = 0; token < L::tile; token += L::count) {
    const int held = num - token < 0 ? 0 : num - token < L::count ? num - token : L::count;
    for (int d = 0; d < D; d += L::count) {
      typename L::Vector rows[L::count];
#pragma GCC unroll 16
      for (int i = 0; i < L::count; ++i)
        rows[i] = i < held ? L::load(x.row(token + i) + d) : L::all(0);
      transpose<Real>(rows);
#pragma GCC unroll 16
      for (int i = 0; i < L::count; ++i) L::store(x_DT + (d + i) * L::tile + token, rows[i]);
    }
  }
}

// finish(row, vector, sum) of every sum over d of y_MD[row, d] x_DT[d, token], plus start(row,
// vector): the product of landmarks and the tokens of so many vectors.
template <class Real, int Vectors, class Start, class Finish>
static INLINE void against(const Real* y_MD, int M, int D, const Real* x_DT, Next<Real> next,
                           Start start, Finish finish) {
  using L = Lanes<Real>;
  in_blocks<Real>(M, [&](int first, auto height) INLINED {
    constexpr int rows = decltype(height)::value;
    Fetch<0> fetch = next.share(first, rows, M);
    typename L::Vector sum[rows][Vectors];
#pragma GCC unroll 8
    for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
      for (int k = 0; k < Vectors; ++k) sum[j][k] = start(first + j, k);
    const Real* y = y_MD + ptrdiff_t(first) * D;
    for (int d = 0; d < D; ++d) {
      if (d % 2) fetch.one();
      typename L::Vector x[Vectors];
#pragma GCC unroll 4
      for (int k = 0; k < Vectors; ++k) x[k] = L::load(x_DT + d * L::tile + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int k = 0; k < Vectors; ++k) sum[j][k] += L::all(y[j * D + d]) * x[k];
    }
#pragma GCC unroll 8
    for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
      for (int k = 0; k < Vectors; ++k) finish(first + j, k, sum[j][k]);
  });
}

// sum_MD += K x: what the tokens of the tile give to every landmark.
template <class Real>
static void gathered(const Real* k_MT, int M, Rows<const Real> x, int num, int D, Real* sum_MD,
                     Next<Real> next) {
  using L = Lanes<Real>;
  in_strips<Real>(D, [&](int d, auto vectors) INLINED {
    constexpr int across = decltype(vectors)::value;
    in_blocks<Real>(M, [&](int first, auto height) INLINED {
      constexpr int rows = decltype(height)::value;
      Fetch<0> fetch = next.share(d == 0 ? first : M, d == 0 ? rows : 0, M);
      typename L::Vector sum[rows][across];
      Real* to = sum_MD + ptrdiff_t(first) * D + d;
      const Real* k = k_MT + ptrdiff_t(first) * L::tile;
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) sum[j][i] = L::load(to + j * D + i * L::count);
      for (int t = 0; t < num; ++t) {
        fetch.one();
        typename L::Vector row[across];
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) row[i] = L::load(x.row(t) + d + i * L::count);
#pragma GCC unroll 8
        for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
          for (int i = 0; i < across; ++i) sum[j][i] += L::all(k[j * L::tile + t]) * row[i];
      }
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) L::store(to + j * D + i * L::count, sum[j][i]);
    });
  });
}

// finish(token, d, sum) of every vector of Kᵀ y: what the landmarks give to every token. `to` is
// where that will be written: fetched meanwhile, as a write would wait for it. `next` is fetched to
// the first cache, `later` to the second.
template <class Real, class Finish>
static INLINE void scattered(const Real* k_MT, int M, const Real* y_MD, int num, int D,
                             Rows<Real> to, Next<Real> next, Next<Real> later, Finish finish) {
  using L = Lanes<Real>;
  in_strips<Real>(D, [&](int d, auto vectors) INLINED {
    constexpr int across = decltype(vectors)::value;
    in_blocks<Real>(num, [&](int first, auto height) INLINED {
      constexpr int rows = decltype(height)::value;
      Fetch<0> fetch = next.share(d == 0 ? first : num, d == 0 ? rows : 0, num);
      Fetch<0, 2> far = later.template share<2>(d == 0 ? first : num, d == 0 ? rows : 0, num);
      Fetch<1> own = fetching<1>(Rows<Real>{to.row(first) + d, to.step}, rows, across * L::count);
      typename L::Vector sum[rows][across] = {};
      for (int m = 0; m < M; ++m) {
        own.one();
        fetch.one();
        far.one();
        typename L::Vector y[across];
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) y[i] = L::load(y_MD + ptrdiff_t(m) * D + d + i * L::count);
        const Real* k = k_MT + ptrdiff_t(m) * L::tile + first;
#pragma GCC unroll 8
        for (int t = 0; t < rows; ++t)
#pragma GCC unroll 4
          for (int i = 0; i < across; ++i) sum[t][i] += L::all(k[t]) * y[i];
      }
#pragma GCC unroll 8
      for (int t = 0; t < rows; ++t)
#pragma GCC unroll 4
        for (int i = 0; i < across; ++i) finish(first + t, d + i * L::count, sum[t][i]);
    });
  });
}

// That, written to `to` as it is.
template <class Real>
static void written(const Real* k_MT, int M, const Real* y_MD, int num, int D, Rows<Real> to,
                    Next<Real> next, Next<Real> later = {}) {
  using L = Lanes<Real>;
  scattered<Real>(k_MT, M, y_MD, num, D, to, next, later,
                  [to](int t, int d, typename L::Vector x) INLINED { L::store(to.row(t) + d, x); });
}
