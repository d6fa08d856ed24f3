#include "crdt/registry.hpp"

#include <algorithm>
#include <set>

#include "tests/crdt/signing.hpp"
#include "tests/support/registry_oracle.hpp"
#include "tests/support/forall.hpp"

using loam::RegistryAssignment;
using loam::Context;
using loam::Dot;
using loam::InstanceEntry;
using loam::InstanceId;
using loam::InstanceStatus;
using loam::Permissions;
using loam::Registry;
using loam::InstanceRole;
using test::Gen;
using test::SigningKey;

namespace {

constexpr std::string_view lessons = "lessons_learned";

SigningKey key_of(int who) { return SigningKey(static_cast<std::uint64_t>(who) + 1); }

// Computed once: making a key takes longer than anything else here.
const loam::PublicKey& public_key(int who) {
  static const std::vector<loam::PublicKey> keys = [] {
    std::vector<loam::PublicKey> made;
    for (int i = 0; i < 8; ++i) made.push_back(key_of(i).key());
    return made;
  }();
  return keys.at(static_cast<std::size_t>(who));
}

InstanceId id(int who) { return loam::instance_of(public_key(who)); }

// The actor of an instance.
loam::ActorId actor_of(int who) {
  loam::ActorId made;
  made.bytes[15] = static_cast<std::byte>(who + 1);
  return made;
}

InstanceEntry entry(int who, InstanceRole role, const char* letters = "rw") {
  InstanceEntry made;
  made.name = "instance-" + std::to_string(who);
  made.key = public_key(who);
  made.role = role;
  const auto permissions = Permissions::parse(letters).value();
  if (!permissions.empty()) made.permissions.emplace(lessons, permissions);
  return made;
}

// A registry as its governors write it, each seeing what he is told to.
class Book {
 public:
  Dot write(int author, int subject, InstanceEntry value, const std::vector<Dot>& seen,
            const std::vector<Dot>& superseded = {}) {
    const Dot dot{actor_of(author), ++counters_[author]};
    RegistryAssignment made{dot, id(author), {++stamp_}, seen, {}, id(subject), std::move(value)};
    std::sort(made.frontier.begin(), made.frontier.end());
    for (const Dot& each : superseded) made.superseded.insert(each);
    log.push_back(std::move(made));
    return dot;
  }

  // Leaves what is told.
  Dot revoke(int author, int subject, const std::vector<Dot>& seen, const std::vector<Dot>& left = {},
             std::uint32_t part = 0) {
    InstanceEntry value = entry(subject, InstanceRole::member, "");
    value.status = InstanceStatus::revoked;
    for (const Dot& each : left) value.fence[std::string(loam::registry_name)].insert(each);
    value.fence_part = part;
    return write(author, subject, value, seen);
  }

  Registry registry() const { return Registry(root(), log); }

  static loam::FederationRoot root() { return {public_key(0), {}}; }

  std::vector<RegistryAssignment> log;

 private:
  std::map<int, std::uint64_t> counters_;
  std::uint64_t stamp_ = 0;
};

InstanceStatus status(const Registry& registry, int who) { return registry.find(id(who)).value().status; }

bool is_known(const Registry& registry, int who) { return registry.find(id(who)).has_value(); }

}  // namespace

TEST_CASE("the founder admits, and nobody else does") {
  Book book;
  const Dot first = book.write(0, 0, entry(0, InstanceRole::governor), {});
  const Dot beta = book.write(0, 1, entry(1, InstanceRole::member, "r"), {first});
  book.write(1, 2, entry(2, InstanceRole::member), {beta});                          // a member admits
  book.write(1, 1, entry(1, InstanceRole::governor, "rwtl"), {beta}, {beta});        // and helps himself
  book.write(3, 3, entry(3, InstanceRole::governor, "rwtl"), {});                    // a stranger begins anew
  const Registry registry = book.registry();
  CHECK(registry.may(id(0), lessons, Permissions::write));
  CHECK(registry.may(id(1), lessons, Permissions::read));
  CHECK_FALSE(registry.may(id(1), lessons, Permissions::write));
  CHECK_FALSE(registry.may(id(1), "approval_rules", Permissions::read));
  CHECK_FALSE(is_known(registry, 2));
  CHECK_FALSE(is_known(registry, 3));
  CHECK(registry.instances().size() == 2);
}

