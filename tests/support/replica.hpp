#pragma once

#include <functional>
#include <set>
#include <string>

#include "crdt/codec.hpp"
#include "crdt/hash.hpp"
#include "crdt/join.hpp"
#include "crdt/memory_store.hpp"

namespace test {

/// How a replica takes a delta in. The negative controls put broken ones here.
using Join = std::function<loam::Applied(loam::MemoryStore&, const loam::Delta&)>;

inline loam::Applied real_join(loam::MemoryStore& store, const loam::Delta& delta) {
  return loam::apply(store, delta);
}

/// The actor of one writing session of an author: arbitrary octets, always the same.
inline loam::ActorId actor_of(unsigned author, unsigned session) {
  const std::array<std::byte, 2> name{static_cast<std::byte>(author),
                                      static_cast<std::byte>(session)};
  return {loam::hash128("test actor", {name})};
}

/// What one write says: the text of a record or the key of an entry, and what goes with it.
struct Note {
  std::string name;
  std::string value;
  std::int64_t now_ms = 0;
};

/// The content of a set record with that text.
inline loam::Bytes content_of(std::string_view text) {
  return loam::encode(loam::Map{{"text", loam::Value(text)}});
}

inline loam::Bytes meta_of(std::string_view value) {
  return loam::encode(loam::Map{{"note", loam::Value(value)}});
}

/// One instance that writes one segment, in memory. Every operation is the delta that semantics.md
/// lists for it, applied here and returned for the others. A value.
class Replica {
 public:
  Replica(loam::Kind kind, unsigned author, Join join = real_join)
      : author_(author), join_(std::move(join)), store_("lessons", kind) {
    restart();
  }

  const loam::MemoryStore& store() const noexcept { return store_; }
  const loam::ActorId& actor() const noexcept { return actor_; }
  unsigned author() const noexcept { return author_; }

  /// A new writing session: a new actor.
  void restart() { become(actor_of(author_, ++session_)); }

  /// Writes as this actor from now on.
  void become(const loam::ActorId& actor) {
    actor_ = actor;
    own_.insert(actor);
  }

  /// Goes back to an older state, as a restored backup does; goes on as the same actor, which no
  /// product may do without `restart`.
  void restore(const Replica& older) {
    store_ = older.store_;
    clock_ = older.clock_;
  }

  /// Starts from this state.
  void start_from(const loam::MemoryStore& store) { store_ = store; }

  loam::Applied receive(const loam::Delta& delta) { return join_(store_, delta); }

  // Set segments.

  /// Adds a record; this author's earlier dots of the same element die.
  loam::Delta add(const Note& note) {
    loam::Delta delta;
    for (const loam::Dot& dot : dots(note.name)) {
      if (own_.contains(dot.actor)) delta.context.insert(dot);
    }
    return write(std::move(delta), set_record(note));
  }

  /// Removes the observed dots of an element.
  loam::Delta remove(std::string_view text) { return commit(observed(text)); }

  /// Replaces one element by another.
  loam::Delta revise(std::string_view old_text, const Note& note) {
    return write(observed(old_text), set_record(note));
  }

  // Map segments.

  loam::Delta put(const Note& note) { return assign(note, loam::encode(loam::Value(note.value))); }
  loam::Delta erase(const Note& note) { return assign(note, std::nullopt); }

  // Both.

  /// Removes everything that this author wrote and that is live here.
  loam::Delta clear() {
    loam::Delta delta;
    for (const auto& [dot, record] : store_.live()) {
      if (own_.contains(dot.actor)) delta.context.insert(dot);
    }
    return commit(std::move(delta));
  }

  /// The live dots of an element or a key, by its name.
  std::vector<loam::Dot> dots(std::string_view name) const {
    if (store_.kind() == loam::Kind::map) return store_.dots_of(name);
    return store_.dots_of(loam::element_of(store_.segment(), content_of(name)));
  }

 private:
  loam::Delta observed(std::string_view name) const {
    loam::Delta delta;
    for (const loam::Dot& dot : dots(name)) delta.context.insert(dot);
    return delta;
  }

  loam::Bytes set_record(const Note& note) {
    return loam::encode(
        loam::SetRecord{clock_.next(note.now_ms), content_of(note.name), meta_of(note.value)});
  }

  loam::Delta assign(const Note& note, std::optional<loam::Bytes> value) {
    loam::Hlc seen;
    const loam::Register before = store_.read(note.name);
    if (before.winner) seen = before.winner->stamp;
    const loam::Hlc stamp = clock_.next(note.now_ms, seen);
    return write(observed(note.name),
                 loam::encode(loam::MapRecord{stamp, note.name, std::move(value)}));
  }

  loam::Delta write(loam::Delta delta, loam::Bytes record) {
    const loam::Dot dot{actor_, store_.context().of(actor_).highest() + 1};
    delta.context.insert(dot);
    delta.live.emplace(dot, std::move(record));
    return commit(std::move(delta));
  }

  loam::Delta commit(loam::Delta delta) {
    receive(delta);
    return delta;
  }

  unsigned author_;
  unsigned session_ = 0;
  Join join_;
  loam::ActorId actor_;
  std::set<loam::ActorId> own_;
  loam::Clock clock_;
  loam::MemoryStore store_;
};

}  // namespace test
