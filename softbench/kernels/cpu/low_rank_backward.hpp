// Every gradient of low-rank Gaussian attention of one head, given dO and the S and W of its forward.
//
// dW = Pᵀ dO, dX = dW Sᵀ, dS = Xᵀ dW, dv = P dS, dP = dO Wᵀ + v dSᵀ, G = dP ∘ P,
//   dq_i = s (G L)_i - s² q_i Σ_j G_ij,   dL_j = s (Gᵀ q)_j - L_j Σ_i G_ij,
// where Σ_i G_ij = W_j · dW_j + dS_j · S_j, which costs nothing. P is computed once more.
#pragma once

#include <cstring>

#include "gaussian.hpp"
#include "product.hpp"

template <class Real>
struct Gradients {
  Rows<Real> q, v;  // [N, D] each
  Real *landmark_MD, *inverse_MM;
};

template <class Real>
struct BackwardRoom {
  Room<Real> tokens;
  Real *turned_v, *turned_o, *dw, *ds;
  BackwardRoom(Scratch<Real>& scratch, int N, int M, int D)
      : tokens(scratch, N, M, D),
        turned_v(scratch.take(ptrdiff_t(D) * Lanes<Real>::tile)),
        turned_o(scratch.take(ptrdiff_t(D) * Lanes<Real>::tile)),
        dw(scratch.take(ptrdiff_t(M) * D)),
        ds(scratch.take(ptrdiff_t(M) * D)) {}
};

// y_MM = a bᵀ, both [M, D]; b_DT [D, tile] is scratch.
template <class Real>
static void outer(const Real* a_MD, const Real* b_MD, int M, int D, Real* b_DT, Real* y_MM) {
  using L = Lanes<Real>;
  for (int first = 0; first < M; first += L::tile) {
    const int num = held<Real>(M, first);
    turned<Real>({b_MD + ptrdiff_t(first) * D, D}, num, D, b_DT);
    const auto zero = [](int, int) INLINED { return typename L::Vector{}; };
    const auto keep = [=](int i, int k, typename L::Vector sum) INLINED {
      for (int lane = 0; lane < L::count && k * L::count + lane < num; ++lane)
        y_MM[ptrdiff_t(i) * M + first + k * L::count + lane] = sum[lane];
    };
    against<Real, kTokens>(a_MD, M, D, b_DT, {}, zero, keep);
  }
}

// G of a block of rows in the place of P, given dP; adds it to the sums of G's columns [tile].
template <class Real, int Height>
static INLINE void times_kernel(const typename Lanes<Real>::Vector (&dp)[Height][kTokens],
                                Real* p_MT, Real* column_sums) {
  using L = Lanes<Real>;
#pragma GCC unroll 4
  for (int k = 0; k < kTokens; ++k) {
    typename L::Vector total = L::load(column_sums + k * L::count);
#pragma GCC unroll 8
    for (int j = 0; j < Height; ++j) {
      Real* p = p_MT + ptrdiff_t(j) * L::tile + k * L::count;
      const typename L::Vector g = L::load(p) * dp[j][k];
      L::store(p, g);
      total += g;
    }
    L::store(column_sums + k * L::count, total);
  }
}

// G of the tile that begins at token `first`, in the place of P, and the sums of its columns. The
// tile before it, which comes next, is fetched.
template <class Real>
static INLINE void kernel_gradient(const Head<Real>& head, const BackwardRoom<Real>& room,
                                   Rows<const Real> grad, const Real* w_MD, int first, Real* p_MT,
                                   Real* column_sums) {
  using L = Lanes<Real>;
  const int M = head.M, D = head.D, earlier = first - L::tile;
  std::memset(column_sums, 0, sizeof(Real) * L::tile);
  in_blocks<Real>(M, [&](int row, auto height) INLINED {
    constexpr int rows = decltype(height)::value;
    Fetch<0> next_o = tokens_at(head, grad, earlier).share(row, rows, M);
    Fetch<0> next_v = tokens_at(head, head.v, earlier).share(row, rows, M);
    typename L::Vector dp[rows][kTokens] = {};
    const Real* w = w_MD + ptrdiff_t(row) * D;
    const Real* ds = room.ds + ptrdiff_t(row) * D;
    for (int d = 0; d < D; ++d) {
      next_o.one();
      next_v.one();
      typename L::Vector o[kTokens], v[kTokens];
#pragma GCC unroll 4
      for (int k = 0; k < kTokens; ++k) o[k] = L::load(room.turned_o + d * L::tile + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int k = 0; k < kTokens; ++k) dp[j][k] += L::all(w[j * D + d]) * o[k];
#pragma GCC unroll 4
      for (int k = 0; k < kTokens; ++k) v[k] = L::load(room.turned_v + d * L::tile + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int k = 0; k < kTokens; ++k) dp[j][k] += L::all(ds[j * D + d]) * v[k];
    }
    times_kernel<Real, rows>(dp, p_MT + ptrdiff_t(row) * L::tile, column_sums);
  });
}

