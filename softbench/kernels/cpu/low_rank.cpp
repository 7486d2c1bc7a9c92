// The entry points that Python calls: all heads of a batch, dealt to threads.
//
// Heads are independent; with fewer heads than threads the rest of the threads have nothing to do.
#include <atomic>
#include <new>
#include <system_error>
#include <thread>

#include "landmarks.hpp"
#include "pages.hpp"
#include "windows.hpp"

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

// Numbers that P of one head takes, its last tile filled up.
template <class Real>
static int64_t kernel_size(const Sizes& sizes) {
  return int64_t(Room<Real>::tiles(int(sizes.tokens))) * Lanes<Real>::tile * sizes.landmarks;
}

// Calls work(thread, index) for every head, in at most sizes.threads threads. False: no memory.
template <class Work>
static bool for_heads(const Sizes& sizes, Work work) {
  const int64_t heads = sizes.batch * sizes.heads;
  const int64_t threads = heads < sizes.threads ? heads : sizes.threads;
  std::atomic<int64_t> next{0};
  std::atomic<bool> fits{true};
  auto run = [&](int64_t thread) {
    try {
      for (int64_t index; (index = next++) < heads;) work(thread, index);
    } catch (...) {
      fits = false;
    }
  };
  std::vector<std::thread> others;
  try {
    others.reserve(threads > 0 ? threads : 0);
    for (int64_t i = 1; i < threads; ++i) others.emplace_back(run, i);
  } catch (const std::exception&) {
    // The system has no more threads to give: those that run do it all.
  }
  if (threads > 0) run(0);
  for (auto& other : others) other.join();
  return fits;
}

template <class Real>
static Room<Real> room_of(const Sizes& sizes, void* kernels, int64_t thread) {
  auto* own = static_cast<Real*>(kernels) + thread * kernel_size<Real>(sizes);
  return Room<Real>(own, int(sizes.landmarks), int(sizes.width));
}