TEST_CASE("an entry whose key is not its subject's is void") {
  Book book;
  book.write(0, 1, entry(2, InstanceRole::member), {});
  CHECK_FALSE(is_known(book.registry(), 1));
  CHECK_FALSE(is_known(book.registry(), 2));
}

TEST_CASE("a governor that was made one governs, once he has seen it") {
  Book book;
  const Dot made = book.write(0, 1, entry(1, InstanceRole::governor), {});
  book.write(1, 2, entry(2, InstanceRole::member), {});      // had not seen it
  book.write(1, 3, entry(3, InstanceRole::member), {made});
  const Registry registry = book.registry();
  CHECK_FALSE(is_known(registry, 2));
  CHECK(is_known(registry, 3));
}

TEST_CASE("of concurrent entries there is what all grant, and the strictest status") {
  Book book;
  const Dot made = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot first = book.write(0, 2, entry(2, InstanceRole::hub, "rw"), {made});
  const Dot more = book.write(0, 2, entry(2, InstanceRole::hub, "rwt"), {first}, {first});
  InstanceEntry suspended = entry(2, InstanceRole::hub, "r");
  suspended.status = InstanceStatus::suspended;
  const Dot less = book.write(1, 2, suspended, {first}, {first});
  CHECK(status(book.registry(), 2) == InstanceStatus::suspended);
  CHECK(book.registry().find(id(2))->permissions.at(std::string(lessons)).text() == "r");
  CHECK_FALSE(book.registry().may(id(2), lessons, Permissions::read));
  // Who has seen both resolves it.
  book.write(0, 2, entry(2, InstanceRole::hub, "rwt"), {more, less}, {more, less});
  CHECK(book.registry().may(id(2), lessons, Permissions::tighten));
}

TEST_CASE("what an author might do is what was in force of what he had seen") {
  Book book;
  const Dot granted = book.write(0, 1, entry(1, InstanceRole::member, "rw"), {});
  const Dot taken = book.write(0, 1, entry(1, InstanceRole::member, "r"), {granted}, {granted});
  const Registry registry = book.registry();
  CHECK(registry.might(id(1), lessons, Permissions::write, {granted}) == true);
  CHECK(registry.might(id(1), lessons, Permissions::write, {taken}) == false);
  CHECK(registry.might(id(1), lessons, Permissions::write, {}) == false);
  CHECK(registry.might(id(1), lessons, Permissions::write, {{actor_of(0), 9}}) == std::nullopt);
  CHECK(registry.frontier() == std::vector{taken});
}

TEST_CASE("a revocation makes void what the revoker had not seen, and what that led to") {
  Book book;
  const Dot evil = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot seen = book.write(1, 2, entry(2, InstanceRole::member), {evil});
  const Dot revoked = book.revoke(0, 1, {seen}, {seen});
  const Dot back_dated = book.write(1, 3, entry(3, InstanceRole::governor, "rwtl"), {evil});
  book.write(3, 4, entry(4, InstanceRole::member), {back_dated});
  const Registry registry = book.registry();
  CHECK(is_known(registry, 2));
  CHECK_FALSE(is_known(registry, 3));
  CHECK_FALSE(is_known(registry, 4));
  CHECK(status(registry, 1) == InstanceStatus::revoked);
  CHECK(registry.is_fenced(id(1), loam::registry_name, back_dated));
  CHECK_FALSE(registry.is_fenced(id(1), loam::registry_name, seen));
  CHECK(registry.is_fenced(id(1), lessons, {actor_of(1), 1}));
  CHECK_FALSE(registry.is_fenced(id(0), lessons, {actor_of(0), 1}));
  // What was let in before somebody knew of it, and may be still, is void then.
  CHECK(registry.might(id(3), lessons, Permissions::write, {back_dated}) == true);
  CHECK(registry.might_still(id(3), lessons, Permissions::write, {back_dated}) == false);
  CHECK(registry.has_void_assignments());
  // Nobody comes back.
  book.write(0, 1, entry(1, InstanceRole::governor), {revoked}, {revoked});
  CHECK(status(book.registry(), 1) == InstanceStatus::revoked);
}

