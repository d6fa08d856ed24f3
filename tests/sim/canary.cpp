#include "tests/sim/canary.hpp"

#include <cstring>
#include <string_view>

namespace loam::sim {
namespace {

std::string hex_of(std::string_view text, std::string_view digits) {
  std::string hex;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    hex += digits[octet >> 4];
    hex += digits[octet & 15];
  }
  return hex;
}

// The characters of base64 that the text alone decides when it stands `offset` octets into a group.
std::string base64_core(std::string_view text, std::size_t offset) {
  static constexpr std::string_view digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string whole = std::string(offset, '\0') + std::string(text);
  std::string core;
  for (std::size_t bit = 0; bit + 6 <= whole.size() * 8; bit += 6) {
    unsigned value = 0;
    for (std::size_t i = bit; i < bit + 6; ++i) {
      const auto octet = static_cast<unsigned char>(whole[i / 8]);
      value = (value << 1) | ((octet >> (7 - i % 8)) & 1U);
    }
    if (bit >= offset * 8) core += digits[value];
  }
  return core;
}

}  // namespace

CanaryScanner::CanaryScanner() {
  forms_.push_back({"raw", canary});
  forms_.push_back({"hexadecimal", hex_of(canary, "0123456789abcdef")});
  forms_.push_back({"hexadecimal", hex_of(canary, "0123456789ABCDEF")});
  for (std::size_t offset = 0; offset < 3; ++offset) {
    forms_.push_back({"base64", base64_core(canary, offset)});
  }
}

std::string CanaryScanner::found_in(BytesView octets) const {
  for (const Form& form : forms_) {
    const void* at = ::memmem(octets.data(), octets.size(), form.text.data(), form.text.size());
    if (at != nullptr) return form.name;
  }
  return {};
}

}  // namespace loam::sim
