// Memory that the caller hands over, dealt out piece by piece.
//
// Without any it only counts: a room that is made of it so tells what it will take, and no size is
// written down twice. The caller's own, so that whoever measures memory sees it.
#pragma once

#include "fetch.hpp"

template <class Real>
struct Scratch {
  Real* memory;
  ptrdiff_t taken;  // numbers
  // Room for so many numbers, whatever was in it before; pieces share no line.
  Real* take(ptrdiff_t count) {
    constexpr ptrdiff_t line = kLine / sizeof(Real);
    Real* piece = memory ? memory + taken : nullptr;
    taken += (count + line - 1) / line * line;
    return piece;
  }
  // Goes on after both: what `other` was made of lies in the same place.
  void after(const Scratch& other) { taken = taken > other.taken ? taken : other.taken; }
};
