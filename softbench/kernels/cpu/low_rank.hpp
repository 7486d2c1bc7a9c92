// Low-rank Gaussian attention of one head, forward and backward: out = P X Pᵀ v.
//
// P_ij = exp(-½ ‖s q_i - L_j‖²), s = D^(-1/4) (Lu et al., SOFT, arXiv 2110.11945, eqs. 5 and 9),
// X [M, M] given. Products are associated from the right: S = Pᵀ v, W = X S, out = P W. P of one
// head is kept between its two uses; the backward computes it once more.
//
// With dO given: dW = Pᵀ dO, dX = dW Sᵀ, dS = Xᵀ dW, dv = P dS, dP = dO Wᵀ + v dSᵀ, G = dP ∘ P,
//   dq_i = s (G L)_i - s² q_i Σ_j G_ij,   dL_j = s (Gᵀ q)_j - L_j Σ_i G_ij,
// where Σ_i G_ij = W_j · dW_j + dS_j · S_j, which costs nothing.
#pragma once

#include <vector>

#include "blocks.hpp"

template <class Real>
struct Head {
  int N, M, D;
  Rows<const Real> q, v;    // [N, D] each
  const Real* landmark_MD;
  const Real* inverse_MM;   // X
  double scale;             // s
};

// What one thread needs for any number of heads of one size; `kernel` holds P, its caller's own.
template <class Real>
struct Room {
  Real* kernel;
  std::vector<Real> scaled, offset, turned_q, turned_v, turned_o;
  Room(Real* kernel, int M, int D)
      : kernel(kernel), scaled(size_t(M) * D), offset(M),
        turned_q(size_t(D) * Lanes<Real>::tile), turned_v(turned_q.size()),
        turned_o(turned_q.size()) {}
  static int tiles(int N) { return (N + Lanes<Real>::tile - 1) / Lanes<Real>::tile; }
};

constexpr double kLog2E = 1.44269504088896340735992468100;

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

template <class Real>
static INLINE int held(int N, int first) {
  return N - first < Lanes<Real>::tile ? N - first : Lanes<Real>::tile;
}

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
      L::store(room.scaled.data() + ptrdiff_t(j) * head.D + d, factor * x);
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
      const auto x = L::load(room.turned_q.data() + d * L::tile + k * L::count);
      norm[k] += x * x;
    }
  const auto factor = L::all(Real(-0.5 * kLog2E * head.scale * head.scale));
#pragma GCC unroll 4
  for (int k = 0; k < Vectors; ++k) norm[k] *= factor;
  const Real* offset = room.offset.data();
  against<Real, Vectors>(
      room.scaled.data(), head.M, head.D, room.turned_q.data(), next,
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
  turned<Real>({head.q.row(first), head.q.step}, num, head.D, room.turned_q.data());
  kernel_of_held<Real>(head, room, num, tokens_at(head, head.q, first + Lanes<Real>::tile), p_MT);
  return p_MT;
}

// out [N, D], and S, W [M, D].
template <class Real>
static INLINE void forward(const Head<Real>& head, Room<Real>& room, Rows<Real> out, Real* s_MD,
                           Real* w_MD) {
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
  for (int first = (Room<Real>::tiles(N) - 1) * L::tile; first >= 0; first -= L::tile)
    written<Real>(room.kernel + ptrdiff_t(first) * M, M, w_MD, held<Real>(N, first), D,
                  {out.row(first), out.step}, kernel_at(head, room, first - L::tile));
}

template <class Real>
struct Gradients {
  Rows<Real> q, v;      // [N, D] each
  Real *landmark_MD, *inverse_MM;
};

