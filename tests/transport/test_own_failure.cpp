#include <doctest/doctest.h>

#include "crdt/error.hpp"
#include "tests/transport/script.hpp"

using test::Peer;

namespace {

/// A store that begins to fail when it is told to.
class Failing final : public loam::Source {
 public:
  explicit Failing(const Peer& peer) : peer_(peer) {}

  bool fails = false;

  std::vector<std::string> segments() const override { return peer_.segments(); }
  loam::SegmentState state(const std::string& segment) const override {
    check();
    return peer_.state(segment);
  }
  loam::Position position(const std::string& segment, const loam::StoreId& store) const override {
    return peer_.position(segment, store);
  }
  loam::JournalPage journal(const std::string& segment, std::uint64_t after,
                            const loam::StoreId& excluded, std::size_t dots_max) const override {
    return peer_.journal(segment, after, excluded, dots_max);
  }
  std::vector<loam::ActorState> actors(const std::string& segment,
                                       const std::optional<loam::ActorId>& after,
                                       std::size_t max) const override {
    return peer_.actors(segment, after, max);
  }
  loam::Slice slice(const std::string& segment, const loam::ActorId& actor,
                    const loam::RangeSet& selected, std::size_t octets_max,
                    std::size_t records_max) const override {
    return peer_.slice(segment, actor, selected, octets_max, records_max);
  }
  loam::RangeSet live_counters(const std::string& segment, const loam::ActorId& actor,
                               const loam::RangeSet& selected) const override {
    return peer_.live_counters(segment, actor, selected);
  }
  loam::Fingerprint live_fingerprint(const std::string& segment, const loam::ActorId& actor,
                                     const loam::RangeSet& selected) const override {
    return peer_.live_fingerprint(segment, actor, selected);
  }

 private:
  void check() const {
    if (fails) throw loam::Error(loam::ErrorCode::damaged, "/home/alice/.loam/shared: page 7");
  }

  const Peer& peer_;
};

}  // namespace

TEST_CASE("a store that fails ends the conversation; the peer does not hear where it lies") {
  const Peer own(1, 1, test::two_segments);
  const Peer other(2, 2, test::two_segments);
  Failing source(own);
  loam::SessionConfig config;
  config.role = loam::Role::listener;
  config.hello = test::hello_from(own, "own");
  loam::Session session(std::move(config), source);
  session.connected({});
  session.received(loam::encode_frame(test::hello_from(other, "other")), {});
  session.received(loam::encode_frame(test::state_from(other, "lessons", own)), {});
  source.fails = true;
  const auto actions = session.changed({});
  CHECK(test::end_of(actions) == "1011 damaged");
  CHECK(test::sent<loam::Bye>(actions)[0].reason == "the store has failed");
  CHECK(session.report().problem == "damaged: /home/alice/.loam/shared: page 7");
}