TEST_CASE("two who revoke each other are both revoked, and nobody escapes by revoking back") {
  Book book;
  const Dot one = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot both = book.write(0, 2, entry(2, InstanceRole::governor), {one});
  book.revoke(1, 2, {both});
  book.revoke(2, 1, {both});
  CHECK(status(book.registry(), 1) == InstanceStatus::revoked);
  CHECK(status(book.registry(), 2) == InstanceStatus::revoked);
}

TEST_CASE("a revocation stands by what its author had seen, also where what made him governor is void now") {
  Book book;
  const Dot evil = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot victim = book.write(0, 3, entry(3, InstanceRole::member), {evil});
  const Dot puppet = book.write(1, 2, entry(2, InstanceRole::governor), {victim});
  book.revoke(0, 1, {victim});        // had not seen the puppet
  book.revoke(2, 3, {puppet});        // had not seen the revocation
  CHECK_FALSE(is_known(book.registry(), 2));
  CHECK(status(book.registry(), 3) == InstanceStatus::revoked);
}

TEST_CASE("a revocation in parts leaves what one of them leaves, and another revocation leaves no more than it") {
  Book book;
  const Dot evil = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot one = book.write(1, 2, entry(2, InstanceRole::member), {evil});
  const Dot other = book.write(1, 3, entry(3, InstanceRole::member), {evil});
  const Dot unseen = book.write(1, 4, entry(4, InstanceRole::member), {evil});
  const Dot first = book.revoke(0, 1, {one, other}, {one});
  {
    const Registry registry = book.registry();  // its other part has not come yet
    CHECK(is_known(registry, 2));
    CHECK_FALSE(is_known(registry, 3));
  }
  const Dot second = book.revoke(0, 1, {first}, {other}, 1);
  {
    const Registry registry = book.registry();
    CHECK(is_known(registry, 2));
    CHECK(is_known(registry, 3));
    CHECK_FALSE(is_known(registry, 4));
    CHECK(registry.is_fenced(id(1), loam::registry_name, unseen));
    CHECK(registry.find(id(1))->fence.at(std::string(loam::registry_name)).count() == 2);
    CHECK(registry.find(id(1))->fence_part == 0);
  }
  book.revoke(0, 1, {second}, {other});  // begins anew, and had seen less
  CHECK_FALSE(is_known(book.registry(), 2));
  CHECK(is_known(book.registry(), 3));
}

TEST_CASE("a revocation by who was no governor is nothing") {
  Book book;
  const Dot member = book.write(0, 1, entry(1, InstanceRole::member), {});
  book.revoke(1, 0, {member});
  CHECK_FALSE(is_known(book.registry(), 0));  // governs still, without an entry
  book.write(0, 2, entry(2, InstanceRole::member), {member});
  CHECK(is_known(book.registry(), 2));
}

TEST_CASE("what has seen what is not there, or itself, is left out") {
  Book book;
  book.write(0, 1, entry(1, InstanceRole::member), {{actor_of(7), 1}});
  book.write(0, 2, entry(2, InstanceRole::member), {{actor_of(0), 3}});
  book.write(0, 3, entry(3, InstanceRole::member), {{actor_of(0), 2}});
  book.write(0, 4, entry(4, InstanceRole::member), {});
  const Registry registry = book.registry();
  CHECK(registry.instances().size() == 1);
  CHECK(is_known(registry, 4));
  CHECK(registry.frontier() == std::vector{Dot{actor_of(0), 4}});
}

