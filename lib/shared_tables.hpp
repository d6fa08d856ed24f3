#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "crdt/admission.hpp"
#include "lib/lmdb.hpp"
#include "lib/pending.hpp"
#include "lib/rows.hpp"

namespace loam {

/// The tables of the shared environment, in the order in which it is opened.
namespace table {
inline constexpr lmdb::Table meta{0};
inline constexpr lmdb::Table segs{1};
inline constexpr lmdb::Table actors{2};
inline constexpr lmdb::Table actor_ids{3};
inline constexpr lmdb::Table ctx{4};
inline constexpr lmdb::Table rec{5};
inline constexpr lmdb::Table dot{6};
inline constexpr lmdb::Table elem{7};
inline constexpr lmdb::Table reg{8};
inline constexpr lmdb::Table jrnl{9};
inline constexpr lmdb::Table peers{10};
inline constexpr lmdb::Table positions{11};
inline constexpr lmdb::Table packets{12};
inline constexpr lmdb::Table packet_log{13};
inline constexpr lmdb::Table pending{14};
inline constexpr lmdb::Table held{15};
}  // namespace table

/// Their names in the file.
std::vector<std::string> shared_table_names();

/// Keys of table `meta`.
namespace meta {
inline constexpr std::string_view format = "format";
inline constexpr std::string_view store = "store";
inline constexpr std::string_view file = "file";
inline constexpr std::string_view name = "name";
inline constexpr std::string_view federation = "federation";
inline constexpr std::string_view root = "root";
inline constexpr std::string_view clock = "clock";
inline constexpr std::string_view alarms = "alarms";
}  // namespace meta

/// The version of the shared and the private environment's format.
inline constexpr std::uint32_t store_format = 3;

/// Something that is kept aside.
struct HeldItem {
  std::uint64_t sequence = 0;
  HeldRow row;

  bool operator==(const HeldItem&) const = default;
};

/// A live dot with its record, copied out of the store.
struct StoredDot {
  Dot dot;
  InstanceId author;
  std::uint64_t sequence = 0;
  Bytes record;
  Hlc stamp = {};           ///< of a map segment, from the index
  bool is_damaged = false;  ///< its record cannot be read; of a set segment the dot is not known then
};

/// Whether the record of one of them cannot be read.
bool has_damage(const std::vector<StoredDot>& dots) noexcept;

/// Reads the shared environment inside one transaction. Throws Error(damaged) when tables disagree.
class SharedReader {
 public:
  explicit SharedReader(const lmdb::ReadTxn& txn) : txn_(txn) {}

  /// `pending` follows the transaction already and outlives the reader.
  SharedReader(const lmdb::ReadTxn& txn, const PendingIndex* pending) : txn_(txn), own_pending_(pending) {}

  /// `pending` is that of the store, and outlives the reader.
  SharedReader(const lmdb::ReadTxn& txn, const SharedPendingIndex& pending)
      : txn_(txn), shared_pending_(&pending) {}

  /// From here on what the registry's fences make void is left out of dots and elements. `governed` outlives the reader.
  void hide_void(std::shared_ptr<const Registry> registry, const std::set<SegmentNumber>& governed) {
    fences_ = std::move(registry);
    governed_ = &governed;
  }

  SegmentRow segment(SegmentNumber number) const;
  std::optional<ContextRow> context(SegmentNumber segment, ActorIndex actor) const;
  std::optional<ActorIndex> actor_index(const ActorId& actor) const;
  ActorRow actor(ActorIndex index) const;

  /// The transaction has changed the row of an actor.
  void forget_actor() const { last_actor_.reset(); }

  /// Live dots of an actor in a range of counters.
  struct LiveRow {
    std::uint64_t counter = 0;
    DotRow row;
  };
  std::vector<LiveRow> live_in(SegmentNumber segment, ActorIndex actor, Range range) const;

  /// The record of a live dot; a view that dies with the transaction.
  RecordRow record(std::uint64_t sequence) const;

  /// The same, absent when its row cannot be read.
  std::optional<RecordRow> sound_record(std::uint64_t sequence) const;

  /// Whether an entry of the element index still stands for a record. One that cannot be read counts.
  bool is_current(const ElementEntry& entry) const;

  /// The row of the batch that a live dot came with. Absent: it was not signed, or the row is not there.
  std::optional<BatchRow> batch_row(SegmentNumber segment, const Dot& dot) const;

  /// What an author had seen of the registry.
  std::vector<Dot> frontier_of(const BatchRow& row) const;

  /// Live dots of an element, oldest local sequence first; empty: there is no such element. Those whose
  /// record cannot be read are among them, marked.
  std::vector<StoredDot> dots_of(SegmentNumber segment, const ElementId& element) const;

  /// Whether there are any, readable or not.
  bool has_dots(SegmentNumber segment, const ElementId& element) const;

  /// Whether the index knows no other record of the element than this one, and it is not void. It may know one that is
  /// gone.
  bool is_only_dot(SegmentNumber segment, const ElementId& element, std::uint64_t sequence) const {
    if (fences_) return false;
    const auto& known = sequences_of(segment, element);
    return known.size() == 1 && known.front() == sequence;
  }

  /// The record of an element that has one dot, which can be read; a view that dies with the transaction. Absent:
  /// `dots_of` says what there is.
  std::optional<RecordRow> only_record(SegmentNumber segment, const ElementId& element) const;

  /// Live dots of a key, the LWW winner last; empty: there is no such key.
  std::vector<StoredDot> dots_of(SegmentNumber segment, std::string_view key) const;

  /// The same with those that fences make void.
  std::vector<StoredDot> all_dots_of(SegmentNumber segment, std::string_view key) const;

  /// Elements of a segment whose ids lie between two ids, both included; at most `max`.
  std::vector<ElementId> elements_between(SegmentNumber segment, const ElementId& low,
                                          const ElementId& high, std::size_t max) const;

  /// What is kept aside for a reason (absent: for any), oldest first.
  std::vector<HeldItem> held(std::optional<HeldReason> reason = std::nullopt) const;

  const lmdb::ReadTxn& txn() const noexcept { return txn_; }

 private:
  bool is_hidden(SegmentNumber segment, const AdmissionPlace& place, const StoredDot& dot) const;
  void leave_out_void(SegmentNumber segment, std::vector<StoredDot>& dots) const;
  StoredDot stored(std::uint64_t sequence, const std::optional<RecordRow>& row) const;
  void find_pending(SegmentNumber segment, const ElementId& element,
                    std::vector<std::uint64_t>& sequences) const;
  const std::vector<std::uint64_t>& sequences_of(SegmentNumber segment,
                                                 const ElementId& element) const;

  const lmdb::ReadTxn& txn_;
  const PendingIndex* own_pending_ = nullptr;
  const SharedPendingIndex* shared_pending_ = nullptr;
  std::shared_ptr<const Registry> fences_;
  const std::set<SegmentNumber>* governed_ = nullptr;
  mutable std::optional<lmdb::Cursor> elements_;        ///< over table `elem`, once it was asked for
  mutable std::optional<std::pair<ActorIndex, ActorRow>> last_actor_;
  mutable std::vector<std::uint64_t> sequences_;  ///< of the element that was asked for last
  mutable std::optional<std::pair<SegmentNumber, ElementId>> sequences_of_;  ///< which that is; absent: it may change
};

}  // namespace loam
