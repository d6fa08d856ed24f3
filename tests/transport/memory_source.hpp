#pragma once

#include <cassert>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "crdt/hash.hpp"
#include "tests/support/replica.hpp"
#include "transport/action.hpp"
#include "transport/session.hpp"
#include "transport/source.hpp"

namespace test {

/// The rules of sync.md that a negative control breaks, one at a time.
struct Broken {
  bool removals_not_journalled = false;  ///< a removal that was received is no journal entry
  bool floor_not_moved = false;          ///< entries are dropped, the floor stays
  bool slices_claim_too_much = false;    ///< a slice accounts for all that was selected
  bool relayed_left_out = false;  ///< the origin filter drops every entry that came from a peer
  bool position_before_durable = false;  ///< a position is remembered when the Apply is queued
  bool refused_then_later_position =
      false;  ///< what follows a refused Apply is applied all the same

  bool operator==(const Broken&) const = default;
};

inline loam::InstanceId instance_of(unsigned author) {
  return {loam::hash128("test instance", {loam::bytes_of(std::to_string(author))})};
}
inline loam::StoreId store_id_of(std::uint64_t number) {
  return {loam::hash128("test store", {loam::bytes_of(std::to_string(number))})};
}
inline loam::JournalId journal_id_of(std::uint64_t number) {
  return (std::uint64_t{1} << 63) | ((number + 1) * 0x9e3779b97f4a7c15U >> 1);
}

/// What was declared of a segment.
struct Declared {
  std::string name;
  loam::Kind kind = loam::Kind::set;
};

/// One instance with several shared segments in memory: what a Session reads from, and the store
/// that its Applies go to. Does what lib's store does: every change is one journal entry, with the
/// store that it came from. A value: a copy is a backup. Not shared between threads.
class Peer final : public loam::Source {
 public:
  Peer(unsigned author, std::uint64_t number, const std::vector<Declared>& segments)
      : author_(author), id_(store_id_of(number)) {
    for (const Declared& declared : segments) {
      order_.push_back(declared.name);
      Segment& segment =
          segments_.emplace(declared.name, Replica(declared.kind, author)).first->second;
      segment.journal = journal_id_of(number * 64 + order_.size());
    }
    become(actor_of(author, static_cast<unsigned>(number)));
  }

  Broken broken;
  mutable std::uint64_t rows_read = 0;  ///< of contexts, live dots, journal entries and records
  bool slices_overshoot = false;  ///< the record that exceeds the limit of a slice is still in it

  const loam::StoreId& id() const noexcept { return id_; }
  unsigned author() const noexcept { return author_; }
  bool has(const std::string& segment) const { return segments_.contains(segment); }
  const loam::MemoryStore& store(const std::string& segment) const {
    return at(segment).replica.store();
  }
  const Replica& replica(const std::string& segment) const { return at(segment).replica; }
  std::uint64_t entries(const std::string& segment) const { return at(segment).entries.size(); }

  /// Writes under this actor from now on, in all segments.
  void become(const loam::ActorId& actor) {
    authors_[actor] = loam::ActorClaim(instance_of(author_));
    for (auto& [name, segment] : segments_) segment.replica.become(actor);
  }

  void become_store(const loam::StoreId& id) { id_ = id; }

  /// A local write: `write` is called with the segment's replica and answers with its delta.
  template <class Write>
  loam::Delta write(const std::string& name, Write&& write) {
    Segment& segment = at(name);
    loam::Delta delta = write(segment.replica);
    forget_sums(segment, delta.context);
    enter(segment, delta.context, id_);
    return delta;
  }

  void add(const std::string& name, const std::string& text) {
    write(name, [&](Replica& replica) { return replica.add({text, text}); });
  }
  void remove(const std::string& name, const std::string& text) {
    write(name, [&](Replica& replica) { return replica.remove(text); });
  }
  void put(const std::string& name, const std::string& key, const std::string& value) {
    write(name, [&](Replica& replica) { return replica.put({key, value}); });
  }

