// Rows of numbers in memory, and what brings them near before they are asked for.
#pragma once

#include "lanes.hpp"

// Rows of D numbers, `step` apart.
template <class Real>
struct Rows {
  Real* data;
  ptrdiff_t step;
  INLINE Real* row(ptrdiff_t index) const { return data + index * step; }
};

constexpr int kLine = 64;  // bytes that memory hands over at once

// Lines of some rows, fetched one at a time while something else is computed. All at once would fill
// the queue of the first cache, and the arithmetic would wait for it. Level: of the caches, from 3,
// the first, to 1.
template <int Write, int Level = 3>
struct Fetch {
  const char* at;
  int in_row, lines, left;  // lines of a row passed and in all, lines of all rows left
  ptrdiff_t over;           // from the end of a row to the next row
  INLINE void one() {
    if (left <= 0) return;
    __builtin_prefetch(at, Write, Level);
    at += kLine;
    --left;
    if (++in_row < lines) return;
    in_row = 0;
    at += over;
  }
};

template <int Write, int Level = 3, class Real>
static INLINE Fetch<Write, Level> fetching(Rows<Real> rows, int count, int width) {
  const int bytes = width * int(sizeof(Real)), lines = (bytes + kLine - 1) / kLine;
  return {reinterpret_cast<const char*>(rows.data), 0, lines, count * lines,
          rows.step * ptrdiff_t(sizeof(Real)) - lines * kLine};
}

// What will be read when the work in hand is done, [count, width]: each piece of that fetches its
// share. No rows: nothing.
template <class Real>
struct Next {
  Rows<const Real> rows{};
  int count = 0, width = 0;
  // The rows that fall to the pieces from `begin` to `end` of `total`.
  INLINE Next part(int64_t begin, int64_t end, int64_t total) const {
    const int first = int(begin * count / total), last = int(end * count / total);
    return {{rows.row(first), rows.step}, last - first, width};
  }
  template <int Level = 3>
  INLINE Fetch<0, Level> share(int first, int height, int total) const {
    const Next own = part(first, first + height, total);
    return fetching<0, Level>(own.rows, own.count, width);
  }
};
