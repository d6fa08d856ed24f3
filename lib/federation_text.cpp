#include "lib/federation_text.hpp"

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/base64.hpp"

namespace loam {
namespace {

constexpr std::string_view first_line = "loam federation 1\n";

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
  auto octets = octets_of_base64(text);
  if (!octets) reject_text("not base64, or cut short");
  return std::move(*octets);
}

}  // namespace

std::string text_of(const FederationText& federation) {
  Bytes octets;
  Writer writer(octets);
  writer.array(3).octets(federation.root.founder.view()).octets(federation.root.nonce);
  writer.array(federation.registry.size());
  for (const DeltaFrame& frame : federation.registry) writer.octets(encode_frame(frame));
  return std::string(first_line) + base64_of(octets) + "\n";
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
