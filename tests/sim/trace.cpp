#include "tests/sim/trace.hpp"

#include <cstdio>

namespace loam::sim {

void Trace::line(const std::string& text) {
  octets(bytes_of(text));
  if (is_shown_) std::printf("%s\n", text.c_str());
}

// FNV-1a over eight octets at a time: a frame is hashed at every step of a run.
void Trace::octets(BytesView octets) {
  constexpr std::uint64_t prime = 0x100000001b3U;
  std::size_t at = 0;
  for (; at + 8 <= octets.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, octets.data() + at, sizeof word);
    hash_ = (hash_ ^ word) * prime;
    hash_ ^= hash_ >> 29;
  }
  for (; at < octets.size(); ++at) {
    hash_ = (hash_ ^ std::to_integer<std::uint64_t>(octets[at])) * prime;
  }
  hash_ = (hash_ ^ octets.size()) * prime;
}

bool Trace::expect(bool holds, const std::string& what) {
  if (holds) return true;
  if (failure_.empty()) {
    failure_ = what;
    line("BROKEN: " + what);
  }
  return false;
}

}  // namespace loam::sim
