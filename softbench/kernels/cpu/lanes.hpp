// A vector of numbers as wide as the machine's registers, and what is done with it.
//
// Written with the compiler's own vector types, so that one source serves every width.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <type_traits>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#define INLINED __attribute__((always_inline))
#define INLINE inline INLINED

#if defined(__AVX512F__)
constexpr int kBytes = 64, kAcross = 4, kRows = 7, kTokens = 3;
#elif defined(__AVX2__)
constexpr int kBytes = 32, kAcross = 2, kRows = 5, kTokens = 2;
#else
constexpr int kBytes = 16, kAcross = 2, kRows = 4, kTokens = 2;
#endif
// kAcross vectors by kRows rows, or kTokens by kRows, fill the registers with running sums.

template <class Real>
struct Lanes {
  static constexpr int count = kBytes / int(sizeof(Real));
  static constexpr int tile = kTokens * count;  // tokens that are worked on together
  using Whole = std::conditional_t<sizeof(Real) == 4, int32_t, int64_t>;
  typedef Real Vector __attribute__((vector_size(kBytes)));
  typedef Real Unaligned __attribute__((vector_size(kBytes), aligned(sizeof(Real))));
  typedef Whole Mask __attribute__((vector_size(kBytes)));

  static INLINE Vector all(Real x) { return x - Vector{}; }
  static INLINE Vector load(const Real* from) { return *reinterpret_cast<const Unaligned*>(from); }
  static INLINE void store(Real* to, Vector x) { *reinterpret_cast<Unaligned*>(to) = x; }
  static INLINE Real total(Vector x) {
    Real sum = 0;
    for (int lane = 0; lane < count; ++lane) sum += x[lane];
    return sum;
  }
};

// The lesser of two numbers, lane by lane; a NaN of x stays.
template <class Real>
static INLINE typename Lanes<Real>::Vector least(typename Lanes<Real>::Vector bound,
                                                 typename Lanes<Real>::Vector x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4) return _mm512_min_ps(bound, x);
#endif
  return x > bound ? bound : x;
}

// 2^f on [-1/2, 1/2] by a polynomial, its coefficients from the highest down.
template <class Real>
struct Series;
template <>
struct Series<float> {
  static constexpr int mantissa = 23;
  static constexpr float least = -126, magic = 12582912.0f;  // 1.5 · 2^23
  // Interpolated at the Chebyshev nodes: 2e-8 relative at most, rounding aside.
  static constexpr float terms[] = {
      0.000154614449f, 0.0013400428f, 0.00961805694f, 0.0555032715f,
      0.240226507f, 0.693147182f, 1.0f};
};
template <>
struct Series<double> {
  static constexpr int mantissa = 52;
  static constexpr double least = -1022, magic = 6755399441055744.0;  // 1.5 · 2^52
  // (ln 2)^n / n!, the Taylor series, cut where its rest is below 2e-16.
  static constexpr double terms[] = {2.5678435993488196e-11, 4.44553827187081e-10, 7.054911620801121e-09, 1.0178086009239696e-07, 1.3215486790144305e-06, 1.5252733804059838e-05, 0.00015403530393381606, 0.0013333558146428441, 0.009618129107628477, 0.055504108664821576, 0.2402265069591007, 0.6931471805599453, 1.0};
};

template <class Real, class Vector>
static INLINE Vector polynomial(Vector rest) {
  using L = Lanes<Real>;
  Vector sum = L::all(Series<Real>::terms[0]);
  for (size_t n = 1; n < std::size(Series<Real>::terms); ++n)
    sum = sum * rest + L::all(Series<Real>::terms[n]);
  return sum;
}

// 2^x of x <= 0; 0 where that is below the least normal number, for what is computed with smaller
// ones takes many times as long; NaN stays NaN.
template <class Real>
static INLINE typename Lanes<Real>::Vector exp2(typename Lanes<Real>::Vector x) {
  using L = Lanes<Real>;
  using S = Series<Real>;
  const auto seen = (x >= L::all(S::least)) | (x != x);
#if defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4) {
    const auto whole = _mm512_roundscale_ps(x, 0);
    const typename L::Vector power = _mm512_scalef_ps(polynomial<Real>(x - whole), whole);
    return seen ? power : L::all(0);
  }
#endif
  // Adding 1.5 · 2^mantissa rounds to the nearest whole number and leaves it in the low bits.
  const auto shifted = x + L::all(S::magic);
  const auto sum = polynomial<Real>(x - (shifted - L::all(S::magic)));
  const auto whole = reinterpret_cast<typename L::Mask>(shifted) << S::mantissa;
  const auto power =
      reinterpret_cast<typename L::Vector>(reinterpret_cast<typename L::Mask>(sum) + whole);
  return x != x ? x : seen ? power : L::all(0);
}

// Lanes of two vectors by their numbers, those of `other` after those of `one`.
template <class Real, int... lanes>
static INLINE typename Lanes<Real>::Vector picked(typename Lanes<Real>::Vector one,
                                                  typename Lanes<Real>::Vector other) {
#if defined(__clang__)
  return __builtin_shufflevector(one, other, lanes...);
#else  // GCC knows that one from version 12 on, and clang does not know this one.
  return __builtin_shuffle(one, other, typename Lanes<Real>::Mask{lanes...});
#endif
}

// Rows and lanes that differ in one bit of their number change places.
template <class Real, int bit, int... lane>
static INLINE void exchange(typename Lanes<Real>::Vector* rows,
                            std::integer_sequence<int, lane...>) {
  constexpr int count = Lanes<Real>::count;
#pragma GCC unroll 16
  for (int row = 0; row < count; ++row) {
    if (row & bit) continue;
    const auto one = rows[row], other = rows[row + bit];
    rows[row] = picked<Real, (lane & bit ? count + lane - bit : lane)...>(one, other);
    rows[row + bit] = picked<Real, (lane & bit ? count + lane : lane + bit)...>(one, other);
  }
}

// A square of vectors transposed, bit by bit.
template <class Real, int bit = 1>
static INLINE void transpose(typename Lanes<Real>::Vector* rows) {
  constexpr int count = Lanes<Real>::count;
  if constexpr (bit < count) {
    exchange<Real, bit>(rows, std::make_integer_sequence<int, count>{});
    transpose<Real, 2 * bit>(rows);
  }
}
