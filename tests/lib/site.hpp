#pragma once

#include <map>
#include <optional>
#include <string>

#include "crdt/codec.hpp"
#include "crdt/memory_store.hpp"
#include "lib/segment.hpp"
#include "tests/support/gen.hpp"
#include "tests/support/world.hpp"

namespace loam::test {

using ::test::Gen;

inline constexpr const char* set_segment = "lessons_learned";
inline constexpr const char* map_segment = "governance_meta";

/// An id of 16 equal octets.
template <class IdType>
IdType id_of(unsigned number) {
  IdType id;
  id.bytes.fill(static_cast<std::byte>(number));
  return id;
}

inline Bytes content_of(const std::string& text) {
  return encode(Map{{"payload", Map{{"text", text}}}, {"type", "lesson"}});
}

inline Bytes meta_of(const std::string& note) { return encode(Map{{"note", note}}); }

/// One instance's set segment and map segment in memory, with the rules of semantics.md for local
/// writes written down once more, from that page. A value: a copy is a snapshot.
struct Site {
  explicit Site(unsigned instance_number) : instance(id_of<InstanceId>(instance_number)) {
    stores.emplace(set_segment, MemoryStore(set_segment, Kind::set));
    stores.emplace(map_segment, MemoryStore(map_segment, Kind::map));
  }

  InstanceId instance;
  ActorId actor;
  Clock clock;
  std::map<std::string, MemoryStore> stores;
  Authors authors;  ///< of every actor that was heard of

  const MemoryStore& set() const { return stores.at(set_segment); }
  const MemoryStore& map() const { return stores.at(map_segment); }

  /// Writes as this actor from now on.
  void become(const ActorId& next) {
    actor = next;
    authors[next] = ActorClaim(instance);
  }

  std::vector<Dot> dots_of(const std::string& text) const {
    return set().dots_of(element_of(set_segment, content_of(text)));
  }

  Applied add(const std::string& text, const std::string& note, std::int64_t now_ms) {
    Delta delta;
    for (const Dot& dot : dots_of(text)) {
      if (authors.at(dot.actor).author == instance) delta.context.insert(dot);
    }
    return write(set_segment, std::move(delta),
                 encode(SetRecord{clock.next(now_ms), content_of(text), meta_of(note)}));
  }

  Applied revise(const std::string& old, const std::string& text, std::int64_t now_ms) {
    Delta delta;
    for (const Dot& dot : dots_of(old)) delta.context.insert(dot);
    return write(set_segment, std::move(delta),
                 encode(SetRecord{clock.next(now_ms), content_of(text), meta_of("")}));
  }

  Applied remove(const std::string& text) {
    Delta delta;
    for (const Dot& dot : dots_of(text)) delta.context.insert(dot);
    return apply(stores.at(set_segment), delta);
  }

  Applied put(const std::string& key, const std::optional<Bytes>& value, std::int64_t now_ms) {
    Delta delta;
    Hlc after;
    for (const Dot& dot : map().dots_of(key)) {
      delta.context.insert(dot);
      after = std::max(after, decode_map_record(map().live().at(dot)).stamp);
    }
    return write(map_segment, std::move(delta),
                 encode(MapRecord{clock.next(now_ms, after), key, value}));
  }

  bool has_value(const std::string& key) const {
    const Register entry = map().read(key);
    return entry.winner && entry.winner->value;
  }

  Applied join(const std::string& segment, const Delta& delta, const Authors& their_authors,
               std::int64_t now_ms) {
    authors.insert(their_authors.begin(), their_authors.end());
    for (const auto& [dot, record] : delta.live) {
      clock.observe(segment == set_segment ? decode_set_record(record).stamp
                                           : decode_map_record(record).stamp,
                    now_ms);
    }
    return apply(stores.at(segment), delta);
  }

  Authors authors_of(const Delta& delta) const {
    Authors found;
    for (const auto& [who, ranges] : delta.context) found[who] = authors.at(who);
    return found;
  }

  /// A random part of what this site knows of a segment, possibly everything, possibly nothing.
  Delta random_slice(Gen& gen, const std::string& segment) const {
    const MemoryStore& store = stores.at(segment);
    return store.slice(::test::World::selection(gen, store.context()));
  }

  /// A random write of this site.
  void random_write(Gen& gen, std::int64_t now_ms);

 private:
  Applied write(const std::string& segment, Delta delta, Bytes record) {
    MemoryStore& store = stores.at(segment);
    const Dot dot{actor, store.context().of(actor).highest() + 1};
    delta.context.insert(dot);
    delta.live.emplace(dot, std::move(record));
    return apply(store, delta);
  }
};

inline constexpr std::size_t many_names = 24;
inline std::string many_name(std::size_t number) { return "many " + std::to_string(number); }

/// Few names, so that writes meet; keys of which one is a prefix of another.
inline std::string random_name(Gen& gen) {
  if (gen.one_in(3)) return many_name(gen.index(many_names));
  static const std::vector<std::string> names{"a", "ab", "abc", "b", "a/b", "é", "zz", "a b"};
  return gen.pick(names);
}

/// Now and then one that needs a page of its own.
inline std::string random_note(Gen& gen) {
  return gen.one_in(12) ? std::string(gen.between(3'000, 9'000), 'n') : gen.ascii(30);
}

inline std::optional<Bytes> random_value(Gen& gen) {
  if (gen.one_in(4)) return std::nullopt;
  return encode(Value(random_note(gen)));
}

inline void Site::random_write(Gen& gen, std::int64_t now_ms) {
  const std::string name = random_name(gen);
  switch (gen.below(5)) {
    case 0:
    case 1: add(name, random_note(gen), now_ms); return;
    case 2: remove(name); return;
    case 3: revise(name, random_name(gen), now_ms); return;
    default: put(name, random_value(gen), now_ms);
  }
}

}  // namespace loam::test
