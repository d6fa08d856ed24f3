#include "tests/crash/workload.hpp"

#include <cerrno>
#include <stdexcept>

#include "lib/lmdb_file.hpp"
#include "tests/lib/scratch.hpp"

namespace loam::test {
namespace {

// Two parts of a context that have nothing in common and are the whole together.
std::pair<Context, Context> halves(const Context& context) {
  std::pair<Context, Context> parts;
  bool is_first = true;
  for (const auto& [actor, ranges] : context) {
    for (const Range& range : ranges) {
      const std::uint64_t middle = range.first + (range.last - range.first) / 2;
      (is_first ? parts.first : parts.second).insert(actor, Range{range.first, middle});
      is_first = !is_first;
      if (middle == range.last) continue;
      (is_first ? parts.first : parts.second).insert(actor, Range{middle + 1, range.last});
      is_first = !is_first;
    }
  }
  return parts;
}

Delta part_of(const Delta& delta, const Context& context) {
  Delta part{context, {}};
  for (const auto& [dot, record] : delta.live) {
    if (context.contains(dot)) part.live.emplace(dot, record);
  }
  return part;
}

/// A run that is being recorded.
class Run {
 public:
  Run(const std::filesystem::path& dir, const RecordingRules& rules)
      : dir_(dir),
        gen_(rules.seed),
        rules_(rules),
        watch_(dir),
        model_(crash_config().journal_entries_max) {
    using Kind = DiskEvent::Kind;
    recording_.shared.resize(1);
    recording_.priv.resize(1);
    watch_.mark(Kind::begun, shared_name, 1);
    watch_.mark(Kind::begun, private_name, 1);
    open();
    watch_.mark(Kind::acknowledged, shared_name, 1);
    watch_.mark(Kind::acknowledged, private_name, 1);
    const SharedState found = read_state(stores_->shared);
    model_.founded(found);
    recording_.shared.push_back(found);
    recording_.priv.push_back(private_model_.state());
  }

  void step() {
    const Step step = script_.next(gen_, model_.site());
    switch (step.kind) {
      case Step::Kind::reopen:
        ++recording_.happened["reopened"];
        stores_.reset();
        return open();
      case Step::Kind::fold:
      case Step::Kind::drop_journals: return own_work(step);
      case Step::Kind::commit: break;
    }
    if (!step.shared.empty()) commit_shared(step);
    if (!step.priv.empty()) commit_private(step);
  }

  Recording end() {
    const bool has_grown = lmdb::check_data_file(dir_ / shared_name).map_octets > small_map_octets;
    recording_.happened["map grown"] += has_grown;
    for (const auto& [name, contents] : recording_.shared.back().segments) {
      recording_.happened["journal trimmed"] += contents.floor > 0 && !contents.entries.empty();
    }
    for (const std::string& environment : {shared_name, private_name}) {
      recording_.locks[environment] = read_file(dir_ / environment / "lock.mdb");
    }
    stores_.reset();
    for (const std::string& environment : {shared_name, private_name}) {
      recording_.data[environment] = read_file(dir_ / environment / "data.mdb");
    }
    recording_.events = watch_.events();
    return std::move(recording_);
  }

 private:
  void open() { stores_ = std::make_unique<Stores>(dir_, small_map_octets); }

  /// Runs a commit that leads to a state. False: a sync failed, nothing is acknowledged, and the
  /// stores go on, or were closed and opened again.
  template <class Commit>
  bool acknowledge(const std::string& environment, std::size_t number, Commit&& commit) {
    using Kind = DiskEvent::Kind;
    watch_.mark(Kind::begun, environment, number);
    const bool is_early = rules_.plant == Plant::early_acknowledgement;
    if (is_early) watch_.mark(Kind::acknowledged, environment, number);
    if (rules_.failing != Fault::Call::none && gen_.one_in(6)) {
      const bool lasts = rules_.failing == Fault::Call::meta_lost && gen_.coin();
      watch_.fail({.call = rules_.failing, .number = 1, .code = EIO, .lasts = lasts});
    }
    try {
      commit();
    } catch (const Error&) {
      if (watch_.failures() == 0) throw;
      ++recording_.happened["commit failed"];
      watch_.heal();
      if (gen_.coin()) {
        ++recording_.happened["went on after a failure"];
        return false;
      }
      stores_.reset();
      open();
      return false;
    }
    watch_.heal();
    if (!is_early) watch_.mark(Kind::acknowledged, environment, number);
    return true;
  }