// The gradients of one tile, given dS and what `forward` left; adds Gᵀ q to the landmarks' one.
template <class Real>
static INLINE void backward_tile(const Head<Real>& head, Room<Real>& room, Rows<const Real> grad,
                                 const Real* w_MD, const Real* ds_MD, Gradients<Real>& to,
                                 int first) {
  using L = Lanes<Real>;
  using Vector = typename L::Vector;
  const int M = head.M, D = head.D, num = held<Real>(head.N, first);
  const Real s = Real(head.scale);
  Real* p_MT = room.kernel + ptrdiff_t(first) * M;
  const int earlier = first - L::tile;  // the tile that comes next
  written<Real>(p_MT, M, ds_MD, num, D, {to.v.row(first), to.v.step},
                kernel_at(head, room, earlier));
  turned<Real>({grad.row(first), grad.step}, num, D, room.turned_o.data());
  turned<Real>({head.v.row(first), head.v.step}, num, D, room.turned_v.data());
  std::vector<Real>& partial = room.turned_q;  // no longer needed: [tile] sums of G's columns
  std::memset(partial.data(), 0, sizeof(Real) * L::tile);
  in_blocks<Real>(M, [&](int row, auto height) INLINED {
    constexpr int rows = decltype(height)::value;
    Fetch<0> next_o = tokens_at(head, grad, earlier).share(row, rows, M);
    Fetch<0> next_v = tokens_at(head, head.v, earlier).share(row, rows, M);
    Vector sum[rows][kTokens] = {};
    const Real* w = w_MD + ptrdiff_t(row) * D;
    const Real* ds = ds_MD + ptrdiff_t(row) * D;
    for (int d = 0; d < D; ++d) {
      next_o.one();
      next_v.one();
      Vector o[kTokens], v[kTokens];
#pragma GCC unroll 4
      for (int k = 0; k < kTokens; ++k) o[k] = L::load(room.turned_o.data() + d * L::tile + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int k = 0; k < kTokens; ++k) sum[j][k] += L::all(w[j * D + d]) * o[k];
#pragma GCC unroll 4
      for (int k = 0; k < kTokens; ++k) v[k] = L::load(room.turned_v.data() + d * L::tile + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j)
#pragma GCC unroll 4
        for (int k = 0; k < kTokens; ++k) sum[j][k] += L::all(ds[j * D + d]) * v[k];
    }
#pragma GCC unroll 4
    for (int k = 0; k < kTokens; ++k) {
      Vector total = L::load(partial.data() + k * L::count);
#pragma GCC unroll 8
      for (int j = 0; j < rows; ++j) {
        Real* p = p_MT + ptrdiff_t(row + j) * L::tile + k * L::count;
        const Vector g = L::load(p) * sum[j][k];
        L::store(p, g);  // G takes the place of P
        total += g;
      }
      L::store(partial.data() + k * L::count, total);
    }
  });
  scattered<Real>(p_MT, M, head.landmark_MD, num, D, {to.q.row(first), to.q.step},
                  tokens_at(head, head.q, earlier), [&](int t, int d, Vector x) INLINED {
                    const auto pull = L::load(head.q.row(first + t) + d) * L::all(s * partial[t]);
                    L::store(to.q.row(first + t) + d, L::all(s) * (x - pull));
                  });
  gathered<Real>(p_MT, M, {head.q.row(first), head.q.step}, num, D, to.landmark_MD, {});
}

// Every gradient of `forward`, given dO and the S and W that it left.
template <class Real>
static INLINE void backward(const Head<Real>& head, Room<Real>& room, Rows<const Real> grad,
                            const Real* s_MD, const Real* w_MD, Gradients<Real> to) {
  using L = Lanes<Real>;
  const int N = head.N, M = head.M, D = head.D;
  const size_t size = size_t(M) * D;
  std::vector<Real> dw(size), ds(size);
  prepare(head, room);
  for (int first = 0; first < N; first += L::tile) {
    const Real* p_MT = kernel_tile(head, room, first);
    gathered<Real>(p_MT, M, {grad.row(first), grad.step}, held<Real>(N, first), D, dw.data(),
                   tokens_at(head, grad, first + L::tile));
  }
  outer(dw.data(), s_MD, M, D, room.turned_o.data(), to.inverse_MM);
  mixed<Real>({head.inverse_MM, 1, M}, {dw.data(), D}, M, D, ds.data());
  std::memset(to.landmark_MD, 0, sizeof(Real) * size);
  for (int first = (Room<Real>::tiles(N) - 1) * L::tile; first >= 0; first -= L::tile)
    backward_tile(head, room, grad, w_MD, ds.data(), to, first);
  const Real s = Real(head.scale);
  for (int j = 0; j < M; ++j) {
    const size_t begin = size_t(j) * D, end = begin + D;
    typename L::Vector sums{};
    for (size_t i = begin; i < end; i += L::count)
      sums += L::load(w_MD + i) * L::load(&dw[i]) + L::load(&ds[i]) * L::load(s_MD + i);
    const auto total = L::all(L::total(sums));
    for (size_t i = begin; i < end; i += L::count)
      L::store(to.landmark_MD + i, L::all(s) * L::load(to.landmark_MD + i) -
                                       L::load(head.landmark_MD + i) * total);
  }
}
