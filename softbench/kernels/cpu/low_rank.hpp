// Low-rank Gaussian attention of one head: out = P X Pᵀ v, with X [M, M] given.
//
// Products are associated from the right: S = Pᵀ v, W = X S, out = P W (Lu et al., SOFT, arXiv
// 2110.11945, Algorithm 1). P of one head is kept between its two uses.
#pragma once

#include <cstring>

#include "gaussian.hpp"
#include "product.hpp"

// out [N, D], and S, W [M, D]; `later` is fetched while nothing is read but P.
template <class Real>
static INLINE void forward(const Head<Real>& head, Room<Real>& room, Rows<Real> out, Real* s_MD,
                           Real* w_MD, Next<Real> later = {}) {
  using L = Lanes<Real>;
  const int N = head.N, M = head.M, D = head.D;
  prepare(head, room);
  std::memset(s_MD, 0, sizeof(Real) * M * D);
  for (int first = 0; first < N; first += L::tile) {
    const Real* p_MT = kernel_tile(head, room, first);
    gathered<Real>(p_MT, M, {head.v.row(first), head.v.step}, held<Real>(N, first), D, s_MD,
                   tokens_at(head, head.v, first + L::tile));
  }
  mixed<Real>({head.inverse_MM, M, 1}, {s_MD, D}, M, D, w_MD);
  // Backwards: the tiles computed last are still in cache.
  for (int first = (Room<Real>::tiles(N) - 1) * L::tile; first >= 0; first -= L::tile) {
    const int num = held<Real>(N, first), left = N - first;
    written<Real>(room.kernel + ptrdiff_t(first) * M, M, w_MD, num, D, {out.row(first), out.step},
                  kernel_at(head, room, first - L::tile), later.part(left - num, left, N));
  }
}
