#include "crdt/invitation.hpp"

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "crdt/hash.hpp"
#include "crdt/name.hpp"

namespace loam {
namespace {

constexpr std::string_view prefix = "loam-";
constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";  // Crockford's, as ids have them
constexpr std::size_t check_octets = 4;
constexpr std::uint64_t token_version = 1;
constexpr std::size_t token_parts = 8;

[[noreturn]] void reject_token(const std::string& why) { throw Error(ErrorCode::invalid, "token: " + why); }

std::string text_of_octets(BytesView octets) {
  std::string text;
  unsigned window = 0;
  int bits = 0;
  for (const std::byte octet : octets) {
    window = (window << 8) | std::to_integer<unsigned>(octet);
    bits += 8;
    for (; bits >= 5; bits -= 5) text.push_back(digits[(window >> (bits - 5)) & 31U]);
    window &= (1U << bits) - 1;
  }
  if (bits > 0) text.push_back(digits[(window << (5 - bits)) & 31U]);
  return text;
}

// Either case. What is left over in the last digit must be zeros: every token has one text.
Bytes octets_of_text(std::string_view text) {
  Bytes octets;
  unsigned window = 0;
  int bits = 0;
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const std::size_t digit = digits.find(lower);
    if (digit == std::string_view::npos) reject_token("a character that does not belong there");
    window = (window << 5) | static_cast<unsigned>(digit);
    bits += 5;
    if (bits < 8) continue;
    bits -= 8;
    octets.push_back(static_cast<std::byte>((window >> bits) & 255U));
    window &= (1U << bits) - 1;
  }
  if (window != 0 || bits >= 5) reject_token("cut short or mistyped");
  return octets;
}

std::array<std::byte, 16> check_of(BytesView octets) { return hash128("loam token 1", {octets}); }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view white = " \t\r\n";
  const std::size_t first = text.find_first_not_of(white);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(white) - first + 1);
}

PublicKey key_from(const Value& value) {
  const auto key = PublicKey::from(as_octets(value, "token: key"));
  if (!key) reject_token("a key of another size");
  check_public_key(*key);
  return *key;
}

std::array<std::byte, 16> sixteen_from(const Value& value) {
  const Bytes& octets = as_octets(value, "token");
  std::array<std::byte, 16> out{};
  if (octets.size() != out.size()) reject_token("a part of another size");
  std::copy(octets.begin(), octets.end(), out.begin());
  return out;
}

}  // namespace

std::string token_of(const Invitation& invitation) {
  Bytes octets;
  Writer(octets).array(token_parts).number(token_version).octets(invitation.root.founder.view())
      .octets(invitation.root.nonce).octets(invitation.governor.view()).text(invitation.endpoint)
      .text(invitation.name).octets(invitation.secret).integer(invitation.expires_ms);
  const auto check = check_of(octets);
  octets.insert(octets.end(), check.begin(), check.begin() + check_octets);
  return std::string(prefix) + text_of_octets(octets);
}

Invitation parse_token(std::string_view token) {
  token = trimmed(token);
  if (!token.starts_with(prefix)) reject_token("does not begin with " + std::string(prefix));
  const Bytes octets = octets_of_text(token.substr(prefix.size()));
  if (octets.size() <= check_octets) reject_token("cut short");
  const BytesView content = BytesView(octets).first(octets.size() - check_octets);
  const auto check = check_of(content);
  if (!equal(BytesView(check).first(check_octets), BytesView(octets).last(check_octets))) {
    reject_token("cut short or mistyped");
  }
  const Value value = decode(content);
  const Array& array = as_array(value, "token");
  if (array.empty() || as_number(array[0], "token: version") != token_version) reject_token("of another version");
  if (array.size() != token_parts) reject_token("of another form");
  Invitation invitation;
  invitation.root = {key_from(array[1]), sixteen_from(array[2])};
  invitation.governor = key_from(array[3]);
  invitation.endpoint = as_text(array[4], "token: endpoint");
  if (invitation.endpoint.size() > invitation_endpoint_max) reject_token("an endpoint that is too long");
  invitation.name = as_text(array[5], "token: name");
  if (!is_name(invitation.name)) reject_token("a name that is none");
  invitation.secret = sixteen_from(array[6]);
  const auto* expires = array[7].get<std::int64_t>();
  if (expires == nullptr) reject_token("expires at no time");
  invitation.expires_ms = *expires;
  return invitation;
}

std::array<std::byte, 16> secret_hash(const std::array<std::byte, 16>& secret) {
  return hash128("loam invitation 1", {secret});
}

}  // namespace loam
