#include <doctest/doctest.h>

#include "lib/rows.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::code_of;
using ::test::forall;
using ::test::Gen;

template <class IdType>
IdType id(Gen& gen) {
  IdType made;
  for (std::byte& octet : made.bytes) octet = static_cast<std::byte>(gen.below(256));
  return made;
}

Fingerprint fingerprint(Gen& gen) { return {gen.bits(), gen.bits()}; }

RangeSet ranges(Gen& gen) {
  RangeSet set;
  std::uint64_t at = 0;
  for (std::size_t left = gen.index(5); left > 0; --left) {
    const std::uint64_t first = at + gen.between(1, 1 + gen.number() % 1'000'000);
    at = first + gen.number() % 1'000'000;
    set.insert(Range{first, at});
  }
  return set;
}

RangeSet some_ranges(Gen& gen) {
  RangeSet set = ranges(gen);
  set.insert(gen.between(1, counter_max));
  return set;
}

SegmentRow segment_row(Gen& gen) {
  SegmentRow row;
  row.name = gen.text(63);
  row.state.kind = gen.coin() ? Kind::map : Kind::set;
  row.state.roots = {fingerprint(gen), fingerprint(gen)};
  row.state.journal = gen.bits();
  row.state.floor = gen.number();
  row.state.head = gen.number();
  row.records = gen.number();
  row.octets = gen.number();
  return row;
}

JournalRow journal_row(Gen& gen) {
  JournalRow row{id<StoreId>(gen), {}};
  for (std::size_t left = gen.index(4); left > 0; --left) {
    row.changed.emplace_back(static_cast<ActorIndex>(gen.bits()), some_ranges(gen));
  }
  return row;
}

