#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/packet.hpp"

namespace bench {

/// Packets like those of real agents: about 200 octets of English-like text, three tags, an author;
/// about 300 octets stored. The same seed and index give the same packet.
class Corpus {
 public:
  explicit Corpus(std::uint64_t seed) : seed_(seed) {}

  loam::PacketEnvelope packet(std::uint64_t index) const;

  /// `count` packets from `first` on.
  std::vector<loam::PacketEnvelope> packets(std::uint64_t first, std::size_t count) const;

 private:
  std::uint64_t seed_;
};

}  // namespace bench
