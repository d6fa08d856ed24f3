#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "crdt/join.hpp"
#include "lib/batch_rows.hpp"
#include "lib/held.hpp"
#include "lib/shared_tables.hpp"
#include "transport/session.hpp"

namespace loam {

class SharedStore;

/// Journal entries dropped at most by one commit beyond the new ones, so that lowering the bound never
/// makes one commit huge.
inline constexpr std::uint64_t journal_trim_max = 10'000;

/// Everything that one write transaction changes in the shared environment. Rows that many writes
/// touch (contexts, roots, journal) are kept aside and written once by `finish`. Writer thread only.
class SharedBatch {
 public:
  SharedBatch(SharedStore& store, lmdb::WriteTxn& txn, std::int64_t now_ms);

  struct SetResult {
    ElementId element;
    bool existing = false;
  };

  // What this instance has no right to write throws Error(denied), in all of these.

  /// Adds a record with the content; it takes the place of this instance's earlier dots of the element.
  SetResult add(SegmentNumber segment, BytesView content, BytesView meta);

  /// Adds a record that supersedes every observed dot of another element. Throws Error(not_found)
  /// when that has none.
  SetResult revise(SegmentNumber segment, const ElementId& old, BytesView content, BytesView meta);

  /// Removes every observed dot of an element. Throws Error(not_found) when it has none.
  void remove(SegmentNumber segment, const ElementId& element);

  /// Throws Error(denied) when this instance has no right to write there.
  void require_right(SegmentNumber segment);

  /// Assigns a key; absent: erases it. Supersedes every observed assignment. Says whether the key had a
  /// value. Erasing a key without one throws Error(not_found).
  bool put(SegmentNumber segment, std::string_view key, const std::optional<Bytes>& value);

  /// Joins what a peer sent, as far as it is admitted (crdt/admission.hpp). Throws Error(untrusted) when an actor is
  /// claimed for two instances. What shows that somebody else writes as this session's actor makes the session give
  /// it up.
  Applied join(SegmentNumber segment, const Delta& delta, const Authors& authors, const BatchParts& batches,
               const StoreId& origin, const InstanceId& peer = {});

  /// The same with what `check` has made of it, by the store's registry then or now.
  Applied join(SegmentNumber segment, const Delta& delta, const Authors& authors, const BatchParts& batches,
               const CheckedDelta& checked, const StoreId& origin, const InstanceId& peer);

  /// Records that joins have left out, since this was asked last.
  struct LeftOut {
    std::uint64_t refused = 0;
    std::uint64_t parked = 0;
    std::string reason;  ///< of one of them
  };
  LeftOut take_left_out() { return std::exchange(left_out_, {}); }

  /// Whether a join showed that this instance was copied while it ran.
  bool saw_clone() const noexcept { return saw_clone_; }

  void set_position(SegmentNumber segment, const StoreId& peer, const Position& position);

  /// Notes a peer. What `row` has as refused is what came to be refused since: it is added to what is noted.
  void set_peer(const StoreId& peer, PeerRow row);

  /// Notes an alarm (lib/alarms.hpp).
  void raise_alarm(const std::string& text);

  /// Keeps something aside (lib/held.hpp has the bounds). Its time is set here.
  void hold(HeldRow row);

  /// Keeps aside that a peer has removed these dots, in place of what it had removed of the segment
  /// before.
  void hold_removal(SegmentNumber segment, const StoreId& peer, const Context& dots);

  /// Carries a held removal out: drops those of its dots that still live. Returns how many.
  std::uint64_t confirm_removal(const HeldItem& removal);

  /// Lets go of what is kept aside; says whether there was such a row.
  bool release(std::uint64_t sequence) { return held_.release(sequence); }

  /// The receipt that a packet id led to before; absent: it is new.
  std::optional<std::string> receipt_of(const PacketId& packet) const;
  void remember_packet(const PacketId& packet, const std::string& receipt_id);

