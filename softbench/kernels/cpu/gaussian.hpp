// P of one head, tile by tile of its tokens: the Gaussian kernel of queries and landmarks.
//
// P_ij = exp(-½ ‖s q_i - L_j‖²), s = D^(-1/4) (Lu et al., SOFT, arXiv 2110.11945, eqs. 5 and 9).
#pragma once

#include "blocks.hpp"
#include "scratch.hpp"

template <class Real>
struct Head {
  int N, M, D;
  Rows<const Real> q, v;    // [N, D] each
  const Real* landmark_MD;
  const Real* inverse_MM;   // X
  double scale;             // s
};

// What P is made in, and P itself.
template <class Real>
struct Room {
  Real *kernel, *scaled, *offset, *turned_q;
  Room(Scratch<Real>& scratch, int N, int M, int D)
      : kernel(scratch.take(ptrdiff_t(tiles(N)) * Lanes<Real>::tile * M)),
        scaled(scratch.take(ptrdiff_t(M) * D)),
        offset(scratch.take(M)),
        turned_q(scratch.take(ptrdiff_t(D) * Lanes<Real>::tile)) {}
  static int tiles(int N) { return (N + Lanes<Real>::tile - 1) / Lanes<Real>::tile; }
};

constexpr double kLog2E = 1.44269504088896340735992468100;

template <class Real>
static INLINE int held(int N, int first) {
  return N - first < Lanes<Real>::tile ? N - first : Lanes<Real>::tile;
}

// Landmarks and their norms with every factor of the exponent in them, base 2.
template <class Real>
static void prepare(const Head<Real>& head, Room<Real>& room) {
  using L = Lanes<Real>;
  const auto factor = L::all(Real(kLog2E * head.scale));
  for (int j = 0; j < head.M; ++j) {
    typename L::Vector norm{};
    for (int d = 0; d < head.D; d += L::count) {
      const auto x = L::load(head.landmark_MD + ptrdiff_t(j) * head.D + d);
      norm += x * x;
      L::store(room.scaled + ptrdiff_t(j) * head.D + d, factor * x);
    }
    room.offset[j] = Real(-0.5 * kLog2E) * L::total(norm);
  }
}

// Rows of the tile that begins at token `first`, to be fetched; nothing where there is no such tile.
template <class Real>
static INLINE Next<Real> tokens_at(const Head<Real>& head, Rows<const Real> x, int first) {
  if (first < 0 || first >= head.N) return {};
  return {{x.row(first), x.step}, held<Real>(head.N, first), head.D};
}

// P of that tile, to be fetched.
template <class Real>
static INLINE Next<Real> kernel_at(const Head<Real>& head, const Room<Real>& room, int first) {
  constexpr int tile = Lanes<Real>::tile;
  if (first < 0) return {};
  return {{room.kernel + ptrdiff_t(first) * head.M, tile}, head.M, tile};
}

// P of a tile's first vectors of tokens, given the tile turned.
template <class Real, int Vectors>
static void kernel_of(const Head<Real>& head, const Room<Real>& room, Next<Real> next, Real* p_MT) {
  using L = Lanes<Real>;
  typename L::Vector norm[Vectors] = {};
  for (int d = 0; d < head.D; ++d)
#pragma GCC unroll 4
    for (int k = 0; k < Vectors; ++k) {
      const auto x = L::load(room.turned_q + d * L::tile + k * L::count);
      norm[k] += x * x;
    }
  const auto factor = L::all(Real(-0.5 * kLog2E * head.scale * head.scale));
#pragma GCC unroll 4
  for (int k = 0; k < Vectors; ++k) norm[k] *= factor;
  const Real* offset = room.offset;
  against<Real, Vectors>(
      room.scaled, head.M, head.D, room.turned_q, next,
      [&](int j, int k) INLINED { return L::all(offset[j]) + norm[k]; },
      [&](int j, int k, typename L::Vector z) INLINED {
        // Rounding takes distances below zero.
        L::store(p_MT + ptrdiff_t(j) * L::tile + k * L::count, exp2<Real>(least<Real>(L::all(0), z)));
      });
}

template <class Real, int Vectors = kTokens>
static INLINE void kernel_of_held(const Head<Real>& head, const Room<Real>& room, int num,
                                  Next<Real> next, Real* p_MT) {
  if constexpr (Vectors > 1)
    if (num <= (Vectors - 1) * Lanes<Real>::count)
      return kernel_of_held<Real, Vectors - 1>(head, room, num, next, p_MT);
  kernel_of<Real, Vectors>(head, room, next, p_MT);
}

// P of the tile that begins at token `first`, whole vectors of tokens, and its tokens turned.
template <class Real>
static Real* kernel_tile(const Head<Real>& head, Room<Real>& room, int first) {
  Real* p_MT = room.kernel + ptrdiff_t(first) * head.M;
  const int num = held<Real>(head.N, first);
  turned<Real>({head.q.row(first), head.q.step}, num, head.D, room.turned_q);
  kernel_of_held<Real>(head, room, num, tokens_at(head, head.q, first + Lanes<Real>::tile), p_MT);
  return p_MT;
}
