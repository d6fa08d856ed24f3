#include <doctest/doctest.h>

#include <set>

#include "tests/support/forall.hpp"
#include "tests/transport/script.hpp"

using test::Meeting;
using test::Net;
using test::Peer;
using test::operator""s;

namespace {

const std::vector<test::Declared> segments{{"registry", loam::Kind::map},
                                           {"lessons", loam::Kind::set},
                                           {"notes", loam::Kind::set},
                                           {"goals", loam::Kind::map}};

/// Two peers with much to tell each other: by journal (registry), by comparison in several parts
/// with adds and removes on both sides (lessons), by asking (notes), and nothing (goals).
struct Twins {
  Peer left{1, 1, segments};
  Peer right{2, 2, segments};

  Twins() {
    Peer third(3, 3, segments);
    for (int i = 0; i < 6; ++i) {
      left.become(test::actor_of(1, static_cast<unsigned>(20 + i)));
      right.become(test::actor_of(2, static_cast<unsigned>(20 + i)));
      for (int j = 0; j < 3; ++j) {
        left.add("lessons", "left " + std::to_string(i * 10 + j));
        right.add("lessons", "right " + std::to_string(i * 10 + j));
      }
      third.add("notes", "third " + std::to_string(i));
    }
    left.put("registry", "a", "left");
    meet(third, left);
    meet(left, right);
    for (int i = 0; i < 6; ++i) third.add("notes", "later " + std::to_string(i));
    meet(third, right);
    left.remove("notes", "third 2");
    left.put("registry", "b", "left");
    right.put("registry", "c", "right");
    right.put("registry", "a", "right");
    for (int i = 0; i < 6; ++i) {
      left.remove("lessons", "left " + std::to_string(i * 10));
      left.remove("lessons", "right " + std::to_string(i * 10 + 1));
      right.remove("lessons", "left " + std::to_string(i * 10 + 2));
      left.add("lessons", "left again " + std::to_string(i));
      right.add("lessons", "right again " + std::to_string(i));
    }
    for (const char* segment : {"lessons", "notes"}) {
      left.truncate(segment, left.state(segment).head);
      right.drop_journal(segment, test::journal_id_of(500));
    }
  }

  static void meet(Peer& one, Peer& other) {
    Net net;
    net.connect(one, other, {.once = {true, false}});
    net.pass(1s);
    REQUIRE(net.is_over(0));
  }

  bool is_equal() const {
    for (const test::Declared& segment : segments) {
      if (left.store(segment.name).canonical() != right.store(segment.name).canonical())
        return false;
    }
    return true;
  }
};

Meeting small_frames() {
  Meeting meeting;
  meeting.limits.chunk_octets = 200;
  meeting.limits.chunk_records = 3;
  meeting.limits.part_actors = 3;
  meeting.limits.part_octets = 60;
  meeting.limits.frame_sets = 1;
  meeting.limits.set_counters = 4;
  meeting.limits.window_octets = 600;
  return meeting;
}

/// One frame, one Apply or one wake at a time, always in the same order; a write in the midst.
struct Driver {
  Net& net;
  Twins& twins;
  std::size_t link;
  int steps = 0;

  bool step() {
    if (++steps == 60) {
      twins.left.add("lessons", "live from the left");
      net.changed(twins.left);
    }
    if (steps == 90) {
      twins.right.remove("lessons", "right 2");
      net.changed(twins.right);
    }
    for (const int side : {steps % 2, 1 - steps % 2}) {
      if (net.deliver(link, side) || net.commit(link, side) || net.wake(link, side)) return true;
    }
    return false;
  }
};

/// The whole exchange without a fault: how many steps it takes, and where it ends.
struct Whole {
  Twins twins;
  int steps = 0;
  int applies = 0;

  Whole() {
    Net net;
    Driver driver{net, twins, net.connect(twins.left, twins.right, small_frames())};
    while (driver.step()) {
    }
    steps = driver.steps;
    applies = static_cast<int>(net.end(0, 0).applied + net.end(0, 1).applied);
    REQUIRE(twins.is_equal());
    REQUIRE(net.frames<loam::CompareFrame>(0, 0).size() >= 2);
    REQUIRE(net.frames<loam::ContextFrame>(0, 0).size() >= 3);
    REQUIRE(net.frames<loam::ContextFrame>(0, 1).size() >= 3);
    REQUIRE(net.frames<loam::LiveFrame>(0, 0).size() + net.frames<loam::LiveFrame>(0, 1).size() >= 3);
  }
};

const Whole& whole() {
  static const Whole run;
  return run;
}

void check_resumes(Twins& twins) {
  // The writes of a whole run that had not happened when it broke off.
  if (twins.left.replica("lessons").dots("live from the left").empty()) {
    twins.left.add("lessons", "live from the left");
  }
  twins.right.remove("lessons", "right 2");
  Net net;
  const auto link = net.connect(twins.left, twins.right, {.once = {true, false}});
  net.pass(1s);
  REQUIRE(net.is_over(link));
  REQUIRE(net.end(link, 0).session->report().problem.empty());
  REQUIRE(net.alarms().empty());
  REQUIRE(twins.is_equal());
  for (const test::Declared& segment : segments) {
    std::set<std::string> expected;
    for (const auto& [dot, record] : whole().twins.left.store(segment.name).live()) {
      expected.insert(loam::to_hex(record));
    }
    std::set<std::string> found;
    for (const auto& [dot, record] : twins.left.store(segment.name).live()) {
      found.insert(loam::to_hex(record));
    }
    REQUIRE(found == expected);
  }
}

}  // namespace

TEST_CASE("a link that is cut after any step resumes, and nothing is lost or comes back") {
  REQUIRE(whole().steps > 150);
  MESSAGE("steps of a whole exchange: ", whole().steps, ", applies: ", whole().applies);
  const int stride = test::scaled(10) < 10 ? 5 : 1;
  for (const bool loses_applies : {false, true}) {
    for (int cut_after = 0; cut_after <= whole().steps; cut_after += stride) {
      CAPTURE(cut_after);
      CAPTURE(loses_applies);
      Twins twins;
      Net net;
      Driver driver{net, twins, net.connect(twins.left, twins.right, small_frames())};
      while (driver.steps < cut_after) driver.step();
      net.cut(driver.link, loses_applies);
      for (int side = 0; side < 2; ++side) {
        while (net.commit(driver.link, side)) {
        }
      }
      check_resumes(twins);
    }
  }
}

TEST_CASE("an Apply that is refused at any step is sent again, and nothing is lost or comes back") {
  for (int refused = 0; refused < whole().applies; ++refused) {
    CAPTURE(refused);
    Twins twins;
    Net net;
    int applies = 0;
    net.refuse = [&](const Peer&, const loam::Apply&) -> std::optional<std::string> {
      if (applies++ != refused) return std::nullopt;
      return "no space left";
    };
    Driver driver{net, twins, net.connect(twins.left, twins.right, small_frames())};
    for (int idle = 0; idle < 4;) idle = driver.step() ? 0 : idle + 1;
    REQUIRE(net.is_over(driver.link));
    check_resumes(twins);
  }
}

TEST_CASE("a link that is cut again and again makes progress") {
  Twins twins;
  int links = 0;
  for (; links < 200 && !twins.is_equal(); ++links) {
    Net net;
    Driver driver{net, twins, net.connect(twins.left, twins.right, small_frames())};
    driver.steps = 1'000;  // no more writes
    for (int left = 90; left > 0; --left) driver.step();
    net.cut(driver.link, true);
  }
  CHECK(twins.is_equal());
  CHECK(links > 2);
}