  /// Puts those of these records that cannot be read under quarantine: each is forgotten as if it had
  /// never been seen, its octets are kept aside, and what was known of peers' journals of its segment is
  /// given up, so that the next session fetches it again. Returns how many.
  std::uint64_t quarantine(std::set<std::uint64_t> sequences);

  /// Drops the journal of every segment: positions in it are worth nothing any more.
  void drop_journals();

  /// Enters the pending part of the element index into the index proper.
  void fold();

  /// Writes what was kept aside. Once, at the end of the transaction.
  void finish();

  const SharedReader& reader() const noexcept { return reader_; }

  /// The registry as this transaction sees it; null: the federation has none that is signed.
  const Registry* registry();

  /// The actor under which this session has written and goes on; absent: none yet.
  std::optional<ActorId> live_actor();

  /// What a revocation now would leave of an instance: all that this transaction has seen of it.
  Fence fence_of(const InstanceId& instance);

  /// Rows of table `meta` whose key begins so, and one of them. For lib/membership.
  lmdb::WriteTxn& txn() noexcept { return txn_; }

 private:
  friend class SegmentDots;

  struct SegmentCache {
    SegmentRow row;
    SegmentRow loaded;
  };
  struct ContextCache {
    ContextRow row;
    Fingerprint loaded_term;
    ActorId actor;
    bool dirty = false;
  };

  SegmentCache& segment(SegmentNumber number);
  ContextCache& context(SegmentNumber segment, ActorIndex actor, const ActorId& id);
  std::optional<ActorIndex> find_actor(const ActorId& actor) const;
  ActorIndex actor_index(const ActorRow& actor);
  ActorIndex claimed_index(const ActorId& actor, const ActorClaim& claim);
  std::uint64_t next_sequence();
  Dot next_dot(SegmentNumber segment);
  std::vector<StoredDot> dots_of(SegmentNumber segment, const ElementId& element) const;
  void find_damaged(std::vector<StoredDot>& dots) const;
  std::uint64_t quarantines();
  void index_fresh();
  Hlc stamp(Hlc after);
  bool is_news(SegmentNumber segment, const ActorId& actor, const RangeSet& counters);
  Applied change(SegmentNumber segment, const Delta& delta, const RecordHashes& hashes, const StoreId& origin,
                 const BatchPlaces& places = {});
  Applied join_admitted(SegmentNumber segment, const Delta& delta, const Authors& authors, const BatchParts& batches,
                        const CheckedDelta& checked, const StoreId& origin);
  Authors with_known(const Delta& delta, const Authors& authors) const;
  bool put_governed(SegmentNumber segment, std::string_view key, const std::optional<Bytes>& value);
  void number_actors_of(const BatchPart& part);
  BatchPlaces bring(SegmentNumber segment, const BatchParts& batches, const RecordHashes& hashes);
  void write_journal(SegmentNumber number, const StoreId& origin, const Context& changed);
  void trim_journal(SegmentNumber number, SegmentCache& cache);

  SharedStore& store_;
  lmdb::WriteTxn& txn_;
  SharedReader reader_;
  BatchRows batches_;
  HeldWriter held_;
  std::int64_t now_ms_;
  Clock clock_;
  Hlc clock_loaded_;
  std::optional<std::uint64_t> sequence_;
  std::optional<std::uint64_t> quarantines_;
  bool saw_clone_ = false;
  LeftOut left_out_;
  std::shared_ptr<const Registry> registry_;
  Fingerprint registry_live_;  ///< of the state that it was made of
  std::vector<Dot> frontier_;  ///< of the registry: what this instance has seen
  std::set<SegmentNumber> may_write_;  ///< of those that were asked about, by that registry
  std::map<SegmentNumber, SegmentCache> segments_;
  std::map<std::pair<SegmentNumber, ActorIndex>, ContextCache> contexts_;
  mutable std::map<ActorId, ActorIndex> actors_;
  std::map<std::pair<SegmentNumber, StoreId>, Context> changed_;
  std::set<ElementEntry> fresh_;           ///< new records of set segments
  std::optional<ElementId> known_element_; ///< of the record that is being added
};

}  // namespace loam
