// Every history of at most 3 replicas and 4 operations, with every possible state of knowledge at
// every operation, and every order of delivery of its deltas. Runs that are scaled down take 3 operations.
#include <doctest/doctest.h>

#include "tests/support/forall.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/replica.hpp"

using loam::Delta;
using loam::Dot;
using loam::Kind;
using loam::MemoryStore;
using test::Naive;
using test::Replica;

namespace {

// A set of operations of a history, by position.
using Mask = unsigned;

constexpr unsigned replicas_max = 3;
constexpr Mask bit(unsigned position) { return 1U << position; }

struct Operation {
  unsigned replica = 0;
  Mask seen = 0;  // operations delivered before it, its own replica's among them
  Delta delta;
  Naive news;
};

using Act = Delta (*)(Replica&);

const std::vector<Act> set_acts{
    [](Replica& at) { return at.add({"x"}); },  [](Replica& at) { return at.add({"y"}); },
    [](Replica& at) { return at.remove("x"); }, [](Replica& at) { return at.revise("x", {"y"}); },
    [](Replica& at) { return at.clear(); },
};

const std::vector<Act> map_acts{
    [](Replica& at) {
      return at.put({"x", "early", 1});
    },
    [](Replica& at) {
      return at.put({"x", "late", 2});
    },
    [](Replica& at) {
      return at.erase({"x", "", 1});
    },
};

// What a delta says, for the model: the dots written and the dots that die.
Naive news_of(Kind kind, const Delta& delta) {
  Naive news;
  for (const auto& [actor, ranges] : delta.context) {
    for (const loam::Range& range : ranges) {
      for (auto at = range.first; at <= range.last; ++at) news.removed.insert({actor, at});
    }
  }
  for (const auto& [dot, record] : delta.live) {
    news.removed.erase(dot);
    const bool is_map = kind == Kind::map;
    const loam::Hlc stamp = is_map ? loam::decode_map_record(record).stamp : loam::Hlc{};
    news.writes[dot] = {"x", 0, stamp, std::nullopt};
  }
  return news;
}

// Walks all histories, depth first. For every history it keeps the state that each subset of its
// operations leads to; that the state depends on the subset only is what delivery in every order,
// with duplicates, means.
class Enumeration {
 public:
  Enumeration(Kind kind, std::vector<Act> acts, unsigned operations_max)
      : kind_(kind), acts_(std::move(acts)), operations_max_(operations_max) {
    states_.emplace_back("lessons", kind);
    extend();
  }

  std::uint64_t histories = 0;

 private:
  void extend() {
    if (history_.size() == operations_max_) return;
    unsigned known = 0;  // replicas are interchangeable: a new one takes the next number
    for (const Operation& earlier : history_) known = std::max(known, earlier.replica + 1);
    for (unsigned replica = 0; replica <= std::min(known, replicas_max - 1); ++replica) {
      for (Mask seen = 0; seen < bit(position()); ++seen) {
        if (is_possible(replica, seen)) act(replica, seen);
      }
    }
  }

  unsigned position() const { return static_cast<unsigned>(history_.size()); }

  // A replica has seen its own operations, and what it saw before them.
  bool is_possible(unsigned replica, Mask seen) const {
    for (unsigned i = 0; i < position(); ++i) {
      if (history_[i].replica != replica) continue;
      const Mask before = history_[i].seen | bit(i);
      if ((seen & before) != before) return false;
    }
    return true;
  }

  void act(unsigned replica, Mask seen) {
    for (const Act make : acts_) {
      Replica actor(kind_, replica);
      actor.start_from(states_[seen]);
      Delta delta = make(actor);
      if (delta.empty()) continue;  // nothing to remove
      Naive news = news_of(kind_, delta);
      history_.push_back({replica, seen, std::move(delta), std::move(news)});
      ++histories;
      check(actor.store());
      extend();
      states_.erase(states_.begin() + bit(position() - 1), states_.end());
      history_.pop_back();
    }
  }

  // The subsets that hold the newest operation, against the model and by every last delivery.
  void check(const MemoryStore& at_the_actor) {
    const unsigned newest = position() - 1;
    for (Mask rest = 0; rest < bit(newest); ++rest) {
      states_.push_back(states_[rest]);
      apply(states_.back(), history_[newest].delta);
      REQUIRE(is_as_modelled(states_.back(), rest | bit(newest)));
    }
    REQUIRE(states_[history_[newest].seen | bit(newest)] == at_the_actor);
    for (Mask subset = bit(newest); subset < bit(newest + 1); ++subset) check_orders(subset);
    if (newest < 3) check_full_states();
  }

  void check_orders(Mask subset) {
    for (unsigned last = 0; last + 1 < position(); ++last) {  // the newest was applied last above
      if ((subset & bit(last)) == 0) continue;
      MemoryStore delivered = states_[subset ^ bit(last)];
      apply(delivered, history_[last].delta);
      REQUIRE(delivered == states_[subset]);
      REQUIRE(apply(delivered, history_[last].delta) == loam::Applied{});
    }
  }

  void check_full_states() {
    for (Mask left = 0; left < states_.size(); ++left) {
      for (Mask right = 0; right < states_.size(); ++right) {
        MemoryStore joined = states_[left];
        apply(joined, states_[right].full_state());
        REQUIRE(joined == states_[left | right]);
      }
    }
  }

  bool is_as_modelled(const MemoryStore& state, Mask subset) const {
    Naive model;
    for (unsigned i = 0; i < position(); ++i) {
      if ((subset & bit(i)) != 0) model.merge(history_[i].news);
    }
    loam::Context known;
    for (const Dot& dot : model.known()) known.insert(dot);
    std::set<Dot> live;
    for (const auto& [dot, record] : state.live()) live.insert(dot);
    if (state.context() != known || live != model.alive()) return false;
    if (kind_ == Kind::set) return true;
    const loam::Register held = state.read("x");
    const std::vector<Dot> ranked = model.ranked("x");
    return held.winner ? !ranked.empty() && held.winner->dot == ranked.front() : ranked.empty();
  }

  Kind kind_;
  std::vector<Act> acts_;
  unsigned operations_max_;
  std::vector<Operation> history_;
  std::vector<MemoryStore> states_;  // by subset
};

}  // namespace

TEST_CASE("every history of 3 replicas and 4 operations on a set converges in every order") {
  const bool is_whole = test::scaled(10) >= 10;
  const Enumeration all(Kind::set, set_acts, is_whole ? 4 : 3);
  CHECK(all.histories == (is_whole ? 33'656 : 794));
}

TEST_CASE("every history of 3 replicas and 4 operations on a register converges in every order") {
  const bool is_whole = test::scaled(10) >= 10;
  const Enumeration all(Kind::map, map_acts, is_whole ? 4 : 3);
  CHECK(all.histories == (is_whole ? 18'552 : 570));
}
