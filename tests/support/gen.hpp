#pragma once

#include <cassert>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "crdt/value.hpp"

namespace test {

/// The choices that drive a scenario. Made from a seed they are pseudo-random (splitmix64, Steele,
/// Lea and Flood, 2014); made from fuzz input they are read from its octets, and once those are
/// used up every choice is the first one. So one scenario is a unit test, a simulation and a fuzz
/// target. A value: a copy makes the same choices.
class Gen {
 public:
  explicit Gen(std::uint64_t seed) : state_(seed) {}
  explicit Gen(loam::BytesView input) : input_(loam::copy_of(input)), is_seeded_(false) {}

  /// Whether fuzz input is used up; never for a seed.
  bool exhausted() const noexcept { return !is_seeded_ && read_ == input_.size(); }

  /// Sixty-four bits.
  std::uint64_t bits() { return is_seeded_ ? splitmix() : octets(8); }

  /// A number from 0 to n − 1; n ≥ 1. Reads as few octets of fuzz input as n needs.
  std::uint64_t below(std::uint64_t n) {
    assert(n >= 1);
    if (is_seeded_) return splitmix() % n;
    int size = 0;
    for (std::uint64_t rest = n - 1; rest > 0; rest >>= 8) ++size;
    return octets(size) % n;
  }

  /// A number from `first` to `last`, both included.
  std::uint64_t between(std::uint64_t first, std::uint64_t last) {
    assert(first <= last);
    const std::uint64_t span = last - first;
    return span == ~std::uint64_t{0} ? bits() : first + below(span + 1);
  }

  bool coin() { return below(2) == 1; }

  /// True once in n times.
  bool one_in(std::uint64_t n) { return below(n) == n - 1; }

  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[index(from.size())];
  }

  std::size_t index(std::size_t size) { return static_cast<std::size_t>(below(size)); }

  /// The same elements in any order.
  template <class T>
  std::vector<T> shuffled(std::vector<T> items) {
    for (std::size_t left = items.size(); left > 1; --left) {
      std::swap(items[left - 1], items[index(left)]);
    }
    return items;
  }

  /// Up to `size_max` octets.
  loam::Bytes bytes(std::size_t size_max) {
    loam::Bytes result(index(size_max + 1));
    for (std::byte& octet : result) octet = static_cast<std::byte>(below(256));
    return result;
  }

  /// Up to `size_max` printable ASCII characters.
  std::string ascii(std::size_t size_max) {
    std::string result(index(size_max + 1), ' ');
    for (char& c : result) c = static_cast<char>(between(0x20, 0x7e));
    return result;
  }

  /// Up to `size_max` Unicode characters in UTF-8, of one to four octets each, NUL included.
  std::string text(std::size_t size_max) {
    std::string result;
    for (std::size_t left = index(size_max + 1); left > 0; --left) append_character(result);
    return result;
  }

  /// An integer of any magnitude: every width of the encoding is likely.
  std::uint64_t number() { return bits() >> below(64); }

  /// A value whose containers nest at most `depth` deep and hold at most 5 elements.
  loam::Value value(unsigned depth) {
    switch (below(depth == 0 ? 7 : 9)) {
      case 0: return {};
      case 1: return coin();
      case 2: return number();
      case 3: return -static_cast<std::int64_t>(number() >> 1) - 1;
      case 4: return real();
      case 5: return text(40);
      case 6: return bytes(40);
      case 7: return array(depth - 1);
      default: return map(depth - 1);
    }
  }

  loam::Map map(unsigned depth) {
    loam::Map result;
    for (std::size_t left = index(6); left > 0; --left) result[text(6)] = value(depth);
    return result;
  }

 private:
  std::uint64_t splitmix() noexcept {
    std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15U;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebU;
    return mixed ^ (mixed >> 31);
  }

  std::uint64_t octets(int size) noexcept {
    std::uint64_t result = 0;
    for (; size > 0; --size) {
      const bool is_left = read_ < input_.size();
      result = (result << 8) | (is_left ? std::to_integer<std::uint64_t>(input_[read_++]) : 0);
    }
    return result;
  }

  double real() {
    if (coin()) return static_cast<double>(between(0, 2000)) / 8.0 - 125.0;
    double result = 0;
    const std::uint64_t pattern = bits();
    std::memcpy(&result, &pattern, sizeof result);
    return std::isnan(result) || result == 0 ? 0.0 : result;
  }

  loam::Array array(unsigned depth) {
    loam::Array result;
    for (std::size_t left = index(6); left > 0; --left) result.push_back(value(depth));
    return result;
  }

  void append_character(std::string& to) {
    const auto put = [&](std::uint64_t octet) { to.push_back(static_cast<char>(octet)); };
    const auto tail = [](std::uint64_t code, int shift) {
      return 0x80U | ((code >> shift) & 0x3fU);
    };
    std::uint64_t code = 0;
    switch (below(4)) {
      case 0: return put(below(0x80));
      case 1:
        code = between(0x80, 0x7ff);
        put(0xc0U | (code >> 6));
        return put(tail(code, 0));
      case 2:
        code = between(0x800, 0xffff - 0x800);
        if (code >= 0xd800) code += 0x800;  // no surrogates
        put(0xe0U | (code >> 12));
        put(tail(code, 6));
        return put(tail(code, 0));
      default:
        code = between(0x10000, 0x10ffff);
        put(0xf0U | (code >> 18));
        put(tail(code, 12));
        put(tail(code, 6));
        return put(tail(code, 0));
    }
  }

  std::uint64_t state_ = 0;
  loam::Bytes input_;
  std::size_t read_ = 0;
  bool is_seeded_ = true;
};

}  // namespace test