namespace {

// Governors, honest and not, who write about each other having seen this or that.
Book random_book(Gen& gen, std::size_t size) {
  constexpr int people = 4;
  Book book;
  while (book.log.size() < size) {
    const int author = book.log.empty() ? 0 : static_cast<int>(gen.below(people));
    const int subject = static_cast<int>(gen.below(people));
    std::vector<Dot> seen;
    std::vector<Dot> superseded;
    std::vector<Dot> left;
    for (const RegistryAssignment& each : book.log) {
      if (gen.one_in(2)) seen.push_back(each.dot);
      if (each.subject == id(subject) && gen.coin()) superseded.push_back(each.dot);
      if (gen.coin()) left.push_back(each.dot);
    }
    if (gen.one_in(20)) seen.push_back({actor_of(author), 1 + gen.below(5)});  // itself, or what is not there
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    if (gen.one_in(4)) {
      book.revoke(author, subject, seen, left, gen.coin() ? 0 : static_cast<std::uint32_t>(gen.below(4)));
      continue;
    }
    const auto value = entry(gen.one_in(20) ? 7 : subject, gen.one_in(4) ? InstanceRole::member : InstanceRole::governor,
                             gen.one_in(3) ? "r" : "rw");
    book.write(author, subject, value, seen, superseded);
  }
  return book;
}

}  // namespace

TEST_CASE("the registry is what its definition says, in whatever order the assignments came") {
  test::forall("registry", 1'500, [](Gen& gen) {
    Book book = random_book(gen, 1 + gen.index(9));
    const test::RegistryOracle oracle(id(0), book.log);
    const auto& all = oracle.all();
    const std::string segment(lessons);
    auto shuffled = book.log;
    for (std::size_t i = shuffled.size(); i > 1; --i) std::swap(shuffled[i - 1], shuffled[gen.index(i)]);
    const Registry registry(Book::root(), shuffled);
    for (const RegistryAssignment& each : book.log) {
      const bool is_there = all.contains(each.dot);
      REQUIRE(registry.is_in_force(each.dot) == (is_there && oracle.in_force(each.dot, all)));
      const auto might = registry.might(id(1), lessons, Permissions::write, {each.dot});
      REQUIRE(might.has_value() == is_there);
      if (!is_there) continue;
      const auto seen = oracle.closed({each.dot});
      REQUIRE(*might == oracle.may(id(1), segment, Permissions::write, seen, seen));
      REQUIRE(registry.was_governor(id(1), {each.dot}).value() == oracle.governs(id(1), seen, seen));
      const auto still = registry.might_still(id(1), lessons, Permissions::write, {each.dot});
      REQUIRE(still == oracle.may(id(1), segment, Permissions::write, seen, all));
      if (!registry.has_void_assignments()) REQUIRE(still == might);
    }
    REQUIRE(registry.frontier() == oracle.frontier());
    for (int who = 0; who < 4; ++who) {
      REQUIRE(registry.may(id(who), lessons, Permissions::write) == oracle.may(id(who), segment, Permissions::write));
    }
  });
}

// Whatever else becomes known: admission asks this, so all replicas admit the same.
TEST_CASE("what an author might do by what he had seen never changes") {
  test::forall("might", 1'500, [](Gen& gen) {
    const Book book = random_book(gen, 2 + gen.index(10));
    auto part = book.log;
    part.resize(1 + gen.index(part.size()));
    const Registry before(Book::root(), part);
    const Registry after(Book::root(), book.log);
    for (const RegistryAssignment& each : part) {
      for (int who = 0; who < 4; ++who) {
        const auto then = before.might(id(who), lessons, Permissions::write, {each.dot});
        if (then) REQUIRE(after.might(id(who), lessons, Permissions::write, {each.dot}) == then);
        const auto governed = before.was_governor(id(who), {each.dot});
        if (governed) REQUIRE(after.was_governor(id(who), {each.dot}) == governed);
      }
    }
  });
}

TEST_CASE("who is revoked stays so whatever is added, and what is added concurrently grants nothing") {
  test::forall("revoked", 1'500, [](Gen& gen) {
    const Book book = random_book(gen, 2 + gen.index(10));
    auto part = book.log;
    part.resize(1 + gen.index(part.size()));
    const Registry before(Book::root(), part);
    const Registry after(Book::root(), book.log);
    for (int who = 0; who < 4; ++who) {
      const auto then = before.find(id(who));
      if (!then || then->status != InstanceStatus::revoked) continue;
      REQUIRE(status(after, who) == InstanceStatus::revoked);
    }
    // One more that has seen nothing and supersedes nothing.
    Book more = book;
    more.write(0, 1, entry(1, InstanceRole::governor, "rwtl"), {});
    const Registry added(Book::root(), more.log);
    if (before.find(id(1)) && after.find(id(1))) {
      for (const std::uint8_t letter : {Permissions::read, Permissions::write, Permissions::loosen}) {
        REQUIRE((!added.may(id(1), lessons, letter) || after.may(id(1), lessons, letter)));
      }
    }
  });
}

