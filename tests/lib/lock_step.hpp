#pragma once

#include <memory>
#include <vector>

#include "lib/shared_store.hpp"
#include "lib/store_source.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/site.hpp"

namespace loam::test {

/// What the journal of one segment must hold.
struct JournalModel {
  struct Entry {
    StoreId origin;
    Context changed;
  };
  std::uint64_t floor = 0;
  std::vector<Entry> entries;  ///< from sequence 1 on, those below the floor too

  std::uint64_t head() const { return entries.size(); }
};

/// A shared store beside a Site that hears the same, and two more Sites that both exchange with.
/// Each step is one transaction of several operations, which may be aborted; the store may be
/// reopened.
class LockStep {
 public:
  explicit LockStep(std::uint64_t journal_entries_max = 100'000);

  /// One transaction; commits unless it is aborted on purpose. Returns what the store and the model
  /// disagree about; empty: nothing.
  std::string step(Gen& gen);

  void reopen();

  const Site& model() const { return model_; }
  const JournalModel& journal(const std::string& segment) const { return journals_.at(segment); }
  const Position& position(const std::string& segment) const { return positions_.at(segment); }
  SharedStore& store() { return *store_; }
  StoreSource source() const { return StoreSource(*store_); }

  static StoreId peer(unsigned number) { return id_of<StoreId>(100 + number); }

  /// What differs between the store and the model; empty: nothing.
  std::string compare() const;

 private:
  using Changes = std::map<std::pair<std::string, StoreId>, Context>;

  void operation(Gen& gen, SharedBatch& batch);
  void fold();
  void add(const std::string& text, const std::string& note, SharedBatch& batch);
  void add_many(Gen& gen, SharedBatch& batch);
  void write(Gen& gen, SharedBatch& batch);
  void receive(Gen& gen, SharedBatch& batch);
  void changed(const std::string& segment, const StoreId& origin, const Applied& applied);
  void enter_journals();
  void peers_go_on(Gen& gen);
  void expect(bool holds, const char* what);
  std::map<Dot, std::set<Bytes>> kept_aside(const std::string& segment) const;

  Scratch scratch_;
  SegmentTable segments_;
  Config config_;
  std::unique_ptr<SharedStore> store_;
  Site model_{1};
  std::vector<Site> peers_;
  std::map<std::string, JournalModel> journals_;
  std::map<std::string, Position> positions_;  ///< in the journal of peer 0
  Changes changes_;                            ///< of the running transaction
  std::int64_t now_ms_ = 1'000'000;
  unsigned actors_made_ = 0;
  std::string failure_;
};

}  // namespace loam::test