// dv and dq of one tile; adds Gᵀ q to the landmarks' gradient.
template <class Real>
static INLINE void backward_tile(const Head<Real>& head, BackwardRoom<Real>& room,
                                 Rows<const Real> grad, const Real* w_MD, Gradients<Real>& to,
                                 int first) {
  using L = Lanes<Real>;
  const int M = head.M, D = head.D, num = held<Real>(head.N, first), earlier = first - L::tile;
  const Real s = Real(head.scale);
  Real* p_MT = room.tokens.kernel + ptrdiff_t(first) * M;
  written<Real>(p_MT, M, room.ds, num, D, {to.v.row(first), to.v.step},
                kernel_at(head, room.tokens, earlier));
  turned<Real>({grad.row(first), grad.step}, num, D, room.turned_o);
  turned<Real>({head.v.row(first), head.v.step}, num, D, room.turned_v);
  Real* column_sums = room.tokens.turned_q;  // no longer needed
  kernel_gradient(head, room, grad, w_MD, first, p_MT, column_sums);
  scattered<Real>(p_MT, M, head.landmark_MD, num, D, {to.q.row(first), to.q.step},
                  tokens_at(head, head.q, earlier), {}, [&](int t, int d, typename L::Vector x) INLINED {
                    const auto pull = L::load(head.q.row(first + t) + d) * L::all(s * column_sums[t]);
                    L::store(to.q.row(first + t) + d, L::all(s) * (x - pull));
                  });
  gathered<Real>(p_MT, M, {head.q.row(first), head.q.step}, num, D, to.landmark_MD, {});
}

// dL in the place of Gᵀ q.
template <class Real>
static INLINE void finish_landmarks(const Head<Real>& head, const BackwardRoom<Real>& room,
                                    const Real* s_MD, const Real* w_MD, Real* landmark_MD) {
  using L = Lanes<Real>;
  const Real s = Real(head.scale);
  for (int j = 0; j < head.M; ++j) {
    const ptrdiff_t begin = ptrdiff_t(j) * head.D, end = begin + head.D;
    typename L::Vector sums{};
    for (ptrdiff_t i = begin; i < end; i += L::count)
      sums += L::load(w_MD + i) * L::load(room.dw + i) + L::load(room.ds + i) * L::load(s_MD + i);
    const auto total = L::all(L::total(sums));
    for (ptrdiff_t i = begin; i < end; i += L::count)
      L::store(landmark_MD + i, L::all(s) * L::load(landmark_MD + i) -
                                    L::load(head.landmark_MD + i) * total);
  }
}

template <class Real>
static INLINE void backward(const Head<Real>& head, BackwardRoom<Real>& room, Rows<const Real> grad,
                            const Real* s_MD, const Real* w_MD, Gradients<Real> to) {
  using L = Lanes<Real>;
  const int N = head.N, M = head.M, D = head.D;
  const size_t bytes = sizeof(Real) * M * D;
  prepare(head, room.tokens);
  std::memset(room.dw, 0, bytes);
  for (int first = 0; first < N; first += L::tile) {
    const Real* p_MT = kernel_tile(head, room.tokens, first);
    gathered<Real>(p_MT, M, {grad.row(first), grad.step}, held<Real>(N, first), D, room.dw,
                   tokens_at(head, grad, first + L::tile));
  }
  outer(room.dw, s_MD, M, D, room.turned_o, to.inverse_MM);
  mixed<Real>({head.inverse_MM, 1, M}, {room.dw, D}, M, D, room.ds);
  std::memset(to.landmark_MD, 0, bytes);
  for (int first = (Room<Real>::tiles(N) - 1) * L::tile; first >= 0; first -= L::tile)
    backward_tile(head, room, grad, w_MD, to, first);
  finish_landmarks(head, room, s_MD, w_MD, to.landmark_MD);
}