namespace {

loam::Voter seat(int who, unsigned store = 1) {
  loam::Voter made{id(who), {}};
  made.store.bytes[0] = static_cast<std::byte>(store);
  return made;
}

InstanceEntry entry_on_voters(int who, InstanceRole role, loam::VoterSet voters, bool sealed = false) {
  InstanceEntry made = entry(who, role);
  std::sort(voters.begin(), voters.end());
  made.voters = loam::VoterChange{std::move(voters), sealed};
  return made;
}

loam::VoterSet first_seat() { return {{id(0), {}}}; }

}  // namespace

TEST_CASE("the founder's first store is the first voter, in a registry with nothing in it and as long as nobody speaks of voters") {
  loam::FederationRoot root = Book::root();
  for (std::size_t i = 0; i < root.nonce.size(); ++i) root.nonce[i] = static_cast<std::byte>(i + 1);
  const loam::Voter first{id(0), loam::StoreId{root.nonce}};
  const Registry empty(root, {});
  CHECK(empty.voters().open == std::vector<loam::VoterSet>{{first}});
  CHECK(empty.voters().newest == loam::VoterSet{first});
  CHECK(empty.voters().is_sealed());
  CHECK(empty.voters() == loam::view_of(first, {}));
  CHECK(empty.voters().id != Registry(Book::root(), {}).voters().id);
  Book book;
  book.write(0, 1, entry(1, InstanceRole::governor), {});
  CHECK(Registry(root, book.log).voters() == empty.voters());
}

TEST_CASE("a governor's assignments begin a change of voters and end it, whoever they are about") {
  Book book;
  const Dot made = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const loam::VoterSet both{seat(0), seat(1)};
  const Dot begun = book.write(1, 1, entry_on_voters(1, InstanceRole::governor, both), {made}, {made});
  const auto view = book.registry().voters();
  CHECK(view.epoch == 1);
  CHECK(view.open.size() == 2);
  CHECK(view.is_voter(seat(1)));
  CHECK(view.is_voter(first_seat()[0]));
  // Another entry of the same instance takes nothing of it back.
  const Dot renamed = book.write(0, 1, entry(1, InstanceRole::governor, "r"), {begun}, {begun});
  CHECK(book.registry().voters() == view);
  const Dot sealed = book.write(0, 0, entry_on_voters(0, InstanceRole::governor, both, true), {renamed});
  const Registry registry = book.registry();
  CHECK(registry.voters().is_sealed());
  CHECK(registry.voters().newest.size() == 2);
  CHECK(registry.voters().newest == registry.voters().open.front());
  CHECK(registry.voters().id != view.id);
  // In pieces, in another order, it is the same.
  auto reversed = book.log;
  std::reverse(reversed.begin(), reversed.end());
  CHECK(Registry(Book::root(), reversed).voters() == registry.voters());
  const Registry half(Book::root(), {book.log[0], book.log[1]});
  CHECK(half.voters() == view);
  CHECK(half.with(book.log)->voters() == registry.voters());
  CHECK(registry.is_in_force(sealed));
}

TEST_CASE("a seal counts for what its author had seen, also by way of assignments that say nothing of voters") {
  Book book;
  const Dot made = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot one = book.write(0, 2, entry_on_voters(2, InstanceRole::member, {seat(2)}), {made});
  const Dot between = book.write(0, 3, entry(3, InstanceRole::member), {one});
  book.write(1, 4, entry_on_voters(4, InstanceRole::member, {seat(4)}), {made});  // at once, and not seen
  book.write(0, 2, entry_on_voters(2, InstanceRole::member, {seat(2)}, true), {between});
  const auto view = book.registry().voters();
  const std::set<loam::VoterSet> open(view.open.begin(), view.open.end());
  CHECK(open == std::set<loam::VoterSet>{{seat(2)}, {seat(4)}});
  CHECK(view.is_disputed);
}

