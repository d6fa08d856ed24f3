#include <doctest/doctest.h>

#include "lib/router.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;

const RouteParties by_owner{.owner = "alpha", .caller = "alpha"};
const RouteParties by_other{.owner = "alpha", .caller = "beta"};
constexpr Operation operations[] = {Operation::read, Operation::write, Operation::remove};

TEST_CASE("the owner reaches every segment") {
  const SegmentTable segments;
  for (const Operation operation : operations) {
    CHECK(route_memory_operation(segments, operation, "lessons_learned", by_owner) ==
          TargetBackend{TargetKind::shared_replica, "lessons_learned", "alpha"});
    CHECK(route_memory_operation(segments, operation, "session-context", by_owner) ==
          TargetBackend{TargetKind::private_store, "session_context", "alpha"});
  }
}

TEST_CASE("a private segment is denied to every other instance, whatever it wants") {
  const SegmentTable segments;
  for (const Operation operation : operations) {
    CHECK(code_of([&] { route_memory_operation(segments, operation, "task_traces", by_other); }) ==
          ErrorCode::denied);
    CHECK(message_of([&] {
            route_memory_operation(segments, operation, "task_traces", by_other);
          }) == "denied: segment task_traces: private, for its own instance only");
  }
}

TEST_CASE("another instance reads a shared segment and writes to its own replica") {
  const SegmentTable segments;
  const auto route = [&](Operation operation) {
    return route_memory_operation(segments, operation, "org_patterns", by_other);
  };
  CHECK(route(Operation::read) ==
        TargetBackend{TargetKind::shared_replica, "org_patterns", "alpha"});
  CHECK(code_of([&] { route(Operation::write); }) == ErrorCode::denied);
  CHECK(code_of([&] { route(Operation::remove); }) == ErrorCode::denied);
}

TEST_CASE("a shared segment is read by those who may read it, and written by an owner who may write it") {
  const SegmentTable segments;
  const auto denial = [&](Operation operation, RouteParties parties, RouteRights rights) {
    parties.rights = rights;
    const auto error = test::error_of([&] { route_memory_operation(segments, operation, "org_patterns", parties); });
    return error ? std::string(error->what()) : "";
  };
  CHECK(denial(Operation::read, by_other, {.read = true}) == "");
  CHECK(denial(Operation::read, by_other, {.write = true}) == "denied: instance beta has no right to read org_patterns");
  CHECK(denial(Operation::read, by_owner, {}) == "");  // there is nothing but its own
  CHECK(denial(Operation::write, by_owner, {.write = true}) == "");
  CHECK(denial(Operation::write, by_owner, {.read = true}) == "denied: instance alpha has no right to write org_patterns");
  CHECK(denial(Operation::remove, by_owner, {.read = true}) == "denied: instance alpha has no right to write org_patterns");
  CHECK(denial(Operation::write, by_other, {true, true}) ==
        "denied: segment org_patterns: other instances read here and write to their own replica");
}

TEST_CASE("an unknown segment is the same error for everyone") {
  const SegmentTable segments;
  for (const auto& parties : {by_owner, by_other}) {
    CHECK(code_of([&] { route_memory_operation(segments, Operation::read, "nothing", parties); }) ==
          ErrorCode::unknown_segment);
  }
}

TEST_CASE("every built-in segment goes where its scope says") {
  const SegmentTable segments;
  for (const Segment& segment : segments.all()) {
    const auto target = route_memory_operation(segments, Operation::write, segment.name, by_owner);
    CHECK(target_name(target.kind) ==
          (segment.scope == Scope::shared ? "shared_replica" : "private_store"));
  }
}

TEST_CASE("operations are read, write and remove") {
  CHECK(operation_of("read") == Operation::read);
  CHECK(operation_of("write") == Operation::write);
  CHECK(operation_of("remove") == Operation::remove);
  CHECK(code_of([] { operation_of("delete"); }) == ErrorCode::invalid);
  CHECK(code_of([] { operation_of(""); }) == ErrorCode::invalid);
}

}  // namespace
}  // namespace loam
