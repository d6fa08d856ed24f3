#include "crdt/voters.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "tests/support/forall.hpp"

using loam::Dot;
using loam::Voter;
using loam::VoterSet;
using loam::VoterStep;
using loam::VoterView;
using test::Gen;

namespace {

using StepMask = std::uint32_t;  // of steps of a log
using Stores = std::uint32_t;    // of the stores that there are

Voter voter(std::size_t number, unsigned store = 0) {
  Voter made;
  made.instance.bytes[0] = static_cast<std::byte>(number + 1);
  made.store.bytes = made.instance.bytes;
  made.store.bytes[1] = static_cast<std::byte>(store);
  return made;
}

VoterSet voters_of(Stores stores) {
  VoterSet set;
  for (std::size_t i = 0; i < 15; ++i) {
    if ((stores >> i & 1) != 0) set.push_back(voter(i));
  }
  return set;
}

constexpr Stores ann = 1;
constexpr Stores bob = 2;
constexpr Stores cyd = 4;
constexpr Stores dan = 8;

StepMask bit_of(std::size_t place) { return StepMask{1} << place; }

// What governors have written of voters, each step with all that its author had seen; a mask is what somebody holds.
class StepLog {
 public:
  using View = std::function<VoterView(const Voter&, const std::vector<VoterStep>&)>;

  std::size_t size() const { return steps_.size(); }
  StepMask all() const { return bit_of(size()) - 1; }
  StepMask past(std::size_t place) const { return pasts_[place]; }
  bool is_seal(std::size_t place) const { return steps_[place].change.sealed; }

  /// The number of the step: its bit. `seen` holds what it rests on.
  StepMask begin(Stores voters, StepMask seen = 0) { return add(voters_of(voters), false, seen); }
  StepMask seal(Stores voters, StepMask seen) { return add(voters_of(voters), true, seen); }
  StepMask add(VoterSet voters, bool sealed, StepMask seen, std::uint64_t counter = 1) {
    REQUIRE(holds_pasts(seen));
    Dot dot{{}, counter};
    dot.actor.bytes[0] = static_cast<std::byte>(size() + 1);
    pasts_.push_back(seen);
    steps_.push_back({dot, {std::move(voters), sealed}, {}});
    return bit_of(size() - 1);
  }
  void pop() {
    pasts_.pop_back();
    steps_.pop_back();
  }

  bool holds_pasts(StepMask held) const {
    for (std::size_t i = 0; i < size(); ++i) {
      if ((held & bit_of(i)) != 0 && (pasts_[i] & ~held) != 0) return false;
    }
    return held <= all();
  }

  /// Those that changes of these steps have named.
  std::set<VoterSet> named(StepMask held) const {
    std::set<VoterSet> found;
    for (std::size_t i = 0; i < size(); ++i) {
      if ((held & bit_of(i)) != 0 && !is_seal(i)) found.insert(steps_[i].change.voters);
    }
    return found;
  }

  std::vector<StepMask> held() const {
    std::vector<StepMask> found;
    for (StepMask mask = 0; mask <= all(); ++mask) {
      if (holds_pasts(mask)) found.push_back(mask);
    }
    return found;
  }

  std::vector<VoterStep> steps(StepMask held) const {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < size(); ++i) order.push_back(i);
    return steps(held, order);
  }

  std::vector<VoterStep> steps(StepMask held, const std::vector<std::size_t>& order) const {
    std::vector<VoterStep> found;
    std::vector<std::size_t> places;
    for (const std::size_t place : order) {
      if ((held & bit_of(place)) == 0) continue;
      VoterStep step = steps_[place];
      for (std::size_t before = 0; before < places.size(); ++before) {
        if ((pasts_[place] & bit_of(places[before])) != 0) step.seen.push_back(before);
      }
      places.push_back(place);
      found.push_back(std::move(step));
    }
    return found;
  }

  VoterView view() const { return view(all()); }
  VoterView view(StepMask held) const { return made_by(voter(0), steps(held)); }

  View made_by = loam::view_of;

