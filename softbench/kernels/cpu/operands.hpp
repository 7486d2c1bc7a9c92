// What Python hands over, all heads of a batch together, and what of it one head is computed from.
#pragma once

#include <type_traits>

#include "gaussian.hpp"
#include "pages.hpp"

// A tensor [batch, heads, rows, D] by its strides, in numbers; the last is 1.
struct Operand {
  void* data;
  ptrdiff_t batch, head, row;
};

struct Sizes {
  int64_t batch, heads, tokens, landmarks, width, threads;
  double scale;  // of the queries
};

template <class Real>
static Rows<Real> rows_of(const Operand& x, int64_t index, const Sizes& sizes) {
  auto* data = static_cast<std::remove_const_t<Real>*>(x.data);
  return {data + index / sizes.heads * x.batch + index % sizes.heads * x.head, x.row};
}

// A matrix of one head in one piece.
template <class Real>
static Real* matrix_of(const Operand& x, int64_t index, const Sizes& sizes) {
  return rows_of<Real>(x, index, sizes).data;
}

// Numbers that one thread computes a head in, in a room of that kind.
template <class Real, template <class> class Kind>
static int64_t scratch_size(const Sizes& sizes) {
  Scratch<Real> counted{};
  Kind<Real>(counted, int(sizes.tokens), int(sizes.landmarks), int(sizes.width));
  return counted.taken;
}

// That room, in the thread's share of `scratch`.
template <class Real, template <class> class Kind>
static Kind<Real> room_of(const Sizes& sizes, void* scratch, int64_t thread) {
  Scratch<Real> own{static_cast<Real*>(scratch) + thread * scratch_size<Real, Kind>(sizes), 0};
  return Kind<Real>(own, int(sizes.tokens), int(sizes.landmarks), int(sizes.width));
}

template <class Real>
static Head<Real> head_of(const Sizes& sizes, const Operand& q, const Operand& v,
                          const Real* landmark_MD, const Real* inverse_MM, int64_t index) {
  return {int(sizes.tokens),
          int(sizes.landmarks),
          int(sizes.width),
          rows_of<const Real>(q, index, sizes),
          rows_of<const Real>(v, index, sizes),
          landmark_MD,
          inverse_MM,
          sizes.scale};
}

// Tokens of one head that are to be written, their pages mapped where they lie in one piece.
template <class Real>
static Rows<Real> output_of(const Operand& x, int64_t index, const Sizes& sizes) {
  const Rows<Real> rows = rows_of<Real>(x, index, sizes);
  if (rows.step == sizes.width) mapped(rows.data, sizeof(Real) * sizes.tokens * sizes.width);
  return rows;
}

// Large pages for all tokens of an output.
template <class Real>
static void in_large_pages(const Operand& x, const Sizes& sizes) {
  in_large_pages(x.data, sizeof(Real) * sizes.batch * sizes.heads * sizes.tokens * sizes.width);
}