TEST_CASE("what somebody says of voters who is no governor does not count") {
  Book book;
  const Dot member = book.write(0, 1, entry(1, InstanceRole::member), {});
  const auto before = book.registry().voters();
  book.write(1, 1, entry_on_voters(1, InstanceRole::governor, {seat(1)}), {member}, {member});
  book.write(5, 5, entry_on_voters(5, InstanceRole::governor, {seat(5)}), {});  // a stranger
  book.write(0, 2, entry_on_voters(3, InstanceRole::member, {seat(2)}), {member});  // the key of another
  book.write(0, 2, entry_on_voters(2, InstanceRole::member, {seat(2)}), {{actor_of(6), 1}});  // rests on what is not there
  CHECK(book.registry().voters() == before);
}

TEST_CASE("what a revocation makes void says nothing of voters") {
  Book book;
  const Dot made = book.write(0, 1, entry(1, InstanceRole::governor), {});
  const Dot seen = book.write(1, 2, entry_on_voters(2, InstanceRole::member, {seat(2)}), {made});
  const auto left = book.registry().voters();
  CHECK(left.epoch == 1);
  book.write(1, 3, entry_on_voters(3, InstanceRole::member, {seat(3)}), {seen});
  CHECK(book.registry().voters().is_voter(seat(3)));
  book.revoke(0, 1, {seen}, {seen});
  CHECK(book.registry().voters() == left);
  // A revocation may speak of voters itself, and stands by what its author had seen.
  InstanceEntry revoked = entry_on_voters(1, InstanceRole::member, {seat(0)});
  revoked.status = InstanceStatus::revoked;
  book.write(0, 1, revoked, {seen});
  CHECK(book.registry().voters().is_voter(seat(0)));
}

TEST_CASE("an entry of the registry never shows what its assignments say of voters") {
  Book book;
  const Dot made = book.write(0, 1, entry_on_voters(1, InstanceRole::governor, {seat(1)}), {});
  book.write(0, 1, entry_on_voters(1, InstanceRole::governor, {seat(1)}, true), {made}, {made});
  book.write(0, 2, entry_on_voters(2, InstanceRole::member, {seat(1)}), {});
  const Registry registry = book.registry();
  CHECK(registry.find(id(1)) == entry(1, InstanceRole::governor));
  CHECK(registry.instances().size() == 2);
  for (const auto& each : registry.instances()) CHECK_FALSE(each.second.voters);
}

// By the oracle's word on what is in force and who had seen what, and view_of, which is tested by itself.
TEST_CASE("the voters are those of the assignments in force, in whatever order they came") {
  test::forall("voters of a registry", 600, [](Gen& gen) {
    Book book = random_book(gen, 1 + gen.index(9));
    for (RegistryAssignment& each : book.log) {
      if (gen.coin()) each.entry.voters = loam::VoterChange{{seat(static_cast<int>(gen.below(4)))}, gen.one_in(3)};
    }
    const test::RegistryOracle oracle(id(0), book.log);
    std::vector<Dot> order;  // each after all that it has seen
    for (const Dot& dot : oracle.all()) {
      if (oracle.in_force(dot, oracle.all())) order.push_back(dot);
    }
    std::stable_sort(order.begin(), order.end(), [&](const Dot& left, const Dot& right) {
      return oracle.seen_by(left).size() < oracle.seen_by(right).size();
    });
    std::vector<loam::VoterStep> steps;
    for (const Dot& dot : order) {
      const auto at = std::find_if(book.log.begin(), book.log.end(), [&](const auto& each) { return each.dot == dot; });
      if (!at->entry.voters) continue;
      loam::VoterStep step{dot, *at->entry.voters, {}};
      for (std::size_t i = 0; i < steps.size(); ++i) {
        if (oracle.seen_by(dot).contains(steps[i].dot)) step.seen.push_back(i);
      }
      steps.push_back(std::move(step));
    }
    loam::VoterView expected = loam::view_of(first_seat()[0], steps);
    const Registry registry(Book::root(), gen.shuffled(book.log));
    loam::VoterView found = registry.voters();
    std::sort(expected.open.begin(), expected.open.end());
    std::sort(found.open.begin(), found.open.end());
    REQUIRE(found == expected);
  });
}
