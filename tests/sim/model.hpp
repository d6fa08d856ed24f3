#pragma once

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "crdt/delta.hpp"
#include "lib/shared_store.hpp"

namespace loam::sim {

/// A set of counters, written once more: the oracle shares no code with what it judges.
class Counters {
 public:
  void insert(std::uint64_t first, std::uint64_t last);
  void insert(std::uint64_t counter) { insert(counter, counter); }
  void insert(const Counters& other);
  Counters minus(const Counters& other) const;
  bool contains(std::uint64_t counter) const;
  bool contains(const Counters& other) const { return other.minus(*this).empty(); }
  bool empty() const noexcept { return spans_.empty(); }
  std::uint64_t highest() const noexcept { return empty() ? 0 : spans_.rbegin()->second; }
  const std::map<std::uint64_t, std::uint64_t>& spans() const noexcept { return spans_; }

  bool operator==(const Counters&) const = default;

 private:
  std::map<std::uint64_t, std::uint64_t> spans_;  ///< first to last; neither overlap nor touch
};

using Dots = std::map<ActorId, Counters>;  ///< no empty sets

Dots dots_of(const Context& context);
void insert(Dots& dots, const Dot& dot);
void insert(Dots& dots, const Dots& others);
bool contains(const Dots& dots, const Dot& dot);
bool contains(const Dots& dots, const Dots& others);

/// One segment of one store: what it has heard of, and which of it is live.
struct SegmentModel {
  Kind kind = Kind::set;
  Dots covered;
  std::map<Dot, Bytes> live;

  bool operator==(const SegmentModel&) const = default;
};

/// Another content of a dot, which lost and is kept aside: segment, dot, record.
using KeptAside = std::set<std::tuple<std::string, Dot, Bytes>>;

/// What peers have removed, as their silence says, by segment and peer.
using HeldRemovals = std::map<std::pair<std::string, StoreId>, Dots>;

/// What a shared environment ought to hold.
struct StoreModel {
  std::map<std::string, SegmentModel> segments;
  std::map<ActorId, InstanceId> authors;
  std::map<std::pair<StoreId, std::string>, Position> positions;
  std::map<PacketId, std::string> packets;
  KeptAside kept_aside;
  HeldRemovals held_removals;

  bool operator==(const StoreModel&) const = default;
};

/// What a private environment ought to hold: content or value by segment and id or key.
struct PrivateModel {
  std::map<std::string, std::map<std::string, Bytes>> segments;
  std::map<PacketId, std::string> packets;

  bool operator==(const PrivateModel&) const = default;
};

/// What one commit changed, by segment and by the store that it came from.
using Changes = std::map<std::pair<std::string, StoreId>, Dots>;

struct JournalEntry {
  StoreId origin;
  Dots changed;
};

/// One journal as it stands in the store.
struct JournalModel {
  JournalId id = 0;
  std::uint64_t floor = 0;
  std::uint64_t head = 0;
  std::map<std::uint64_t, JournalEntry> entries;
};

/// A shared environment, read back table by table.
struct Readback {
  StoreModel model;
  std::map<std::string, JournalModel> journals;
  std::map<std::string, Roots> roots;
  std::map<ActorId, ActorClaim> claims;
  Hlc clock;
};

/// Throws Error(damaged) when the store does. Of each journal only what comes after `known`.
Readback read_back(const SharedStore& store, const std::map<std::string, std::uint64_t>& known);

/// Joins a delta into a segment, from the definition. Answers with the dots that it changed;
/// `clashes` are those that came with another content than they have here, with the one that lost.
Dots join(SegmentModel& segment, const Delta& delta, std::vector<std::pair<Dot, Bytes>>& clashes);

/// Whether a store knows of a write: it has it live or kept aside, or knows that its dot is dead.
bool knows(const StoreModel& store, const std::string& segment, const Dot& dot,
           const ContentHash& content);

/// What differs first between two stores, in words; empty: nothing.
std::string difference(const StoreModel& wanted, const StoreModel& found);

/// Dots of a segment whose record says that content, or is about that key.
std::vector<Dot> dots_with_content(const SegmentModel& segment, BytesView content);
std::vector<Dot> dots_with_key(const SegmentModel& segment, const std::string& key);

/// The winner among the assignments of a key; absent: there is none.
std::optional<Dot> winner_of(const SegmentModel& segment, const std::string& key);

}  // namespace loam::sim