  void commit_shared(const Step& step) {
    const ActorId actor = stores_->shared.own_actor(step.now_ms);
    const bool is_done =
        acknowledge(shared_name, recording_.shared.size(), [&] { commit_planted(step); });
    const SharedModel before = model_;
    model_.become(actor);
    model_.commit(step.shared, step.now_ms);
    recording_.shared.push_back(model_.state());
    const SharedState found = read_state(stores_->shared);
    if (!is_done && found == before.state()) model_ = before;
    must_be(found);
  }

  void must_be(const SharedState& found) {
    // Two transactions make other journal entries and stamps than one.
    if (rules_.plant == Plant::split_delta) {
      recording_.shared.back() = found;
    } else {
      must_equal(found, model_.state());
    }
  }

  // Does what the step says, in one transaction unless a mistake is planted.
  void commit_planted(const Step& step) {
    std::vector<Action> before;
    std::vector<Action> actions = step.shared;
    for (Action& action : actions) {
      if (action.kind != Action::Kind::join) continue;
      if (action.delta.context.count() > 1) ++recording_.happened["delta of several dots"];
      if (rules_.plant == Plant::split_delta) {
        const auto [first, second] = halves(action.delta.context);
        before.push_back(action);
        before.back().delta = part_of(action.delta, first);
        before.back().position.reset();
        action.delta = part_of(action.delta, second);
      } else if (rules_.plant == Plant::early_position) {
        before.push_back(action);
        before.back().delta = {};
        action.position.reset();
      }
    }
    commit(stores_->shared, before, step.now_ms);
    commit(stores_->shared, actions, step.now_ms);
  }

  void commit_private(const Step& step) {
    const bool is_done = acknowledge(private_name, recording_.priv.size(),
                                     [&] { commit(stores_->priv, step.priv, step.now_ms); });
    ++recording_.happened["private commit"];
    const PrivateModel before = private_model_;
    private_model_.commit(step.priv, step.now_ms);
    recording_.priv.push_back(private_model_.state());
    const PrivateState found = read_state(stores_->priv);
    if (!is_done && found == before.state()) private_model_ = before;
    must_equal(found, private_model_.state());
  }

  // What the writer does by itself. A fold changes nothing that anyone could see.
  void own_work(const Step& step) {
    const bool drops = step.kind == Step::Kind::drop_journals;
    const PendingState pending = stores_->shared.env().read(read_pending_state);
    if (drops) ++recording_.happened["journals dropped"];
    if (!drops && pending.entries > 0) ++recording_.happened["index folded"];
    using Kind = DiskEvent::Kind;
    watch_.mark(Kind::begun, shared_name, recording_.shared.size());
    stores_->shared.env().write([&](lmdb::WriteTxn& txn) {
      SharedBatch batch(stores_->shared, txn, step.now_ms);
      drops ? batch.drop_journals() : batch.fold();
      batch.finish();
    });
    watch_.mark(Kind::acknowledged, shared_name, recording_.shared.size());
    const SharedState found = read_state(stores_->shared);
    if (drops) model_.drop_journals(found);
    recording_.shared.push_back(model_.state());
    must_be(found);
  }

  template <class State>
  void must_equal(const State& found, const State& expected) {
    const std::string what = difference(found, expected);
    if (!what.empty()) throw std::logic_error("store and model: " + what);
  }

  std::filesystem::path dir_;
  Gen gen_;
  RecordingRules rules_;
  DiskWatch watch_;
  Script script_;
  SharedModel model_;
  PrivateModel private_model_;
  std::unique_ptr<Stores> stores_;
  Recording recording_;
};

}  // namespace

Recording record(const std::filesystem::path& dir, const RecordingRules& rules) {
  seed_random_octets(rules.seed);
  Run run(dir, rules);
  for (int i = 0; i < rules.steps; ++i) run.step();
  return run.end();
}

}  // namespace loam::test