 private:
  std::vector<VoterStep> steps_;
  std::vector<StepMask> pasts_;
};

std::set<VoterSet> open_of(const VoterView& view) {
  const std::set<VoterSet> open(view.open.begin(), view.open.end());
  REQUIRE(open.size() == view.open.size());  // each once
  return open;
}

std::set<VoterSet> sets(std::initializer_list<Stores> of) {
  std::set<VoterSet> made;
  for (const Stores each : of) made.insert(voters_of(each));
  return made;
}

}  // namespace

TEST_CASE("the first voter is alone as long as nobody has said otherwise") {
  const VoterView view = StepLog().view();
  CHECK(open_of(view) == sets({ann}));
  CHECK(view.newest == voters_of(ann));
  CHECK(view.epoch == 0);
  CHECK(view.is_sealed());
  CHECK_FALSE(view.is_disputed);
  CHECK(view.is_voter(voter(0)));
  CHECK_FALSE(view.is_voter(voter(0, 1)));  // with another store
  CHECK_FALSE(view.is_voter(voter(1)));
}

TEST_CASE("a change that was begun opens its voters beside the former ones, and its seal closes those") {
  StepLog log;
  const StepMask change = log.begin(bob | cyd);
  const VoterView begun = log.view();
  CHECK(open_of(begun) == sets({ann, bob | cyd}));
  CHECK(begun.newest == voters_of(bob | cyd));
  CHECK(begun.epoch == 1);
  CHECK_FALSE(begun.is_sealed());
  CHECK_FALSE(begun.is_disputed);
  CHECK(begun.is_voter(voter(0)));
  CHECK(begun.is_voter(voter(2)));
  log.seal(bob | cyd, change);
  const VoterView sealed = log.view();
  CHECK(open_of(sealed) == sets({bob | cyd}));
  CHECK(sealed.newest == voters_of(bob | cyd));
  CHECK(sealed.epoch == 1);
  CHECK(sealed.is_sealed());
  CHECK_FALSE(sealed.is_voter(voter(0)));
}

TEST_CASE("a change may begin before the last one has ended, and its seal closes all before it") {
  StepLog log;
  const StepMask first = log.begin(ann | bob);
  const StepMask second = log.begin(bob | cyd, first);
  CHECK(open_of(log.view()) == sets({ann, ann | bob, bob | cyd}));
  CHECK_FALSE(log.view().is_disputed);
  CHECK(log.view().epoch == 2);
  log.seal(bob | cyd, first | second);
  CHECK(open_of(log.view()) == sets({bob | cyd}));
  CHECK(log.view().is_sealed());
}

TEST_CASE("two changes begun at once stay open both and are in dispute, until somebody who has seen both begins another") {
  StepLog log;
  const StepMask one = log.begin(ann | bob);
  const StepMask other = log.begin(ann | cyd);
  const VoterView both = log.view();
  CHECK(open_of(both) == sets({ann, ann | bob, ann | cyd}));
  CHECK(both.is_disputed);
  CHECK_FALSE(both.is_sealed());
  CHECK(both.newest == voters_of(ann | cyd));  // by the greater dot
  CHECK(both.epoch == 2);
  const StepMask third = log.begin(bob | cyd | dan, one | other);
  CHECK(open_of(log.view()) == sets({ann, ann | bob, ann | cyd, bob | cyd | dan}));
  CHECK_FALSE(log.view().is_disputed);
  CHECK(log.view().newest == voters_of(bob | cyd | dan));
  log.seal(bob | cyd | dan, one | other | third);
  CHECK(open_of(log.view()) == sets({bob | cyd | dan}));
  CHECK(log.view().is_sealed());
}

TEST_CASE("two changes to the same voters are one set, and in dispute all the same") {
  StepLog log;
  log.begin(ann | bob);
  log.begin(ann | bob);
  CHECK(open_of(log.view()) == sets({ann, ann | bob}));
  CHECK(log.view().is_disputed);
}