  /// What lib's store does with an Apply of a session with that peer.
  loam::ApplyOutcome apply(const loam::Apply& change, const loam::StoreId& origin) {
    Segment& segment = at(change.segment);
    for (const auto& [actor, author] : change.authors) {
      assert(change.delta.context.actors().contains(actor));
      authors_.emplace(actor, author);
    }
    for (const auto& [actor, ranges] : change.delta.context) assert(authors_.contains(actor));
    const loam::Applied applied = segment.replica.receive(change.delta);
    forget_sums(segment, change.delta.context);
    const bool is_removal = applied.inserted == 0 && applied.dropped > 0;
    if (!(broken.removals_not_journalled && is_removal)) enter(segment, applied.changed, origin);
    if (change.position) remember(change.segment, *change.position, origin);
    return {change.ticket, applied.inserted, applied.dropped, applied.equivocated.size(), {}};
  }

  void remember(const std::string& name, const loam::Position& position,
                const loam::StoreId& peer) {
    at(name).positions[peer] = position;
  }

  /// Drops the journal entries up to a sequence.
  void truncate(const std::string& name, std::uint64_t floor) {
    Segment& segment = at(name);
    while (!segment.entries.empty() && segment.entries.front().sequence <= floor) {
      segment.entries.pop_front();
    }
    if (!broken.floor_not_moved)
      segment.floor = std::max(segment.floor, std::min(floor, segment.head));
  }

  /// Drops a whole journal: it begins anew under another id.
  void drop_journal(const std::string& name, loam::JournalId fresh) {
    Segment& segment = at(name);
    segment.journal = fresh;
    segment.floor = segment.head = 0;
    segment.entries.clear();
  }

  // Source.

  std::vector<std::string> segments() const override { return order_; }

  loam::SegmentState state(const std::string& name) const override {
    const Segment& segment = at(name);
    const loam::MemoryStore& store = segment.replica.store();
    return {store.kind(),  store.roots(), segment.journal,
            segment.floor, segment.head,  store.live().size()};
  }

  loam::Position position(const std::string& name, const loam::StoreId& peer) const override {
    const Segment& segment = at(name);
    const auto found = segment.positions.find(peer);
    return found == segment.positions.end() ? loam::Position{} : found->second;
  }

  loam::JournalPage journal(const std::string& name, std::uint64_t after,
                            const loam::StoreId& excluded, std::size_t dots_max) const override {
    const Segment& segment = at(name);
    assert(after >= segment.floor && after < segment.head);
    loam::JournalPage page{{}, after};
    for (const Entry& entry : segment.entries) {
      ++rows_read;
      if (entry.sequence <= after) continue;
      if (page.changed.count() >= dots_max) return page;
      page.upto = entry.sequence;
      const bool is_left_out =
          entry.origin == excluded || (broken.relayed_left_out && entry.origin != id_);
      if (!is_left_out) page.changed.insert(entry.changed);
    }
    page.upto = segment.head;
    return page;
  }

  std::vector<loam::ActorState> actors(const std::string& name,
                                       const std::optional<loam::ActorId>& after,
                                       std::size_t max) const override {
    const loam::MemoryStore& store = this->store(name);
    const auto& all = store.context().actors();
    std::vector<loam::ActorState> found;
    const std::uint64_t rows_before = rows_read;
    for (auto actor = after ? all.upper_bound(*after) : all.begin();
         actor != all.end() && found.size() < max; ++actor) {
      const Sums& kept = sums(name, actor->first, actor->second);
      found.push_back({actor->first, actor->second, kept.live_count, kept.live});
    }
    rows_read = rows_before + 1 + found.size();  // the store keeps counts and fingerprints
    return found;
  }

