#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/state.hpp"
#include "tests/lib/site.hpp"

namespace loam::test {

inline constexpr const char* private_set_segment = "project_history";
inline constexpr const char* private_map_segment = "session_context";

/// One job of a commit: what it does to the store, and to the model beside it.
struct Action {
  enum class Kind : std::uint8_t { add, remove, revise, put, join, packet, peer };

  Kind kind = Kind::add;
  std::string name = {};  ///< what is added, removed or revised; a key; a receipt
  std::string next = {};  ///< what a revision says
  std::string note = {};
  std::optional<Bytes> value = {};
  std::string segment = {};  ///< of a join
  Delta delta = {};
  Authors authors = {};
  StoreId origin = {};
  std::optional<Position> position = {};  ///< stored with the join
  PacketId packet = {};
};

/// One job for the private environment.
struct PrivateAction {
  enum class Kind : std::uint8_t { add, remove, put, packet };

  Kind kind = Kind::add;
  PacketId id = {};
  Bytes record = {};
  std::string key = {};
  std::optional<Bytes> value = {};
};

/// What the writer does at one moment: a group commit of each environment that has jobs, or one of
/// the things that it does by itself.
struct Step {
  enum class Kind : std::uint8_t { commit, fold, drop_journals, reopen };

  Kind kind = Kind::commit;
  std::int64_t now_ms = 0;
  std::vector<Action> shared = {};
  std::vector<PrivateAction> priv = {};
};

/// What the shared environment must hold, kept by the rules of docs/SEMANTICS.md and
/// docs/STORAGE.md and never read back. A value: a copy is what may be there before or after a
/// commit.
class SharedModel {
 public:
  explicit SharedModel(std::uint64_t journal_entries_max);

  /// Takes over what only the store can know: ids that it draws at random. `actor` is this
  /// session's.
  void founded(const SharedState& found);
  void become(const ActorId& actor) { site_.become(actor); }

  /// What a commit of these jobs leads to; jobs that must fail are left out.
  void commit(const std::vector<Action>& actions, std::int64_t now_ms);

  /// Dropped journals get new ids, which only the store knows.
  void drop_journals(const SharedState& found);

  const Site& site() const noexcept { return site_; }
  SharedState state() const;

 private:
  using Changes = std::map<std::pair<std::string, StoreId>, Context>;

  void run(const Action& action, std::int64_t now_ms, Changes& changes);
  void note(const StoreId& peer, PeerRow row);
  void wrote(const Applied& applied, const std::string& segment, Changes& changes);
  void enter(const Changes& changes);

  Site site_{1};
  std::uint64_t journal_entries_max_;
  SharedState rest_;  ///< everything but the contents of segments
};

/// What the private environment must hold.
class PrivateModel {
 public:
  void commit(const std::vector<PrivateAction>& actions, std::int64_t now_ms);
  const PrivateState& state() const noexcept { return state_; }

 private:
  PrivateState state_;
};

/// Runs the jobs as the writer of lib/commit_queue.cpp does: one transaction; a job that fails is
/// left out and the others run again. Throws what the transaction throws.
void commit(SharedStore& store, const std::vector<Action>& actions, std::int64_t now_ms,
            lmdb::Space space = lmdb::Space::normal);
void commit(PrivateStore& store, const std::vector<PrivateAction>& actions, std::int64_t now_ms);

/// Steps from a seed: an instance that writes, and two peers that it hears of and that hear of it.
class Script {
 public:
  Script();

  /// The next step of an instance that holds `ours`.
  Step next(Gen& gen, const Site& ours);

  static StoreId peer(std::size_t number) {
    return id_of<StoreId>(static_cast<unsigned>(100 + number));
  }

 private:
  void peers_go_on(Gen& gen, const Site& ours);
  Action action(Gen& gen);
  Action join(Gen& gen);
  PrivateAction private_action(Gen& gen);

  std::vector<Site> peers_;
  unsigned actors_made_ = 0;
  std::int64_t now_ms_ = 1'000'000;
  std::vector<PacketId> private_ids_;
  std::uint64_t entry_ = 0;  ///< of the journals of the peers
};

}  // namespace loam::test
