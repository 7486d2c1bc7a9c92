// The entry points that Python calls, a set of them for each dtype. What a call computes in Python
// hands over: so many numbers as *_scratch says, for all its threads.
#include "soft.hpp"

#define SCRATCH(Real, dtype, name, Kind)                                    \
  int64_t name##_scratch_##dtype(const Sizes* sizes) {                      \
    return sizes->threads * scratch_size<Real, Kind>(*sizes);               \
  }

#define ENTRIES(Real, dtype)                                                                      \
  int64_t lanes_##dtype() { return Lanes<Real>::count; }                                          \
  SCRATCH(Real, dtype, forward, Room)                                                             \
  SCRATCH(Real, dtype, backward, BackwardRoom)                                                    \
  SCRATCH(Real, dtype, inverse, InverseRoom)                                                      \
  SCRATCH(Real, dtype, inverse_gradient, InverseBackwardRoom)                                     \
  SCRATCH(Real, dtype, soft, SoftRoom)                                                            \
  SCRATCH(Real, dtype, soft_alone, SoftAloneRoom)                                                 \
  SCRATCH(Real, dtype, soft_gradient, SoftBackwardRoom)                                           \
  void forward_##dtype(const Sizes* sizes, const Operand* in, const Operand* out, void* scratch) { \
    all_forward<Real>(*sizes, in, out, scratch);                                                  \
  }                                                                                               \
  void backward_##dtype(const Sizes* sizes, const Operand* in, const Operand* out,                \
                        void* scratch) {                                                          \
    all_backward<Real>(*sizes, in, out, scratch);                                                 \
  }                                                                                               \
  void pooled_##dtype(const Sizes* sizes, const Windows* windows, const Operand* x) {             \
    all_pooled<Real>(*sizes, *windows, x);                                                        \
  }                                                                                               \
  void pooled_gradient_##dtype(const Sizes* sizes, const Windows* windows, const Operand* x) {    \
    all_pooled_gradients<Real>(*sizes, *windows, x);                                              \
  }                                                                                               \
  void inverse_##dtype(const Sizes* sizes, int64_t steps, double ridge, const Operand* x,         \
                       void* scratch) {                                                           \
    all_inverses<Real>(*sizes, steps, ridge, x, scratch);                                         \
  }                                                                                               \
  void inverse_gradient_##dtype(const Sizes* sizes, const Operand* x, void* scratch) {            \
    all_inverse_gradients<Real>(*sizes, x, scratch);                                              \
  }                                                                                               \
  void soft_##dtype(const Sizes* sizes, const Windows* windows, int64_t steps, double ridge,      \
                    const Operand* in, const Operand* out, void* scratch) {                       \
    all_soft<Real>(*sizes, *windows, steps, ridge, in, out, scratch);                             \
  }                                                                                               \
  void soft_alone_##dtype(const Sizes* sizes, const Windows* windows, int64_t steps, double ridge, \
                          const Operand* in, const Operand* out, void* scratch) {                 \
    all_soft_alone<Real>(*sizes, *windows, steps, ridge, in, out, scratch);                       \
  }                                                                                               \
  void soft_gradient_##dtype(const Sizes* sizes, const Windows* windows, const Operand* in,       \
                             const Operand* out, void* scratch) {                                 \
    all_soft_gradients<Real>(*sizes, *windows, in, out, scratch);                                 \
  }

extern "C" {
// Of which sources this was compiled, as _sources.py tells them apart.
const char* sources() { return SOURCES; }
ENTRIES(float, float32)
ENTRIES(double, float64)
}
