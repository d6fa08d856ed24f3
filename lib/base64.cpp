#include "lib/base64.hpp"

#include <sodium.h>

namespace loam {
namespace {

constexpr int base64 = sodium_base64_VARIANT_ORIGINAL;

}  // namespace

std::string base64_of(BytesView octets) {
  std::string text(sodium_base64_encoded_len(octets.size(), base64), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(octets.data()),
                    octets.size(), base64);
  text.pop_back();  // its zero
  return text;
}

std::optional<Bytes> octets_of_base64(std::string_view text) {
  Bytes octets(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  const int code = sodium_base642bin(reinterpret_cast<unsigned char*>(octets.data()), octets.size(),
                                     text.data(), text.size(), " \r\n", &size, nullptr, base64);
  if (code != 0) return std::nullopt;
  octets.resize(size);
  return octets;
}

}  // namespace loam
