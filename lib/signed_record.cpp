#include "lib/signed_record.hpp"

#include "crdt/error.hpp"
#include "lib/base64.hpp"
#include "lib/store_source.hpp"

namespace loam {
namespace {

/// Dots of one record that are exported; and their octets, which leave room for the line.
constexpr std::size_t signed_dots_max = 64;
constexpr std::size_t signed_octets_max = std::size_t{512} << 10;

}  // namespace

std::string signed_text(const SharedStore& store, const std::string& segment,
                        const ElementId& element) {
  if (!store.identity().root) return {};
  const auto dots = store.read(
      [&](const SharedReader& reader) { return reader.dots_of(store.number(segment), element); });
  if (dots.empty() || dots.size() > signed_dots_max) return {};
  const StoreSource source(store);
  DeltaFrame frame;
  std::size_t octets = 0;
  for (const StoredDot& stored : dots) {
    const Dot& dot = stored.dot;
    Slice slice = source.slice(segment, dot.actor, RangeSet(Range{dot.counter, dot.counter}),
                               signed_octets_max, 1);
    const auto record = slice.delta.live.find(dot);
    if (record == slice.delta.live.end() || slice.batches[dot.actor].empty()) return {};
    octets += record->second.size();
    if (octets > signed_octets_max) return {};
    frame.delta.context.insert(dot);  // nothing is said of others: an import removes nothing
    frame.delta.live.emplace(dot, std::move(record->second));
    frame.authors.insert(slice.authors.begin(), slice.authors.end());
    auto& parts = frame.batches[dot.actor];
    for (BatchPart& part : slice.batches[dot.actor]) parts.push_back(std::move(part));
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
