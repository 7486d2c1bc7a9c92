// Heads dealt to threads: they are independent, and with fewer heads than threads the rest of the
// threads have nothing to do.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "operands.hpp"

// Calls work(thread, index) for every head, in at most sizes.threads threads. It must not throw.
template <class Work>
static void for_heads(const Sizes& sizes, Work work) {
  const int64_t heads = sizes.batch * sizes.heads;
  const int64_t threads = heads < sizes.threads ? heads : sizes.threads;
  std::atomic<int64_t> next{0};
  auto run = [&](int64_t thread) {
    for (int64_t index; (index = next++) < heads;) work(thread, index);
  };
  std::vector<std::thread> others;
  try {
    others.reserve(threads > 0 ? threads : 0);
    for (int64_t i = 1; i < threads; ++i) others.emplace_back(run, i);
  } catch (const std::exception&) {
    // The system has no more threads or memory to give: those that run do it all.
  }
  if (threads > 0) run(0);
  for (auto& other : others) other.join();
}