TEST_CASE("a seal of two changes at once, of none, or of other voters does not count") {
  StepLog two;
  const StepMask one = two.begin(ann | bob);
  const StepMask other = two.begin(ann | cyd);
  two.seal(ann | cyd, one | other);
  CHECK(open_of(two.view()) == sets({ann, ann | bob, ann | cyd}));
  CHECK(two.view().is_disputed);

  StepLog none;
  none.seal(bob, 0);
  CHECK(open_of(none.view()) == sets({ann}));
  CHECK(none.view().newest == voters_of(ann));

  StepLog others;
  const StepMask change = others.begin(ann | bob);
  const StepMask wrong = others.seal(ann | cyd, change);
  CHECK(open_of(others.view()) == sets({ann, ann | bob}));
  CHECK(others.view().epoch == 1);
  others.seal(ann | bob, change | wrong);  // the right one, of somebody who has seen the wrong one
  CHECK(open_of(others.view()) == sets({ann | bob}));
}

TEST_CASE("a seal leaves a change open that its author had not seen") {
  StepLog log;
  const StepMask sealed = log.begin(ann | bob);
  const StepMask apart = log.begin(cyd);
  const StepMask seal = log.seal(ann | bob, sealed);
  CHECK(open_of(log.view()) == sets({ann | bob, cyd}));
  CHECK(log.view().is_disputed);
  CHECK_FALSE(log.view().is_sealed());
  CHECK(open_of(log.view(sealed | seal)) == sets({ann | bob}));
  CHECK(log.view(sealed | seal).is_sealed());
  // Each of two at once seals his own: neither closes the other's.
  log.seal(cyd, apart);
  CHECK(open_of(log.view()) == sets({ann | bob, cyd}));
  CHECK_FALSE(log.view().is_sealed());
}

TEST_CASE("a change after a seal opens its voters beside the sealed ones alone") {
  StepLog log;
  const StepMask first = log.begin(ann | bob);
  const StepMask seal = log.seal(ann | bob, first);
  const StepMask second = log.begin(bob | cyd, first | seal);
  CHECK(open_of(log.view()) == sets({ann | bob, bob | cyd}));
  log.seal(bob | cyd, first | seal | second);
  CHECK(open_of(log.view()) == sets({bob | cyd}));
  CHECK(log.view().epoch == 2);
}

TEST_CASE("the id of a view is of the steps in whatever order, and of the first voter, and of nothing else") {
  StepLog log;
  log.begin(ann | bob);
  log.begin(ann | cyd);
  log.begin(ann | dan);
  const auto id = log.view().id;
  CHECK(loam::view_of(voter(0), log.steps(log.all(), {2, 0, 1})).id == id);
  std::set<loam::VoterViewId> ids;
  for (const StepMask held : log.held()) ids.insert(log.view(held).id);
  CHECK(ids.size() == 8);
  CHECK(loam::view_of(voter(1), log.steps(log.all())).id != id);
  CHECK(loam::view_of(voter(0, 1), log.steps(log.all())).id != id);
  StepLog later;  // the same actor's next dot
  later.add(voters_of(ann | bob), false, 0, 2);
  CHECK(later.view().id != log.view(1).id);
}

TEST_CASE("a quorum is a majority of every open set, counted in stores") {
  const auto quorum = [](std::initializer_list<Stores> open, Stores votes) {
    VoterView view;
    for (const Stores each : open) view.open.push_back(voters_of(each));
    const VoterSet set = voters_of(votes);
    return view.is_quorum({set.begin(), set.end()});
  };
  // Of one to five voters.
  for (std::size_t count = 1; count <= 5; ++count) {
    for (Stores votes = 0; votes < 64; ++votes) {
      std::size_t found = 0;
      for (std::size_t i = 0; i < count; ++i) found += votes >> i & 1;
      CHECK(quorum({bit_of(count) - 1}, votes) == (found >= count / 2 + 1));
    }
  }
  CHECK(quorum({ann | bob | cyd, bob | cyd | dan}, bob | cyd));
  CHECK_FALSE(quorum({ann | bob | cyd, bob | cyd | dan}, ann | bob));
  CHECK_FALSE(quorum({ann, bob}, ann));
  CHECK(quorum({ann, bob}, ann | bob));
  CHECK_FALSE(quorum({}, ann | bob));
  CHECK_FALSE(quorum({Stores{0}}, ann));
  CHECK_FALSE(quorum({ann, Stores{0}}, ann));
  VoterView view;
  view.open = {voters_of(ann | bob | cyd)};
  CHECK_FALSE(view.is_quorum({voter(0), voter(1, 9)}));             // an instance with another store
  CHECK_FALSE(view.is_quorum({voter(0), voter(0, 1), voter(0, 2)}));  // or with several
}

