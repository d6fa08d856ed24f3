#include "tests/sim/replica.hpp"

#include "crdt/record.hpp"

namespace loam::sim {
namespace {

constexpr std::size_t all = 1'000'000;

}  // namespace

PrivateModel read_private(const Process& process) {
  PrivateModel model;
  for (const Segment& segment : process.replica.table->all()) {
    if (segment.scope != Scope::priv) continue;
    const SegmentNumber number = process.priv.number(segment.name);
    auto& held = model.segments[segment.name];
    if (segment.kind == Kind::set) {
      for (const PrivateRecord& record : process.priv.newest(number, std::nullopt, all)) {
        held[record.id.text()] = decode_set_record(record.record).content;
      }
    } else {
      for (const PrivateEntry& entry : process.priv.entries(number, "", all)) {
        held[entry.key] = decode_map_record(entry.record).value.value_or(Bytes{});
      }
    }
    if (process.priv.counts(number).records != held.size()) held["a count that is wrong"] = {};
  }
  return model;
}

std::string difference(const PrivateModel& wanted, const PrivateModel& found) {
  for (const auto& [name, held] : found.segments) {
    const auto at = wanted.segments.find(name);
    static const std::map<std::string, Bytes> none;
    const auto& expected = at == wanted.segments.end() ? none : at->second;
    for (const auto& [id, content] : expected) {
      const auto record = held.find(id);
      if (record == held.end()) return name + ": private record " + id + " is missing";
      if (record->second != content) return name + ": private record " + id + " is another";
    }
    for (const auto& [id, content] : held) {
      if (!expected.contains(id)) return name + ": private record " + id + " was never written";
    }
  }
  return {};
}

}  // namespace loam::sim
