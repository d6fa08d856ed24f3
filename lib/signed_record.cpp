#include "lib/signed_record.hpp"

#include "crdt/error.hpp"
#include "lib/base64.hpp"

namespace loam {
namespace {

/// Dots of one record that are exported; and their octets, which leave room for the line.
constexpr std::size_t signed_dots_max = 64;
constexpr std::size_t signed_octets_max = std::size_t{512} << 10;

}  // namespace

std::string SignedTexts::of(const ElementId& element) {
  return store_.read([&](const SharedReader& reader) { return of(reader, reader.dots_of(segment_, element)); });
}

std::string SignedTexts::of(const SharedReader& reader, const std::vector<StoredDot>& dots) {
  if (!store_.identity().root || dots.empty() || dots.size() > signed_dots_max) return {};
  DeltaFrame frame;
  std::size_t octets = 0;
  for (const StoredDot& stored : dots) {
    const Dot& dot = stored.dot;
    octets += stored.record.size();
    const auto actor = reader.actor_index(dot.actor);
    const auto row = actor ? reader.txn().get(table::dot, dot_key(segment_, *actor, dot.counter)) : std::nullopt;
    if (!row || octets > signed_octets_max) return {};
    auto part = parts_.part_of(reader, segment_, *actor, dot.counter, decode_dot_row(*row).batch);
    const ActorRow by = reader.actor(*actor);
    if (!part || !by.nonce) return {};
    frame.delta.context.insert(dot);  // nothing is said of others: an import removes nothing
    frame.delta.live.emplace(dot, stored.record);
    frame.authors.emplace(dot.actor, ActorClaim(by.author, *by.nonce));
    frame.batches[dot.actor].push_back(std::move(*part));
  }
  return base64_of(encode_frame(frame));
}

DeltaFrame parse_signed_text(std::string_view text) {
  const auto octets = octets_of_base64(text);
  if (!octets) throw Error(ErrorCode::invalid, "import: signed: not base64, or cut short");
  Frame frame = decode_frame(*octets);
  auto* delta = std::get_if<DeltaFrame>(&frame);
  if (delta == nullptr) throw Error(ErrorCode::invalid, "import: signed: of another kind");
  return std::move(*delta);
}

}  // namespace loam