namespace {

// Of up to four stores, any steps that rest on anything.
StepLog random_log(Gen& gen, std::size_t size) {
  StepLog log;
  while (log.size() < size) {
    StepMask seen = 0;
    for (std::size_t i = 0; i < log.size(); ++i) {
      if (gen.coin()) seen |= bit_of(i) | log.past(i);
    }
    VoterSet voters = voters_of(static_cast<Stores>(gen.between(1, 15)));
    const bool sealed = gen.one_in(3);
    if (sealed && !gen.one_in(4)) voters = log.view(seen).newest;
    log.add(std::move(voters), sealed, seen, 1 + gen.below(3));
  }
  return log;
}

}  // namespace

TEST_CASE("a view is the same in whatever order the steps are given, each after all that it has seen") {
  test::forall("orders of steps", 2'000, [](Gen& gen) {
    const StepLog log = random_log(gen, 1 + gen.index(8));
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < log.size(); ++i) left.push_back(i);
    std::vector<std::size_t> order;
    StepMask done = 0;
    while (!left.empty()) {
      const std::size_t at = gen.index(left.size());
      if ((log.past(left[at]) & ~done) != 0) continue;
      done |= bit_of(left[at]);
      order.push_back(left[at]);
      left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
    }
    const VoterView one = log.view();
    VoterView other = loam::view_of(voter(0), log.steps(log.all(), order));
    REQUIRE(open_of(other) == open_of(one));
    other.open = one.open;
    REQUIRE(other == one);
  });
}

TEST_CASE("who is in an open set is a voter, and where nothing is under way the newest set is the open one") {
  test::forall("views", 2'000, [](Gen& gen) {
    const VoterView view = random_log(gen, gen.index(9)).view();
    REQUIRE(!view.open.empty());
    std::set<Voter> all;
    for (const VoterSet& set : view.open) all.insert(set.begin(), set.end());
    for (std::size_t i = 0; i < 5; ++i) REQUIRE(view.is_voter(voter(i)) == all.contains(voter(i)));
    REQUIRE(view.is_quorum(all));
    if (view.is_sealed()) REQUIRE(view.open.front() == view.newest);
    if (!view.is_disputed) REQUIRE(open_of(view).contains(view.newest));
  });
}

namespace {

// The theorem of view_of, attacked. A store holds more and more steps, and stands at one view after the other; a view
// *can be used* when a majority of each of its open sets has stood at it, and only such a view is sealed, to the voters of any
// change in it. Whether stores can have moved so is decided exactly: each goes along one chain of the views that are to be
// used, in some way.
class Usable {
 public:
  Usable(const StepLog& log, std::size_t stores) : log_(log), stores_(stores) {}

  bool can_be(std::vector<StepMask> views) {
    std::sort(views.begin(), views.end());
    views.erase(std::unique(views.begin(), views.end()), views.end());
    std::vector<std::uint32_t> chains;  // of places in `views`; longest ones only
    for (std::uint32_t chosen = (1U << views.size()) - 1; chosen > 0; --chosen) {
      const bool is_in_longer = std::any_of(chains.begin(), chains.end(),
                                            [&](std::uint32_t chain) { return (chosen & ~chain) == 0; });
      if (!is_in_longer && is_chain(views, chosen)) chains.push_back(chosen);
    }
    std::vector<Stores> stood(views.size());
    return assign(views, chains, 0, stood);
  }

