// Pages of outputs that nobody has touched yet.
//
// The system clears and maps a page when it is first written. One by one that takes about as long as
// the arithmetic on it: a microsecond on the machine this was measured on, half of that where pages
// are asked for together, a fifth in large pages.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

// Asks for large pages wherever a whole one lies within.
static void in_large_pages(void* data, size_t size) {
#if defined(__linux__)
  constexpr uintptr_t page = 1 << 21;
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (begin + page - 1) & ~(page - 1);
  const uintptr_t end = (begin + size) & ~(page - 1);
  if (end > first) madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

// Maps what is not mapped yet, looked for at both ends. An older system refuses, and nothing is lost.
static void mapped(void* data, size_t size) {
#if defined(__linux__)
  constexpr int kPopulateWrite = 23;  // MADV_POPULATE_WRITE, since Linux 5.14
  const auto page = uintptr_t(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(data) & ~(page - 1);
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + size) & ~(page - 1);
  if (end < begin + 4 * page) return;
  unsigned char first = 1, last = 1;
  // The first page may be shared with what lies before; the second is its own.
  mincore(reinterpret_cast<void*>(begin + page), page, &first);
  mincore(reinterpret_cast<void*>(end - page), page, &last);
  if (!(first & last & 1))
    madvise(reinterpret_cast<void*>(begin), end - begin, kPopulateWrite);
#endif
}