  loam::Slice slice(const std::string& name, const loam::ActorId& actor,
                    const loam::RangeSet& selected, std::size_t octets_max,
                    std::size_t records_max) const override {
    const loam::MemoryStore& store = this->store(name);
    const loam::RangeSet known = selected.intersect(store.context().of(actor));
    loam::Slice slice;
    std::size_t octets = 0;
    std::optional<std::uint64_t> stop;  // the first live counter that does not fit
    for (const loam::Range& range : known) {
      const auto end = store.live().upper_bound({actor, range.last});
      auto live = store.live().lower_bound({actor, range.first});
      for (; live != end && !stop; ++live) {
        ++rows_read;
        const std::size_t records = slice.delta.live.size();
        const std::size_t needed = slices_overshoot ? octets + 1 : octets + live->second.size();
        if (records > 0 && (needed > octets_max || records >= records_max)) {
          stop = live->first.counter;
        } else {
          octets += live->second.size();
          slice.delta.live.insert(*live);
        }
      }
    }
    loam::RangeSet taken = known;
    if (stop) {
      taken = known.intersect(loam::RangeSet({1, *stop - 1}));
      slice.rest = known.minus(taken);
    }
    slice.delta.context.insert(actor, broken.slices_claim_too_much ? known : taken);
    if (!taken.empty()) slice.authors.emplace(actor, authors_.at(actor));
    return slice;
  }

  loam::RangeSet live_counters(const std::string& name, const loam::ActorId& actor,
                               const loam::RangeSet& selected) const override {
    loam::RangeSet live;
    each_live(name, actor, selected, [&](const auto& entry) { live.insert(entry.first.counter); });
    return live;
  }

  loam::Fingerprint live_fingerprint(const std::string& name, const loam::ActorId& actor,
                                     const loam::RangeSet& selected) const override {
    loam::Fingerprint sum;
    each_live(name, actor, selected, [&](const auto& entry) {
      sum += loam::live_term(entry.first, loam::content_hash(entry.second));
    });
    return sum;
  }

 private:
  struct Entry {
    std::uint64_t sequence = 0;
    loam::Context changed;
    loam::StoreId origin;
  };

  /// Of one actor's live records.
  struct Sums {
    std::uint64_t live_count = 0;
    loam::Fingerprint live;
  };

  struct Segment {
    explicit Segment(Replica made) : replica(std::move(made)) {}

    Replica replica;
    loam::JournalId journal = 0;
    std::uint64_t floor = 0;
    std::uint64_t head = 0;
    std::deque<Entry> entries;
    std::map<loam::StoreId, loam::Position> positions;
    mutable std::map<loam::ActorId, Sums> sums;  ///< of actors that were asked for and have not changed since
  };

  static void forget_sums(Segment& segment, const loam::Context& changed) {
    for (const auto& [actor, counters] : changed) segment.sums.erase(actor);
  }

  const Sums& sums(const std::string& name, const loam::ActorId& actor, const loam::RangeSet& covered) const {
    auto& kept = at(name).sums;
    const auto found = kept.find(actor);
    if (found != kept.end()) return found->second;
    return kept[actor] = {live_counters(name, actor, covered).count(), live_fingerprint(name, actor, covered)};
  }

  static void enter(Segment& segment, const loam::Context& changed, const loam::StoreId& origin) {
    if (changed.empty()) return;
    segment.entries.push_back({++segment.head, changed, origin});
  }

  template <class Visit>
  void each_live(const std::string& name, const loam::ActorId& actor,
                 const loam::RangeSet& selected, Visit&& visit) const {
    const auto& live = store(name).live();
    for (const loam::Range& range : selected) {
      const auto end = live.upper_bound({actor, range.last});
      for (auto entry = live.lower_bound({actor, range.first}); entry != end; ++entry) {
        ++rows_read;
        visit(*entry);
      }
    }
  }

  Segment& at(const std::string& name) { return segments_.at(name); }
  const Segment& at(const std::string& name) const { return segments_.at(name); }

  unsigned author_;
  loam::StoreId id_;
  std::vector<std::string> order_;
  std::map<std::string, Segment> segments_;
  loam::Authors authors_;
};

}  // namespace test
