#include "tests/sim/random_stream.hpp"

#include <sodium.h>

#include <cstring>

namespace loam::sim {
namespace {

std::uint64_t state = 0;

// splitmix64 (Steele, Lea and Flood, 2014).
std::uint64_t next() noexcept {
  std::uint64_t mixed = state += 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
  return mixed ^ (mixed >> 31);
}

const char* name() { return "seeded"; }
std::uint32_t number() { return static_cast<std::uint32_t>(next()); }

void fill(void* const to, const std::size_t size) {
  auto* at = static_cast<unsigned char*>(to);
  for (std::size_t left = size; left > 0;) {
    const std::uint64_t value = next();
    const std::size_t some = left < sizeof value ? left : sizeof value;
    std::memcpy(at, &value, some);
    at += some;
    left -= some;
  }
}

randombytes_implementation seeded{name, number, nullptr, nullptr, fill, nullptr};

}  // namespace

void seed_randomness(std::uint64_t seed) {
  state = seed;
  static const int installed = randombytes_set_implementation(&seeded);
  (void)installed;
}

std::uint64_t mixed(std::uint64_t left, std::uint64_t right) noexcept {
  std::uint64_t value = left * 0x9e3779b97f4a7c15U + right + 0x632be59bd9b4e019U;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

}  // namespace loam::sim
