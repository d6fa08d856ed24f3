#pragma once

#include <array>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "crdt/bytes.hpp"

namespace loam {

/// 26 characters of Crockford base32 (lower case, most significant first) for 128 bits.
std::string to_base32(const std::array<std::byte, 16>& id);

/// The 128 bits that 26 characters of Crockford base32 stand for; either case, `o` for 0, `i` and
/// `l` for 1. Absent when the text is anything else.
std::optional<std::array<std::byte, 16>> from_base32(std::string_view text);

/// 128 bits that name one kind of thing. `Tag` keeps the kinds apart at compile time.
template <class Tag>
struct Id {
  std::array<std::byte, 16> bytes{};

  auto operator<=>(const Id&) const = default;

  bool is_zero() const noexcept { return *this == Id{}; }
  BytesView view() const noexcept { return bytes; }
  std::string text() const { return to_base32(bytes); }

  /// Absent unless the view has exactly 16 octets.
  static std::optional<Id> from(BytesView view) noexcept {
    if (view.size() != 16) return std::nullopt;
    Id id;
    std::memcpy(id.bytes.data(), view.data(), 16);
    return id;
  }

  /// Absent unless the text is a whole id in base32.
  static std::optional<Id> parse(std::string_view text) {
    const auto bytes = from_base32(text);
    if (!bytes) return std::nullopt;
    return Id{*bytes};
  }
};

using ActorId = Id<struct ActorTag>;            ///< one writing session of one instance
using InstanceId = Id<struct InstanceTag>;      ///< one deployment, derived from its key
using FederationId = Id<struct FederationTag>;  ///< the instances that share one registry
using StoreId = Id<struct StoreTag>;            ///< one copy of the shared environment on disk
using ElementId = Id<struct ElementTag>;        ///< a record by its content
using PacketId = Id<struct PacketTag>;          ///< an envelope; time-ordered

}  // namespace loam
