#include <algorithm>
#include <cerrno>
#include <utility>

#include "crdt/error.hpp"
#include "tests/sim/random_stream.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

std::optional<ErrorCode> code_of(const std::exception_ptr& failure) {
  if (!failure) return std::nullopt;
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code();
  } catch (...) {
    return ErrorCode::failed;
  }
}

std::string what_of(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    return error.what();
  }
}

// Notes how a job ended, when it is told; who waits for it hears later.
void record_outcome(Todo& todo) {
  todo.job.done = [outcome = todo.outcome,
                   done = std::move(todo.job.done)](std::exception_ptr failure) {
    if (done) done(failure);
    outcome->is_told = true;
    outcome->failure = failure;
  };
}

bool is_full_or_failed(const std::exception_ptr& failure) {
  const auto code = code_of(failure);
  return code == ErrorCode::out_of_space || code == ErrorCode::failed;
}

// LMDB gives an environment up whose meta page could not be written.
bool can_be_read(const Process& process) {
  try {
    (void)process.shared.env().last_transaction();
    (void)process.priv.env().last_transaction();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::vector<Todo> World::take(Process& process, std::size_t count) {
  std::vector<Todo> todos = std::exchange(process.held, {});
  while (!process.queue.empty() && count-- > 0) {
    todos.push_back(std::move(process.queue.front()));
    process.queue.pop_front();
  }
  return todos;
}

// What says nothing new is answered at once, and stored with the next commit.
bool World::hold_if_lazy(Process& process, std::vector<Todo>& todos) {
  for (const Todo& todo : todos) {
    if (!todo.job.lazy) return false;
  }
  trace_.met("a lazy job is answered before it is stored");
  for (Todo& todo : todos) {
    loam::end(todo.job, nullptr);
    todo.outcome->is_told = true;
    if (todo.then) std::exchange(todo.then, nullptr)(*todo.outcome);
    todo.outcome = std::make_shared<Todo::Outcome>();
  }
  process.held = std::move(todos);
  return true;
}

void World::commit(Process& process, std::size_t count, Fate fate, Gen& gen) {
  std::vector<Todo> todos = take(process, count);
  if (todos.empty()) return;
  trace_.line("process " + std::to_string(process.number) + " commits " +
              std::to_string(todos.size()));
  if (fate == Fate::crash_before) {
    trace_.met("a crash before a commit");
    return end(process);
  }
  if (fate == Fate::normal && !gen.one_in(3) && hold_if_lazy(process, todos)) return;
  std::vector<Job> jobs;
  for (Todo& todo : todos) {
    record_outcome(todo);
    jobs.push_back(todo.job);
  }
  if (jobs.size() > 1) trace_.met("a commit of several jobs");
  const std::uint64_t stream = mixed(gen.bits(), process.number);
  seed_randomness(stream);
  if (fate == Fate::disk_error) {
    // Two failures: the group, and the first of its jobs alone.
    static const std::vector<std::uint64_t> failures{1, 2, 2, 3, 1'000};
    const std::uint64_t after = gen.coin() ? 0 : gen.below(6);
    break_disk({after, gen.one_in(3) ? EIO : ENOSPC, gen.pick(failures), gen.coin()});
  }
  process.has_committed = false;
  process.committer.commit(std::move(jobs));
  const bool is_broken = mend_disk();
  const auto minted = process.shared.live_actor(0);
  if (std::exchange(process.minted, minted) != minted) {
    process.mint_stream = stream;
    process.mint_ms = process.now_ms();
  }
  bool is_uncertain = is_broken && !can_be_read(process);
  for (const Todo& todo : todos) {
    trace_.expect(todo.outcome->is_told, "a job was never told how it ended");
    is_uncertain =
        is_uncertain || (is_broken && code_of(todo.outcome->failure) == ErrorCode::failed);
  }
  has_disk_failed_ = has_disk_failed_ || is_broken;
  if (is_broken) trace_.met("a write to the disk failed");
  if (is_uncertain) return settle_uncertain(process, todos, gen);
  judge(process, todos, is_broken);
  if (fate == Fate::crash_after) {
    trace_.met("a crash after a commit, before it was told");
    return end(process);
  }
  tell(process, todos, gen);
}

void World::run_effects(Judgement& judgement, const std::vector<Todo>& todos, bool all,
                        bool is_faulty) {
  for (const Todo& todo : todos) {
    const auto failed = code_of(todo.outcome->failure);
    if (!failed || (all && is_full_or_failed(todo.outcome->failure))) {
      const auto expected = todo.effect(judgement);
      if (!expected || all) continue;
      trace_.expect(false, todo.what + ": succeeded, and ought to fail: " +
                               std::string(code_name(*expected)));
    } else {
      Judgement alone = judgement;
      const bool is_expected = todo.effect(alone) == failed;
      const bool may_be_full = is_faulty || has_disk_failed_ || scenario_.setup.small_maps;
      const bool is_excused = may_be_full && is_full_or_failed(todo.outcome->failure);
      if (failed == ErrorCode::out_of_space) trace_.met("a store is full");
      trace_.expect(is_expected || is_excused || is_tainted(),
                    todo.what + ": failed: " + what_of(todo.outcome->failure));
    }
  }
}

// Every job has been told how it ended: the store must be what the models say.
void World::judge(Process& process, std::vector<Todo>& todos, bool is_faulty) {
  Replica& replica = process.replica;
  const Readback stored = read_back(process.shared, replica.heads);
  Judgement judgement{process,       stored, replica.shared, replica.priv, {},
                      process.actor, {},     {},             false,        {}};
  const bool is_undone =
      is_faulty || std::any_of(todos.begin(), todos.end(), [](const Todo& todo) {
        return todo.outcome->failure != nullptr;
      });
  judgement.may_have_renewed = process.may_have_renewed || is_undone;
  run_effects(judgement, todos, false, is_faulty);
  trace_.expect(judgement.problem.empty(), judgement.problem);
  check_store(process, judgement);
  const bool has_written = !judgement.written.empty();
  accept(replica, judgement, true);
  process.may_have_renewed = is_undone || (process.may_have_renewed && !has_written);
}

// The disk failed under a commit: it may be durable or not, whole. Nobody was told that it was. The
// process has opened its stores again and goes on; or it ends, and another one opens them.
void World::settle_uncertain(Process& troubled, std::vector<Todo>& todos, Gen& gen) {
  trace_.met("a commit that may be durable or not");
  Replica& replica = troubled.replica;
  const std::optional<ActorId> actor = troubled.actor;
  std::unique_ptr<Process> next;
  const bool can_go_on = troubled.shared.env().is_writable() && troubled.priv.env().is_writable();
  if (can_go_on && gen.coin()) {
    trace_.met("a process went on after its disk had failed");
  } else {
    end_all(replica);
    next = std::make_unique<Process>(replica, ++processes_made_,
                                     [this, &replica] { return wall_ms(replica); });
  }
  Process* const process = next ? next.get() : &troubled;
  StoreModel shared_before = replica.shared;
  PrivateModel priv_before = replica.priv;
  const Readback stored = read_back(process->shared, replica.heads);
  const PrivateModel priv = read_private(*process);
  for (const bool all : {false, true}) {
    Judgement judgement{*process, stored, shared_before, priv_before, {},
                        actor,    {},     {},            true,        {}};
    run_effects(judgement, todos, all, true);
    const bool is_shared = difference(judgement.shared, stored.model).empty();
    const bool is_priv = difference(judgement.priv, priv).empty();
    if (!is_shared || !is_priv || !judgement.problem.empty()) continue;
    if (all && judgement.shared != shared_before) trace_.met("a failed commit was durable");
    check_store(*process, judgement);
    accept(replica, judgement, !all);
    if (next) return;  // what wrote under its actor has ended
    troubled.may_have_renewed = true;
    tell(troubled, todos, gen);
    return;
  }
  trace_.expect(false, "after a failed commit the store is neither as before nor as after");
}

void World::accept(Replica& replica, Judgement& judgement, bool is_told) {
  replica.shared = std::move(judgement.shared);
  replica.priv = std::move(judgement.priv);
  if (judgement.actor && !judgement.process.actor) {
    trace_.line("actor " + judgement.actor->text());
  }
  for (const auto& [segment, write] : judgement.written) {
    Truth& truth = truth_[segment];
    actors_.emplace(write.first.actor, judgement.process.number);
    const auto claim = judgement.stored.claims.find(write.first.actor);
    if (claim != judgement.stored.claims.end()) claims_.insert(*claim);
    honest_authors_.emplace(write.first.actor, replica.instance);
    note_written(truth, segment, write.first, write.second);
    note_strong(segment, write.first, write.second);
    if (is_told) truth.acknowledged.insert({write.first, content_hash(write.second)});
  }
  for (const auto& [segment, dot] : judgement.removed) truth_[segment].removed.insert(dot);
  judgement.process.actor = judgement.actor;
  for (const auto& [name, journal] : judgement.stored.journals) {
    replica.journals[name] = journal.id;
    replica.heads[name] = journal.head;
    for (const auto& [number, entry] : journal.entries) {
      journal_log_[journal.id][number] = entry.changed;
    }
  }
}

// The loop hears of the commit, then of each job.
void World::tell(Process& process, std::vector<Todo>& todos, Gen& gen) {
  if (process.has_committed && (is_healing_ || !gen.one_in(5))) tell_changed(process);
  for (Todo& todo : todos) {
    if (todo.then) todo.then(*todo.outcome);
  }
}

void World::fold(Process& process) {
  process.committer.fold();
  trace_.met("the element index was folded");
  const Readback stored = read_back(process.shared, process.replica.heads);
  const std::string what = difference(process.replica.shared, stored.model);
  trace_.expect(what.empty(), "folded: " + what);
}

}  // namespace loam::sim