  // Whether these stores are a majority of each open set.
  bool is_quorum(StepMask view, Stores stores) {
    const auto [at, is_new] = quorums_.try_emplace(view);
    if (is_new) {
      const VoterView made = log_.view(view);
      for (Stores each = 0; each < bit_of(stores_); ++each) {
        const VoterSet votes = voters_of(each);
        at->second.push_back(made.is_quorum({votes.begin(), votes.end()}));
      }
    }
    return at->second[stores];
  }

  // What was known of views with that step is not so any more.
  void forget(StepMask step) {
    std::erase_if(quorums_, [&](const auto& each) { return (each.first & step) != 0; });
  }

 private:
  static bool is_chain(const std::vector<StepMask>& views, std::uint32_t chosen) {
    for (std::size_t i = 0; i < views.size(); ++i) {
      for (std::size_t j = i + 1; j < views.size(); ++j) {
        const bool are_both = (chosen >> i & 1) != 0 && (chosen >> j & 1) != 0;
        if (are_both && (views[i] & ~views[j]) != 0) return false;  // the smaller number is no superset
      }
    }
    return true;
  }

  bool assign(const std::vector<StepMask>& views, const std::vector<std::uint32_t>& chains, std::size_t store,
              std::vector<Stores>& stood) {
    if (store == stores_) {
      for (std::size_t i = 0; i < views.size(); ++i) {
        if (!is_quorum(views[i], stood[i])) return false;
      }
      return true;
    }
    return std::any_of(chains.begin(), chains.end(), [&](std::uint32_t chain) {
      for (std::size_t i = 0; i < views.size(); ++i) {
        if ((chain >> i & 1) != 0) stood[i] |= bit_of(store);
      }
      const bool is_found = assign(views, chains, store + 1, stood);
      for (Stores& each : stood) each &= ~bit_of(store);
      return is_found;
    });
  }

  const StepLog& log_;
  std::size_t stores_;
  std::map<StepMask, std::vector<bool>> quorums_;
};

// Judges logs that grow by one step at a time.
class VoterAttack {
 public:
  explicit VoterAttack(std::size_t stores, bool seals_unseen = false) : stores_(stores), seals_unseen_(seals_unseen), usable_(log, stores) {}

  StepLog log;
  std::uint64_t histories = 0;  ///< logs that can be
  std::uint64_t pairs = 0;      ///< of views of which neither holds the other
  std::uint64_t close = 0;      ///< of these could be used both, were it not for what had to be before
  std::uint64_t seals = 0;
  std::uint64_t found = 0;      ///< pairs that can be used both

  bool begin(Stores voters, StepMask seen) {
    log.begin(voters, seen);
    judge();
    return true;
  }

  /// False: no majority can have stood there.
  bool seal(const VoterSet& voters, StepMask seen) {
    std::vector<StepMask> views = sealed_;
    views.push_back(seen);
    if (!seals_unseen_ && !usable_.can_be(views)) return false;
    log.add(voters, true, seen);
    if (!seals_unseen_) sealed_ = std::move(views);
    ++seals;
    judge();
    return true;
  }

  void pop() {
    const std::size_t last = log.size() - 1;
    if (log.is_seal(last) && !seals_unseen_) sealed_.pop_back();
    usable_.forget(bit_of(last));
    log.pop();
  }

 private:
  // The views with the last step against all others.
  void judge() {
    ++histories;
    const std::vector<StepMask> held = log.held();
    const StepMask last = bit_of(log.size() - 1);
    for (const StepMask one : held) {
      if ((one & last) == 0) continue;
      for (const StepMask other : held) {
        const bool is_twice = (other & last) != 0 && one < other;
        if (is_twice || (one & ~other) == 0 || (other & ~one) == 0) continue;
        ++pairs;
        if (!are_apart(one, other)) continue;
        ++close;
        std::vector<StepMask> views = sealed_;
        views.insert(views.end(), {one, other});
        found += usable_.can_be(std::move(views)) ? 1 : 0;
      }
    }
  }

  // Whether majorities of both need not meet.
  bool are_apart(StepMask one, StepMask other) {
    const Stores all = bit_of(stores_) - 1;
    for (Stores votes = 0; votes <= all; ++votes) {
      if (usable_.is_quorum(one, votes) && usable_.is_quorum(other, all & ~votes)) return true;
    }
    return false;
  }