template <class Real>
static Head<Real> head_of(const Sizes& sizes, const Operand& q, const Operand& v,
                          const Operand& landmarks, const Operand& inverse, int64_t index) {
  return {int(sizes.tokens), int(sizes.landmarks), int(sizes.width),
          rows_of<const Real>(q, index, sizes), rows_of<const Real>(v, index, sizes),
          rows_of<const Real>(landmarks, index, sizes).data,
          rows_of<const Real>(inverse, index, sizes).data, sizes.scale};
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

// in: q, v, landmarks, inverse; out: out, S, W.
template <class Real>
static bool all_forward(const Sizes& sizes, const Operand* in, const Operand* out, void* kernels) {
  in_large_pages<Real>(out[0], sizes);
  return for_heads(sizes, [&](int64_t thread, int64_t index) {
    Room<Real> room = room_of<Real>(sizes, kernels, thread);
    forward<Real>(head_of<Real>(sizes, in[0], in[1], in[2], in[3], index), room,
                  output_of<Real>(out[0], index, sizes), rows_of<Real>(out[1], index, sizes).data,
                  rows_of<Real>(out[2], index, sizes).data);
  });
}

// in: q, v, landmarks, inverse, dO, S, W; out: dq, dv, d landmarks, d inverse.
template <class Real>
static bool all_backward(const Sizes& sizes, const Operand* in, const Operand* out, void* kernels) {
  in_large_pages<Real>(out[0], sizes);
  in_large_pages<Real>(out[1], sizes);
  return for_heads(sizes, [&](int64_t thread, int64_t index) {
    Room<Real> room = room_of<Real>(sizes, kernels, thread);
    backward<Real>(head_of<Real>(sizes, in[0], in[1], in[2], in[3], index), room,
                   rows_of<const Real>(in[4], index, sizes),
                   rows_of<const Real>(in[5], index, sizes).data,
                   rows_of<const Real>(in[6], index, sizes).data,
                   {output_of<Real>(out[0], index, sizes), output_of<Real>(out[1], index, sizes),
                    rows_of<Real>(out[2], index, sizes).data,
                    rows_of<Real>(out[3], index, sizes).data});
  });
}

// x: q and landmarks of every head.
template <class Real>
static bool all_pooled(const Sizes& sizes, const Windows& windows, const Operand* x) {
  return for_heads(sizes, [&](int64_t, int64_t index) {
    pooled<Real>(rows_of<const Real>(x[0], index, sizes), windows, sizes.scale, int(sizes.width),
                 rows_of<Real>(x[1], index, sizes).data);
  });
}

// x: d landmarks and dq of every head.
template <class Real>
static bool all_pooled_gradients(const Sizes& sizes, const Windows& windows, const Operand* x) {
  return for_heads(sizes, [&](int64_t, int64_t index) {
    add_pooled_gradient<Real>(rows_of<const Real>(x[0], index, sizes).data, windows, sizes.scale,
                              int(sizes.width), rows_of<Real>(x[1], index, sizes));
  });
}

// x: landmarks and X of every head.
template <class Real>
static bool all_inverses(const Sizes& sizes, int64_t steps, double ridge, const Operand* x) {
  return for_heads(sizes, [&](int64_t, int64_t index) {
    landmark_inverse<Real>(rows_of<const Real>(x[0], index, sizes).data, int(sizes.landmarks),
                           int(sizes.width), steps, ridge, rows_of<Real>(x[1], index, sizes).data,
                           {}, {});
  });
}

// x: landmarks, X, dX and d landmarks of every head.
template <class Real>
static bool all_inverse_gradients(const Sizes& sizes, const Operand* x) {
  return for_heads(sizes, [&](int64_t, int64_t index) {
    landmark_inverse_backward<Real>(
        rows_of<const Real>(x[0], index, sizes).data, rows_of<const Real>(x[1], index, sizes).data,
        rows_of<const Real>(x[2], index, sizes).data, int(sizes.landmarks), int(sizes.width),
        rows_of<Real>(x[3], index, sizes).data);
  });
}

// Tokens of head `index` that are worth fetching ahead: as many as leave room in the second cache.
template <class Real>
static Fetch<0, 2> ahead(const Operand& x, int64_t index, const Sizes& sizes) {
  constexpr int64_t most = 1 << 19;  // bytes
  if (index >= sizes.batch * sizes.heads) return {};
  const int64_t fitting = most / (sizes.width * int64_t(sizeof(Real)));
  const int count = int(fitting < sizes.tokens ? fitting : sizes.tokens);
  return fetching<0, 2>(rows_of<const Real>(x, index, sizes), count, int(sizes.width));
}

// All of SOFT, head by head: what one step leaves in the caches the next finds there.
// in: q, v; out: out, S, W, landmarks, X.
template <class Real>
static bool all_soft(const Sizes& sizes, const Windows& windows, int64_t steps, double ridge,
                     const Operand* in, const Operand* out, void* kernels) {
  in_large_pages<Real>(out[0], sizes);
  const int M = int(sizes.landmarks), D = int(sizes.width);
  return for_heads(sizes, [&](int64_t thread, int64_t index) {
    Real* landmark_MD = rows_of<Real>(out[3], index, sizes).data;
    Real* inverse_MM = rows_of<Real>(out[4], index, sizes).data;
    pooled<Real>(rows_of<const Real>(in[0], index, sizes), windows, sizes.scale, D, landmark_MD);
    landmark_inverse<Real>(landmark_MD, M, D, steps, ridge, inverse_MM,
                           ahead<Real>(in[1], index, sizes),
                           ahead<Real>(in[0], index + sizes.threads, sizes));
    Room<Real> room = room_of<Real>(sizes, kernels, thread);
    forward<Real>(head_of<Real>(sizes, in[0], in[1], out[3], out[4], index), room,
                  output_of<Real>(out[0], index, sizes), rows_of<Real>(out[1], index, sizes).data,
                  rows_of<Real>(out[2], index, sizes).data);
  });
}

// in: q, v, landmarks, X, dO, S, W; out: dq, dv.
template <class Real>
static bool all_soft_gradients(const Sizes& sizes, const Windows& windows, const Operand* in,
                               const Operand* out, void* kernels) {
  in_large_pages<Real>(out[0], sizes);
  in_large_pages<Real>(out[1], sizes);
  const int M = int(sizes.landmarks), D = int(sizes.width);
  return for_heads(sizes, [&](int64_t thread, int64_t index) {
    Room<Real> room = room_of<Real>(sizes, kernels, thread);
    const Head<Real> head = head_of<Real>(sizes, in[0], in[1], in[2], in[3], index);
    std::vector<Real> dl(size_t(M) * D), through_x(dl.size()), dx(size_t(M) * M);
    const Rows<Real> dq = output_of<Real>(out[0], index, sizes);
    backward<Real>(head, room, rows_of<const Real>(in[4], index, sizes),
                   rows_of<const Real>(in[5], index, sizes).data,
                   rows_of<const Real>(in[6], index, sizes).data,
                   {dq, output_of<Real>(out[1], index, sizes), dl.data(), dx.data()});
    landmark_inverse_backward<Real>(head.landmark_MD, head.inverse_MM, dx.data(), M, D,
                                    through_x.data());
    for (size_t i = 0; i < dl.size(); ++i) dl[i] += through_x[i];
    add_pooled_gradient<Real>(dl.data(), windows, sizes.scale, D, dq);
  });
}

extern "C" {
int64_t kernel_size_float32(const Sizes* sizes) { return kernel_size<float>(*sizes); }
int64_t kernel_size_float64(const Sizes* sizes) { return kernel_size<double>(*sizes); }
int64_t lanes_float32() { return Lanes<float>::count; }
int64_t lanes_float64() { return Lanes<double>::count; }
bool forward_float32(const Sizes* sizes, const Operand* in, const Operand* out,
                      void* kernels) {
  return all_forward<float>(*sizes, in, out, kernels);
}
bool forward_float64(const Sizes* sizes, const Operand* in, const Operand* out,
                      void* kernels) {
  return all_forward<double>(*sizes, in, out, kernels);
}
bool backward_float32(const Sizes* sizes, const Operand* in, const Operand* out,
                      void* kernels) {
  return all_backward<float>(*sizes, in, out, kernels);
}
bool backward_float64(const Sizes* sizes, const Operand* in, const Operand* out,
                      void* kernels) {
  return all_backward<double>(*sizes, in, out, kernels);
}
bool pooled_float32(const Sizes* sizes, const Windows* windows, const Operand* x) {
  return all_pooled<float>(*sizes, *windows, x);
}
bool pooled_float64(const Sizes* sizes, const Windows* windows, const Operand* x) {
  return all_pooled<double>(*sizes, *windows, x);
}
bool pooled_gradient_float32(const Sizes* sizes, const Windows* windows, const Operand* x) {
  return all_pooled_gradients<float>(*sizes, *windows, x);
}
bool pooled_gradient_float64(const Sizes* sizes, const Windows* windows, const Operand* x) {
  return all_pooled_gradients<double>(*sizes, *windows, x);
}
bool inverse_float32(const Sizes* sizes, int64_t steps, double ridge, const Operand* x) {
  return all_inverses<float>(*sizes, steps, ridge, x);
}
bool inverse_float64(const Sizes* sizes, int64_t steps, double ridge, const Operand* x) {
  return all_inverses<double>(*sizes, steps, ridge, x);
}
bool inverse_gradient_float32(const Sizes* sizes, const Operand* x) {
  return all_inverse_gradients<float>(*sizes, x);
}
bool inverse_gradient_float64(const Sizes* sizes, const Operand* x) {
  return all_inverse_gradients<double>(*sizes, x);
}
bool soft_float32(const Sizes* sizes, const Windows* windows, int64_t steps, double ridge,
                  const Operand* in, const Operand* out, void* kernels) {
  return all_soft<float>(*sizes, *windows, steps, ridge, in, out, kernels);
}
bool soft_float64(const Sizes* sizes, const Windows* windows, int64_t steps, double ridge,
                  const Operand* in, const Operand* out, void* kernels) {
  return all_soft<double>(*sizes, *windows, steps, ridge, in, out, kernels);
}
bool soft_gradient_float32(const Sizes* sizes, const Windows* windows, const Operand* in,
                           const Operand* out, void* kernels) {
  return all_soft_gradients<float>(*sizes, *windows, in, out, kernels);
}
bool soft_gradient_float64(const Sizes* sizes, const Windows* windows, const Operand* in,
                           const Operand* out, void* kernels) {
  return all_soft_gradients<double>(*sizes, *windows, in, out, kernels);
}
}
