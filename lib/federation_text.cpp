#include "lib/federation_text.hpp"

#include <sodium.h>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"

namespace loam {
namespace {

constexpr std::string_view first_line = "loam federation 1\n";
constexpr int base64 = sodium_base64_VARIANT_ORIGINAL;

[[noreturn]] void reject_text(const char* why) {
  throw Error(ErrorCode::invalid, std::string("federation: ") + why);
}

Bytes octets_in(std::string_view text) {
  if (text.size() > federation_text_max) {
    throw Error(ErrorCode::limit, "federation: a text of " + std::to_string(text.size()) + " octets, limit " +
                                      std::to_string(federation_text_max));
  }
  if (text.substr(0, first_line.size()) != first_line) reject_text("does not begin with \"loam federation 1\"");
  text.remove_prefix(first_line.size());
  Bytes octets(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  const int code = sodium_base642bin(reinterpret_cast<unsigned char*>(octets.data()), octets.size(), text.data(),
                                     text.size(), " \r\n", &size, nullptr, base64);
  if (code != 0) reject_text("not base64, or cut short");
  octets.resize(size);
  return octets;
}

}  // namespace

std::string text_of(const FederationText& federation) {
  Bytes octets;
  Writer writer(octets);
  writer.array(3).octets(federation.root.founder.view()).octets(federation.root.nonce);
  writer.array(federation.registry.size());
  for (const DeltaFrame& frame : federation.registry) writer.octets(encode_frame(frame));
  std::string text(sodium_base64_encoded_len(octets.size(), base64), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                    base64);
  text.back() = '\n';  // in place of the zero
  return std::string(first_line) + text;
}

FederationText parse_federation_text(std::string_view text) {
  const Bytes octets = octets_in(text);
  const Value value = decode(octets, {.octets_max = federation_text_max});
  const Array& array = as_array(value, "federation");
  if (array.size() != 3) reject_text("of another form");
  FederationText federation;
  const auto founder = PublicKey::from(as_octets(array[0], "federation"));
  const Bytes& nonce = as_octets(array[1], "federation");
  if (!founder || nonce.size() != federation.root.nonce.size()) reject_text("without a root");
  check_public_key(*founder);
  federation.root.founder = *founder;
  std::copy(nonce.begin(), nonce.end(), federation.root.nonce.begin());
  for (const Value& each : as_array(array[2], "federation")) {
    const Frame frame = decode_frame(as_octets(each, "federation"));
    if (!std::holds_alternative<DeltaFrame>(frame)) reject_text("with something else than a registry");
    check_delta(Kind::map, std::get<DeltaFrame>(frame).delta);
    federation.registry.push_back(std::get<DeltaFrame>(frame));
  }
  return federation;
}

}  // namespace loam