SegmentNumber segment_number(Gen& gen) { return static_cast<SegmentNumber>(gen.between(1, 65'535)); }

PeerRow peer_row(Gen& gen) {
  PeerRow row{gen.text(63),
              id<InstanceId>(gen),
              gen.ascii(1'024),
              static_cast<std::int64_t>(gen.number()),
              {},
              {}};
  for (std::size_t left = gen.index(4); left > 0; --left) row.confirmed.emplace_back(segment_number(gen), gen.number());
  for (std::size_t left = gen.index(4); left > 0; --left) row.refused[segment_number(gen)] = 1 + gen.number();
  return row;
}

// Every shorter row, and one that is an octet longer, is damaged.
template <class Decode>
void check_exact(const Bytes& octets, Decode&& decode) {
  for (std::size_t size = 0; size < octets.size(); ++size) {
    INFO("cut to ", size, " of ", octets.size());
    REQUIRE(code_of([&] { decode(BytesView(octets).first(size)); }) == ErrorCode::damaged);
  }
  Bytes longer = octets;
  longer.push_back(std::byte{0});
  REQUIRE(code_of([&] { decode(longer); }) == ErrorCode::damaged);
}

TEST_CASE("a segment row survives, and only whole") {
  forall("segment row", 100, [](Gen& gen) {
    const SegmentRow row = segment_row(gen);
    const Bytes octets = encode(row);
    REQUIRE(decode_segment_row(octets) == row);
    check_exact(octets, decode_segment_row);
  });
}

TEST_CASE("a segment row of a kind that there is not is damaged") {
  Gen gen(1);
  SegmentRow row = segment_row(gen);
  row.name = "a";
  Bytes octets = encode(row);
  octets[4] = std::byte{2};  // after the name's length and its one octet: the kind
  CHECK(code_of([&] { decode_segment_row(octets); }) == ErrorCode::damaged);
}

TEST_CASE("a context row survives, and damage in it is told") {
  forall("context row", 100, [](Gen& gen) {
    const ContextRow row{some_ranges(gen), gen.number(), fingerprint(gen)};
    Bytes octets = encode(row);
    REQUIRE(decode_context_row(octets) == row);
    for (std::size_t size = 0; size < 24; ++size) {  // the part without ranges
      REQUIRE(code_of([&] { decode_context_row(BytesView(octets).first(size)); }) ==
              ErrorCode::damaged);
    }
    octets.pop_back();  // half a range
    REQUIRE(code_of([&] { decode_context_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a context row without counters survives") {
  CHECK(decode_context_row(encode(ContextRow{})) == ContextRow{});
}

TEST_CASE("ranges that touch, or that are longer than they need to be, are damaged") {
  Bytes octets = encode(ContextRow{});
  for (const int octet : {0, 0, 0, 0})
    octets.push_back(static_cast<std::byte>(octet));  // 1, then 2
  CHECK(code_of([&] { decode_context_row(octets); }) == ErrorCode::damaged);
  octets = encode(ContextRow{});
  for (const int octet : {0x80, 0, 0}) octets.push_back(static_cast<std::byte>(octet));
  CHECK(code_of([&] { decode_context_row(octets); }) == ErrorCode::damaged);
}

TEST_CASE("an actor row survives, and only whole") {
  forall("actor row", 50, [](Gen& gen) {
    ActorRow row{id<ActorId>(gen), id<InstanceId>(gen), std::nullopt};
    for (const bool has_nonce : {false, true}) {
      if (has_nonce) row.nonce.emplace().fill(static_cast<std::byte>(gen.below(256)));
      const ActorRow back = decode_actor_row(encode(row));
      REQUIRE((back.id == row.id && back.author == row.author && back.nonce == row.nonce));
    }
    for (const std::size_t size : {0U, 31U, 33U, 39U}) {
      REQUIRE(code_of([&] { decode_actor_row(BytesView(encode(row)).first(size)); }) == ErrorCode::damaged);
    }
  });
}

TEST_CASE("a dot row survives, and only whole") {
  forall("dot row", 50, [](Gen& gen) {
    DotRow row{gen.number(), id<ContentHash>(gen), {}};
    for (const bool is_signed : {false, true}) {
      if (is_signed) row.batch = {static_cast<std::uint8_t>(gen.below(256)), static_cast<std::uint8_t>(gen.below(255))};
      const DotRow back = decode_dot_row(encode(row));
      REQUIRE((back.sequence == row.sequence && back.content == row.content && back.batch == row.batch));
    }
    for (const std::size_t size : {0U, 23U, 25U}) {
      REQUIRE(code_of([&] { decode_dot_row(BytesView(encode(row)).first(size)); }) == ErrorCode::damaged);
    }
    row.batch = {3, 4};
    Bytes octets = encode(row);
    octets.back() = std::byte{255};  // has a place, and is not signed
    REQUIRE(code_of([&] { decode_dot_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a batch row survives, and damage in it is told") {
  forall("batch row", 100, [](Gen& gen) {
    BatchRow row{static_cast<std::uint16_t>(1 + gen.below(256)), {}, {}, {}, {}};
    for (auto left = gen.below(4); left > 0; --left) row.frontier.emplace_back(gen.below(9), gen.number());
    for (auto left = gen.below(4); left > 0; --left) row.rest.push_back(id<TreeHash>(gen));
    if (gen.coin()) row.superseded.emplace_back(1, RangeSet(Range{2, 5}));
    row.signature.bytes[gen.index(64)] = std::byte{7};
    Bytes octets = encode(row);
    REQUIRE(decode_batch_row(octets) == row);
    for (std::size_t size = 0; size < 70; ++size) {
      REQUIRE(code_of([&] { decode_batch_row(BytesView(octets).first(size)); }) == ErrorCode::damaged);
    }
    octets.push_back(std::byte{0});
    REQUIRE(code_of([&] { decode_batch_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a record row survives with whatever record it holds") {
  forall("record row", 100, [](Gen& gen) {
    const Bytes record = gen.bytes(300);
    const RecordRow row{static_cast<SegmentNumber>(gen.below(65'536)),
                        static_cast<ActorIndex>(gen.bits()), gen.number(), id<ElementId>(gen),
                        record};
    const Bytes octets = encode(row);
    const RecordRow back = decode_record_row(octets);
    REQUIRE((back.segment == row.segment && back.actor == row.actor));
    REQUIRE((back.counter == row.counter && back.element == row.element));
    REQUIRE(equal(back.record, record));
    for (std::size_t size = 0; size < 30; ++size) {
      REQUIRE(code_of([&] { decode_record_row(BytesView(octets).first(size)); }) ==
              ErrorCode::damaged);
    }
  });
}

TEST_CASE("a journal row survives, and damage in it is told") {
  forall("journal row", 100, [](Gen& gen) {
    const JournalRow row = journal_row(gen);
    Bytes octets = encode(row);
    const JournalRow back = decode_journal_row(octets);
    REQUIRE((back.origin == row.origin && back.changed == row.changed));
    octets.push_back(std::byte{0});
    REQUIRE(code_of([&] { decode_journal_row(octets); }) == ErrorCode::damaged);
    octets.pop_back();
    if (row.changed.empty()) return;
    octets.pop_back();
    REQUIRE(code_of([&] { decode_journal_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a journal row cut anywhere inside an actor is damaged") {
  const JournalRow row{{}, {{7, RangeSet(Range{1, 300})}}};
  const Bytes octets = encode(row);
  for (std::size_t size = 0; size < octets.size(); ++size) {
    if (size == 16) continue;  // an origin alone is a whole row
    INFO(size);
    CHECK(code_of([&] { decode_journal_row(BytesView(octets).first(size)); }) ==
          ErrorCode::damaged);
  }
}

TEST_CASE("a peer row survives, and damage in it is told") {
  forall("peer row", 100, [](Gen& gen) {
    const PeerRow row = peer_row(gen);
    Bytes octets = encode(row);
    const PeerRow back = decode_peer_row(octets);
    REQUIRE((back.name == row.name && back.instance == row.instance));
    REQUIRE((back.endpoint == row.endpoint && back.last_seen_ms == row.last_seen_ms));
    REQUIRE(back.confirmed == row.confirmed);
    REQUIRE(back.refused == row.refused);
    octets.push_back(std::byte{0});
    REQUIRE(code_of([&] { decode_peer_row(octets); }) == ErrorCode::damaged);
    octets.resize(octets.size() - 2);
    REQUIRE(code_of([&] { decode_peer_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a peer row of before refusals were counted has none") {
  const Bytes old = encode(PeerRow{"beta", {}, "", 7, {{1, 5}, {3, 6}}, {}});
  CHECK(old.size() == 2 + 4 + 16 + 2 + 8 + 2 * 10);
  const PeerRow row = decode_peer_row(old);
  CHECK(row.confirmed == decltype(row.confirmed){{1, 5}, {3, 6}});
  CHECK(row.refused.empty());
}

TEST_CASE("a peer row with refusals of no segment, of none, or twice of one is damaged") {
  const auto with = [](const std::vector<std::pair<SegmentNumber, std::uint64_t>>& tail) {
    Bytes octets = encode(PeerRow{"beta", {}, "", 7, {{3, 6}}, {}});
    octets.resize(octets.size() + 2);  // what follows is what was refused
    for (const auto& [segment, count] : tail) {
      octets.resize(octets.size() + 10);
      store_u16(octets.data() + octets.size() - 10, segment);
      store_u64(octets.data() + octets.size() - 8, count);
    }
    return octets;
  };
  CHECK(decode_peer_row(with({{3, 1}, {4, 2}})).refused == std::map<SegmentNumber, std::uint64_t>{{3, 1}, {4, 2}});
  using Tail = std::vector<std::pair<SegmentNumber, std::uint64_t>>;
  for (const Tail& tail : {Tail{}, Tail{{0, 1}}, Tail{{3, 0}}, Tail{{3, 1}, {3, 1}}, Tail{{4, 1}, {3, 1}}, Tail{{3, 1}, {0, 1}}}) {
    CHECK(code_of([&] { decode_peer_row(with(tail)); }) == ErrorCode::damaged);
  }
}

TEST_CASE("a position survives, and only whole") {
  forall("position", 50, [](Gen& gen) {
    const Position position{gen.bits(), gen.number()};
    const Bytes octets = encode(position);
    REQUIRE(decode_position(octets) == position);
    check_exact(octets, decode_position);
  });
}

TEST_CASE("a held row survives, and damage in it is told") {
  forall("held row", 100, [](Gen& gen) {
    HeldRow row{static_cast<HeldReason>(gen.between(1, 3)),
                static_cast<SegmentNumber>(gen.below(65'536)),
                id<StoreId>(gen),
                static_cast<std::int64_t>(gen.number()),
                {},
                gen.bytes(200)};
    const std::size_t fixed = encode(row).size();
    row.dots = journal_row(gen).changed;
    Bytes octets = encode(row);
    REQUIRE(decode_held_row(octets) == row);
    for (std::size_t size = 0; size < fixed; ++size) {
      REQUIRE(code_of([&] { decode_held_row(BytesView(octets).first(size)); }) ==
              ErrorCode::damaged);
    }
    octets.push_back(std::byte{0});
    REQUIRE(code_of([&] { decode_held_row(octets); }) == ErrorCode::damaged);
  });
}

TEST_CASE("a held row of a reason that there is not is damaged") {
  for (const unsigned reason : {0U, 4U, 256U}) {
    Bytes octets = encode(HeldRow{});
    store_u16(octets.data(), static_cast<std::uint16_t>(reason));
    CHECK(code_of([&] { decode_held_row(octets); }) == ErrorCode::damaged);
  }
}

TEST_CASE("no octets at all make a decoder crash") {
  forall("any octets", 2'000, [](Gen& gen) {
    const Bytes octets = gen.bytes(120);
    const auto holds = [&](auto&& decode) {
      const auto error = test::error_of([&] { decode(octets); });
      return !error || error->code() == ErrorCode::damaged;
    };
    return holds(decode_segment_row) && holds(decode_context_row) && holds(decode_actor_row) &&
           holds(decode_dot_row) && holds(decode_record_row) && holds(decode_journal_row) &&
           holds(decode_peer_row) && holds(decode_position) && holds(decode_held_row);
  });
}

}  // namespace
}  // namespace loam