  std::size_t stores_;
  bool seals_unseen_;  ///< a control: nobody waits for a majority before he seals
  std::vector<StepMask> sealed_;
  Usable usable_;
};

// Every log of up to so many steps, by as many governors as there are steps.
void attack_all(VoterAttack& attack, std::size_t stores, std::size_t depth) {
  if (depth == 0) return;
  for (const StepMask seen : attack.log.held()) {
    for (Stores voters = 1; voters < bit_of(stores); ++voters) {
      attack.begin(voters, seen);
      attack_all(attack, stores, depth - 1);
      attack.pop();
    }
    for (const VoterSet& voters : attack.log.named(seen)) {
      if (!attack.seal(voters, seen)) break;
      attack_all(attack, stores, depth - 1);
      attack.pop();
    }
  }
}

// Two or three governors, each of whom has seen what he wrote and goes on from what he knows.
void attack_at_random(VoterAttack& attack, Gen& gen, std::size_t stores, std::size_t size) {
  std::vector<StepMask> known(gen.between(2, 3));
  for (int tries = 0; attack.log.size() < size && tries < 40; ++tries) {
    StepMask& knows = known[gen.index(known.size())];
    for (std::size_t i = 0; i < attack.log.size(); ++i) {
      if (gen.one_in(3)) knows |= bit_of(i) | attack.log.past(i);
    }
    const auto named = attack.log.named(knows);
    VoterSet voters = attack.log.view(knows).newest;
    if (gen.one_in(3) && !named.empty()) voters = *std::next(named.begin(), static_cast<std::ptrdiff_t>(gen.index(named.size())));
    const bool is_written = gen.coin() ? attack.begin(static_cast<Stores>(gen.between(1, bit_of(stores) - 1)), knows)
                                       : attack.seal(voters, knows);
    if (is_written) knows |= bit_of(attack.log.size() - 1);
  }
}

}  // namespace

TEST_CASE("of two views that majorities have stood at one holds the other: all small histories of two to four stores") {
  struct Size {
    std::size_t stores;
    std::size_t steps;
  };
  const std::size_t deeper = test::scaled(1) >= 10 ? 1 : 0;  // RUNS_FACTOR=10
  for (const Size& size : {Size{2, 4 + deeper}, Size{3, 3 + deeper}, Size{4, 2 + deeper}}) {
    VoterAttack attack(size.stores);
    attack_all(attack, size.stores, size.steps);
    MESSAGE(size.stores, " stores, ", size.steps, " steps: ", attack.histories, " histories, ", attack.seals, " seals, ", attack.pairs,
            " pairs, ", attack.close, " of them close");
    CHECK(attack.histories > 100);
    CHECK(attack.found == 0);
  }
}

TEST_CASE("of two views that majorities have stood at one holds the other: random longer histories of up to four stores") {
  std::uint64_t histories = 0;
  std::uint64_t seals = 0;
  std::uint64_t close = 0;
  test::forall("views of majorities", 3'000, [&](Gen& gen) {
    const std::size_t stores = gen.between(2, 4);
    VoterAttack attack(stores);
    attack_at_random(attack, gen, stores, 4 + gen.index(5));
    histories += attack.histories;
    seals += attack.seals;
    close += attack.close;
    REQUIRE(attack.found == 0);
  });
  MESSAGE(histories, " histories, ", seals, " seals, ", close, " pairs that only their past keeps apart");
}

TEST_CASE("the attack finds what is wrong where nobody waits for a majority, or sets do not overlap") {
  VoterAttack hasty(2, true);
  attack_all(hasty, 2, 3);
  CHECK(hasty.found > 0);
  VoterAttack jumping(2);
  jumping.log.made_by = [](const Voter& first, const std::vector<VoterStep>& steps) {
    VoterView view = loam::view_of(first, steps);
    view.open = {view.newest};
    return view;
  };
  attack_all(jumping, 2, 3);
  CHECK(jumping.found > 0);
}
