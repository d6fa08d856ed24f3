#include "crdt/memory_store.hpp"

#include <cassert>
#include <tuple>

#include "crdt/codec.hpp"

namespace loam {
namespace {

template <class Key, class Index>
void put(Index& index, const Key& key, const Dot& dot, bool is_live) {
  if (is_live) {
    index[key].insert(dot);
    return;
  }
  const auto at = index.find(key);
  assert(at != index.end());
  at->second.erase(dot);
  if (at->second.empty()) index.erase(at);
}

}  // namespace

RangeSet MemoryStore::covered(const ActorId& actor) const { return context_.of(actor); }

std::vector<LiveDot> MemoryStore::live_in(const ActorId& actor, Range range) const {
  std::vector<LiveDot> found;
  const auto end = live_.upper_bound(Dot{actor, range.last});
  for (auto at = live_.lower_bound(Dot{actor, range.first}); at != end; ++at) {
    found.push_back({at->first.counter, content_hash(at->second)});
  }
  return found;
}

void MemoryStore::insert(const Dot& dot, BytesView record, const ContentHash& content) {
  const bool is_new = live_.emplace(dot, copy_of(record)).second;
  assert(is_new);
  (void)is_new;
  index(dot, record, true);
  roots_.live += live_term(dot, content);
}

void MemoryStore::drop(const Dot& dot) {
  const auto at = live_.find(dot);
  assert(at != live_.end());
  index(dot, at->second, false);
  roots_.live -= live_term(dot, content_hash(at->second));
  live_.erase(at);
}

void MemoryStore::replace(const Dot& dot, BytesView record, const ContentHash& content) {
  keep_aside(dot, live_.at(dot));
  drop(dot);
  insert(dot, record, content);
}

void MemoryStore::keep_aside(const Dot& dot, BytesView record) {
  aside_[dot].insert(copy_of(record));
}

void MemoryStore::cover(const ActorId& actor, const RangeSet& ranges) {
  roots_.context -= context_term(actor, context_.of(actor));
  context_.insert(actor, ranges);
  roots_.context += context_term(actor, context_.of(actor));
}

std::vector<Dot> MemoryStore::dots_of(const ElementId& element) const {
  const auto at = elements_.find(element);
  if (at == elements_.end()) return {};
  return {at->second.begin(), at->second.end()};
}

std::vector<Dot> MemoryStore::dots_of(std::string_view key) const {
  const auto at = keys_.find(key);
  if (at == keys_.end()) return {};
  return {at->second.begin(), at->second.end()};
}

Register MemoryStore::read(std::string_view key) const {
  std::vector<Assignment> assignments;
  for (const Dot& dot : dots_of(key)) {
    MapRecord record = decode_map_record(live_.at(dot));
    assignments.push_back({dot, record.stamp, std::move(record.value)});
  }
  return fold(std::move(assignments));
}

Delta MemoryStore::slice(const Context& selected) const {
  Delta delta;
  for (const auto& [actor, ranges] : selected) {
    const RangeSet known = ranges.intersect(context_.of(actor));
    delta.context.insert(actor, known);
    for (const Range& range : known) {
      const auto end = live_.upper_bound(Dot{actor, range.last});
      delta.live.insert(live_.lower_bound(Dot{actor, range.first}), end);
    }
  }
  return delta;
}

Bytes MemoryStore::canonical() const {
  Bytes out;
  Writer writer(out);
  writer.array(2).array(context_.actors().size());
  for (const auto& [actor, ranges] : context_) {
    writer.array(2).octets(actor.view()).array(ranges.ranges().size());
    for (const Range& range : ranges) writer.array(2).number(range.first).number(range.last);
  }
  writer.array(live_.size());
  for (const auto& [dot, record] : live_) {
    writer.array(3).octets(dot.actor.view()).number(dot.counter).octets(record);
  }
  return out;
}

bool MemoryStore::operator==(const MemoryStore& other) const noexcept {
  const auto parts = [](const MemoryStore& of) {
    return std::tie(of.segment_, of.kind_, of.context_, of.live_, of.elements_, of.keys_, of.roots_);
  };
  return parts(*this) == parts(other);
}

void MemoryStore::index(const Dot& dot, BytesView record, bool is_live) {
  if (kind_ == Kind::set) {
    put(elements_, element_of(segment_, view_set_record(record).content), dot, is_live);
  } else {
    put(keys_, decode_map_record(record).key, dot, is_live);
  }
}

}  // namespace loam
