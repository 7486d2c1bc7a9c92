// Landmarks as means over windows of a token grid, and the gradient of that, added in place.
#pragma once

#include <cstring>

#include "blocks.hpp"

// Landmark i of a side covers [begin[i], end[i]) of it; windows may overlap.
struct Side {
  int64_t count;
  const int64_t *begin, *end;
};

struct Windows {
  Side rows, columns;
  int64_t width;  // tokens in a row of the grid
};

// Calls body(landmark, first token of a run, its length, 1 / tokens of the landmark).
template <class Body>
static INLINE void each_run(const Windows& windows, Body body) {
  const Side &down = windows.rows, &across = windows.columns;
  for (int64_t r = 0; r < down.count; ++r)
    for (int64_t row = down.begin[r]; row < down.end[r]; ++row)
      for (int64_t c = 0; c < across.count; ++c) {
        const int64_t length = across.end[c] - across.begin[c];
        const double held = double(length) * double(down.end[r] - down.begin[r]);
        body(r * across.count + c, row * windows.width + across.begin[c], length, 1 / held);
      }
}

// to += factor · from, D numbers.
template <class Real>
static INLINE void add_scaled(const Real* from, Real factor, int D, Real* to) {
  using L = Lanes<Real>;
  int d = 0;
  for (; d + L::count <= D; d += L::count)
    L::store(to + d, L::load(to + d) + L::all(factor) * L::load(from + d));
  for (; d < D; ++d) to[d] += factor * from[d];
}

// to += factor · (the sum of `length` rows of x), D numbers, held in registers meanwhile.
template <class Real>
static INLINE void add_run(Rows<const Real> x, int64_t length, Real factor, int D, Real* to) {
  using L = Lanes<Real>;
  const int whole = D / L::count * L::count;
  in_strips<Real>(whole, [&](int d, auto vectors) INLINED {
    constexpr int across = decltype(vectors)::value;
    typename L::Vector sum[across] = {};
    for (int64_t t = 0; t < length; ++t)
#pragma GCC unroll 4
      for (int i = 0; i < across; ++i) sum[i] += L::load(x.row(t) + d + i * L::count);
#pragma GCC unroll 4
    for (int i = 0; i < across; ++i) {
      Real* at = to + d + i * L::count;
      L::store(at, L::load(at) + L::all(factor) * sum[i]);
    }
  });
  for (int64_t t = 0; t < length; ++t)
    for (int d = whole; d < D; ++d) to[d] += factor * x.row(t)[d];
}

// landmark_MD = scale · means of q [N, D].
template <class Real>
static INLINE void pooled(Rows<const Real> q, const Windows& windows, double scale, int D,
                          Real* landmark_MD) {
  const int64_t M = windows.rows.count * windows.columns.count;
  std::memset(landmark_MD, 0, sizeof(Real) * M * D);
  each_run(windows, [&](int64_t landmark, int64_t first, int64_t length, double share) INLINED {
    const Real factor = Real(scale * share);
    add_run<Real>({q.row(first), q.step}, length, factor, D, landmark_MD + landmark * D);
  });
}

// dq [N, D] += what the gradient of the landmarks gives to each token.
template <class Real>
static INLINE void add_pooled_gradient(const Real* grad_MD, const Windows& windows, double scale,
                                       int D, Rows<Real> dq) {
  each_run(windows, [&](int64_t landmark, int64_t first, int64_t length, double share) INLINED {
    const Real factor = Real(scale * share);
    const Real* from = grad_MD + landmark * D;
    for (int64_t t = first; t < first + length; ++t) add_scaled(from, factor, D, dq.row(t));
  });
}
