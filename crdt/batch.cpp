#include "crdt/batch.hpp"

#include <algorithm>
#include <limits>

#include "crdt/codec.hpp"
#include "crdt/delta.hpp"
#include "crdt/error.hpp"
#include "crdt/range_codec.hpp"

namespace loam {
namespace {

constexpr std::uint64_t header_version = 1;
constexpr std::size_t header_parts = 11;

[[noreturn]] void reject_batch(const std::string& why) { throw Error(ErrorCode::invalid, "batch: " + why); }

void check_limit(const char* what, std::size_t size, std::size_t limit) {
  if (size <= limit) return;
  throw Error(ErrorCode::limit, std::string("batch: ") + what + ": " + std::to_string(size) + ", limit " +
                                    std::to_string(limit));
}

std::uint64_t counter_from(const Value& value) {
  const std::uint64_t counter = as_number(value, "batch: counter");
  if (counter == 0 || counter > counter_max) reject_batch("a counter out of range");
  return counter;
}

const Array& pair_from(const Value& value) {
  const Array& pair = as_array(value, "batch: dots");
  if (pair.size() != 2) reject_batch("a pair of other than two");
  return pair;
}

std::vector<Dot> frontier_from(const Value& value) {
  const Array& dots = as_array(value, "batch: frontier");
  check_limit("frontier", dots.size(), batch_frontier_max);
  std::vector<Dot> frontier;
  for (const Value& each : dots) {
    const Array& pair = pair_from(each);
    const Dot dot{as_id<ActorId>(pair[0], "batch: frontier"), counter_from(pair[1])};
    if (!frontier.empty() && !(frontier.back() < dot)) reject_batch("a frontier out of order");
    frontier.push_back(dot);
  }
  return frontier;
}

Context superseded_from(const Value& value) {
  Context superseded;
  std::size_t ranges = 0;
  const ActorId* before = nullptr;
  ActorId actor;
  for (const Value& each : as_array(value, "batch: superseded")) {
    const Array& pair = pair_from(each);
    const auto next = as_id<ActorId>(pair[0], "batch: superseded");
    if (before != nullptr && !(*before < next)) reject_batch("actors out of order");
    actor = next;
    before = &actor;
    const RangeSet counters = decode_ranges(as_octets(pair[1], "batch: superseded"));
    if (counters.empty()) reject_batch("an actor without counters");
    check_limit("superseded ranges", ranges += counters.ranges().size(), batch_superseded_max);
    superseded.insert(actor, counters);
  }
  return superseded;
}

}  // namespace

Bytes encode(const Batch& batch) {
  Bytes out;
  Writer writer(out);
  writer.array(header_parts).number(header_version).octets(batch.federation.view()).text(batch.segment);
  writer.octets(batch.claim.author.view()).octets(batch.claim.nonce).octets(batch.actor.view());
  writer.number(batch.first).number(batch.count);
  writer.array(batch.frontier.size());
  for (const Dot& dot : batch.frontier) writer.array(2).octets(dot.actor.view()).number(dot.counter);
  writer.octets(batch.root.view());
  writer.array(static_cast<std::size_t>(std::distance(batch.superseded.begin(), batch.superseded.end())));
  for (const auto& [actor, counters] : batch.superseded) {
    writer.array(2).octets(actor.view()).octets(encode_ranges(counters));
  }
  return out;
}

Batch decode_batch(BytesView octets) {
  const Value value = decode(octets);
  const Array& array = as_array(value, "batch");
  if (array.empty() || as_number(array[0], "batch: version") != header_version) reject_batch("of another version");
  if (array.size() != header_parts) reject_batch(std::to_string(array.size()) + " parts, not " + std::to_string(header_parts));
  Batch batch;
  batch.federation = as_id<FederationId>(array[1], "batch: federation");
  batch.segment = as_text(array[2], "batch: segment");
  batch.claim.author = as_id<InstanceId>(array[3], "batch: author");
  const Bytes& nonce = as_octets(array[4], "batch: nonce");
  if (nonce.size() != batch.claim.nonce.size()) reject_batch("a nonce of another size");
  std::copy(nonce.begin(), nonce.end(), batch.claim.nonce.begin());
  batch.actor = as_id<ActorId>(array[5], "batch: actor");
  if (!is_true_of(batch.actor, batch.claim)) reject_batch("an actor that is not its author's");
  batch.first = counter_from(array[6]);
  const std::uint64_t count = as_number(array[7], "batch: count");
  if (count == 0) reject_batch("without records");
  check_limit("records", count, batch_records_max);
  if (batch.first + count - 1 > counter_max) reject_batch("a counter out of range");
  batch.count = static_cast<std::uint32_t>(count);
  batch.frontier = frontier_from(array[8]);
  batch.root = as_id<TreeHash>(array[9], "batch: root");
  batch.superseded = superseded_from(array[10]);
  return batch;
}

bool is_signed_by(const PublicKey& key, const SignedBatch& batch) {
  return is_signed_by(key, batch_domain, batch.octets, batch.signature);
}

TreePart records_of(const ActorId& actor, const BatchPart& part, const RecordHashes& hashes) {
  TreePart records;
  records.rest = part.rest;
  for (const Range& range : part.here) {
    auto place = static_cast<std::uint32_t>(range.first - part.first);
    for (const ContentHash& hash : hashes.at(actor, range)) records.there.push_back({place++, hash});
  }
  return records;
}

std::optional<Batch> batch_of(const FederationId& federation, std::string_view segment, const ActorClaim& claim,
                              const ActorId& actor, const BatchPart& part, const TreePart& records) {
  const auto root = tree_root(part.count, records.there, records.rest);
  if (!root) return std::nullopt;
  return Batch{.federation = federation, .segment = std::string(segment), .claim = claim, .actor = actor,
               .first = part.first, .count = part.count, .frontier = part.frontier, .root = *root,
               .superseded = part.superseded};
}

bool are_of(const Batch& batch, const TreePart& records) {
  const auto root = tree_root(batch.count, records.there, records.rest);
  return root && *root == batch.root;
}

}  // namespace loam
