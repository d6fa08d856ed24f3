#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace loam {

/// A set of places below a fixed size, a bit for each. Those that are joined have one size.
class Bits {
 public:
  explicit Bits(std::size_t size = 0) : words_((size + 63) / 64) {}

  bool operator[](std::size_t place) const noexcept { return (words_[place / 64] >> place % 64 & 1) != 0; }
  void insert(std::size_t place) noexcept { words_[place / 64] |= std::uint64_t{1} << place % 64; }
  void insert(const Bits& other) noexcept {
    for (std::size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  bool operator==(const Bits&) const = default;

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace loam
