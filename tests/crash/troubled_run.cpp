#include "tests/crash/troubled_run.hpp"

#include <algorithm>
#include <new>
#include <set>

#include "crdt/codec.hpp"
#include "tests/crash/disk_watch.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam::test {
namespace {

// The state without what a store draws at random.
SharedState comparable(SharedState state) {
  state.id = {};
  for (auto& [name, contents] : state.segments) contents.journal = 0;
  return state;
}

SharedState new_store() {
  SharedState state;
  const SegmentTable table;
  for (const Segment& segment : table.all()) {
    if (segment.scope == Scope::shared) state.segments[segment.name];
  }
  return state;
}

std::string text_in(BytesView content) {
  return std::string(decode(content).find("payload")->text("text"));
}

// Keeps the models of that state. Says what differs when there is none.
template <class Model, class State>
std::string keep(std::vector<Model>& models, const State& found) {
  std::string what;
  std::vector<Model> kept;
  for (const Model& model : models) {
    if (what = difference(found, model.state()); what.empty()) kept.push_back(model);
  }
  if (kept.empty()) return "none of " + std::to_string(models.size()) + " states: " + what;
  kept.resize(1, kept.front());
  models = std::move(kept);
  return {};
}

}  // namespace

TroubledRun::TroubledRun(const std::filesystem::path& dir, std::uint64_t seed, Around around)
    : dir_(dir),
      around_(around ? std::move(around) : [](Doing, const auto& call) { call(); }),
      gen_(seed),
      shared_{SharedModel(crash_config().journal_entries_max)},
      private_(1) {
  seed_random_octets(seed);
  shared_.front().founded(new_store());
}

// A refusal is an Error, or what the standard library throws when there is no memory. Anything else
// is for the caller of the test to see.
Outcome TroubledRun::attempt(Doing doing, const std::function<void()>& call) const {
  try {
    around_(doing, call);
    return {};
  } catch (const Error& error) {
    return {false, error.code(), error.what()};
  } catch (const std::bad_alloc& error) {
    return {false, std::nullopt, error.what()};
  }
}

Outcome TroubledRun::open() {
  return attempt(Doing::opening,
                 [&] { stores_ = std::make_unique<Stores>(dir_, small_map_octets); });
}

template <class Model>
void TroubledRun::may_be(std::vector<Model>& models, bool is_done,
                         const std::function<void(Model&)>& change) const {
  std::vector<Model> changed = models;
  for (Model& model : changed) change(model);
  if (is_done || believes_refused_) models.clear();
  models.insert(models.end(), changed.begin(), changed.end());
}

Outcome TroubledRun::commit_shared(const std::function<void()>& call,
                                   const std::function<void(SharedModel&)>& change) {
  Outcome outcome = attempt(Doing::writing, call);
  may_be(shared_, outcome.is_done, change);
  return outcome;
}

Outcome TroubledRun::commit_private(const Step& step) {
  Outcome outcome = attempt(Doing::writing, [&] { commit(stores_->priv, step.priv, step.now_ms); });
  may_be<PrivateModel>(private_, outcome.is_done,
                       [&](PrivateModel& model) { model.commit(step.priv, step.now_ms); });
  return outcome;
}

Outcome TroubledRun::own_work(const Step& step) {
  const bool drops = step.kind == Step::Kind::drop_journals;
  return commit_shared(
      [&] {
        stores_->shared.env().write([&](lmdb::WriteTxn& txn) {
          SharedBatch batch(stores_->shared, txn, step.now_ms);
          drops ? batch.drop_journals() : batch.fold();
          batch.finish();
        });
      },
      [&](SharedModel& model) {
        if (drops) model.drop_journals(new_store());
      });
}

Outcome TroubledRun::step() {
  const Step step = script_.next(gen_, shared_.front().site());
  switch (step.kind) {
    case Step::Kind::reopen: close(); return open();
    case Step::Kind::fold:
    case Step::Kind::drop_journals: return own_work(step);
    case Step::Kind::commit: break;
  }
  Outcome outcome;
  if (!step.shared.empty()) {
    const ActorId actor = stores_->shared.own_actor(step.now_ms);
    outcome = commit_shared([&] { commit(stores_->shared, step.shared, step.now_ms); },
                            [&](SharedModel& model) {
                              model.become(actor);
                              model.commit(step.shared, step.now_ms);
                            });
  }
  if (outcome.is_done && !step.priv.empty()) outcome = commit_private(step);
  return outcome;
}

Outcome TroubledRun::remove_everything() {
  std::set<std::string> names;
  for (const auto& [dot, record] : shared_.front().site().set().live()) {
    names.insert(text_in(view_set_record(record).content));
  }
  std::vector<Action> actions;
  for (const std::string& name : names) {
    actions.push_back({.kind = Action::Kind::remove, .name = name});
  }
  return commit_shared([&] { commit(stores_->shared, actions, 0, lmdb::Space::removal); },
                       [&](SharedModel& model) { model.commit(actions, 0); });
}

std::string TroubledRun::verify() {
  if (std::string what = walk(stores_->shared); !what.empty()) return what;
  std::string what = keep(shared_, comparable(read_state(stores_->shared)));
  return what.empty() ? keep(private_, read_state(stores_->priv)) : what;
}

}  // namespace loam::test
