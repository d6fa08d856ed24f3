#pragma once

#include <array>
#include <cassert>
#include <cstring>
#include <string_view>

#include "crdt/big_endian.hpp"
#include "crdt/clock.hpp"
#include "crdt/dot.hpp"
#include "crdt/error.hpp"

namespace loam {

/// The number of a segment in one environment; the same for its whole life, never on the wire.
using SegmentNumber = std::uint16_t;

/// The dense local number of an actor, from 1; never on the wire.
using ActorIndex = std::uint32_t;

/// A key of a table, built from big-endian parts so that octets sort as the parts do. At most 511
/// octets, LMDB's limit.
class TableKey {
 public:
  static constexpr std::size_t octets_max = 511;

  TableKey& u16(std::uint16_t value) { return grow(2, [&](std::byte* at) { store_u16(at, value); }); }
  TableKey& u32(std::uint32_t value) { return grow(4, [&](std::byte* at) { store_u32(at, value); }); }
  TableKey& u64(std::uint64_t value) { return grow(8, [&](std::byte* at) { store_u64(at, value); }); }
  TableKey& octets(BytesView value) {
    return grow(value.size(), [&](std::byte* at) {
      if (!value.empty()) std::memcpy(at, value.data(), value.size());
    });
  }
  TableKey& text(std::string_view value) { return octets(bytes_of(value)); }

  /// Ends a text whose octets are all greater, so that no key is a prefix of another.
  TableKey& end_of_text() { return grow(1, [](std::byte* at) { *at = std::byte{0}; }); }

  BytesView view() const noexcept { return {octets_.data(), size_}; }
  operator BytesView() const noexcept { return view(); }

 private:
  template <class Store>
  TableKey& grow(std::size_t size, Store&& store) {
    assert(size_ + size <= octets_max);
    store(octets_.data() + size_);
    size_ += size;
    return *this;
  }

  std::array<std::byte, octets_max> octets_;
  std::size_t size_ = 0;
};

inline bool starts_with(BytesView key, BytesView prefix) noexcept {
  return key.size() >= prefix.size() && equal(key.first(prefix.size()), prefix);
}

inline TableKey segment_key(SegmentNumber segment) { return TableKey().u16(segment); }

inline TableKey context_key(SegmentNumber segment, ActorIndex actor) {
  return TableKey().u16(segment).u32(actor);
}

inline TableKey dot_key(SegmentNumber segment, ActorIndex actor, std::uint64_t counter) {
  return TableKey().u16(segment).u32(actor).u64(counter);
}

/// The row of a batch stands in the table of its dots, behind its first.
inline TableKey batch_key(SegmentNumber segment, ActorIndex actor, std::uint64_t first, std::uint8_t variant) {
  const std::array<std::byte, 1> suffix{static_cast<std::byte>(variant)};
  return dot_key(segment, actor, first).octets(suffix);
}

inline constexpr std::size_t dot_key_octets = 2 + 4 + 8;
inline constexpr std::size_t batch_key_octets = dot_key_octets + 1;

inline TableKey element_prefix(SegmentNumber segment, const ElementId& element) {
  return TableKey().u16(segment).octets(element.view());
}

inline TableKey element_key(SegmentNumber segment, const ElementId& element,
                            std::uint64_t sequence) {
  return element_prefix(segment, element).u64(sequence);
}

inline TableKey register_prefix(SegmentNumber segment, std::string_view key) {
  return TableKey().u16(segment).text(key).end_of_text();
}

inline TableKey register_key(SegmentNumber segment, std::string_view key, Hlc stamp,
                             const Dot& dot) {
  return register_prefix(segment, key).u64(stamp.value).octets(dot.actor.view()).u64(dot.counter);
}

/// A key of table `reg`, taken apart.
struct RegisterKey {
  SegmentNumber segment = 0;
  std::string_view key;  ///< a view
  Hlc stamp;
  Dot dot;
};

/// Throws Error(damaged) for what `register_key` cannot have made.
inline RegisterKey decode_register_key(BytesView octets) {
  constexpr std::size_t suffix = 1 + 8 + 16 + 8;
  if (octets.size() < 2 + suffix) {
    throw Error(ErrorCode::damaged, "table reg: a key does not decode");
  }
  const std::size_t text = octets.size() - 2 - suffix;
  const std::byte* const at = octets.data() + 2 + text + 1;
  return {load_u16(octets.data()), text_of(octets.subspan(2, text)), Hlc{load_u64(at)},
          Dot{*ActorId::from(octets.subspan(2 + text + 9, 16)), load_u64(at + 24)}};
}

inline TableKey journal_key(SegmentNumber segment, std::uint64_t sequence) {
  return TableKey().u16(segment).u64(sequence);
}

inline TableKey position_key(const StoreId& peer, SegmentNumber segment) {
  return TableKey().octets(peer.view()).u16(segment);
}

}  // namespace loam
