#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "crdt/bytes.hpp"

namespace loam {

/// 128 bits of BLAKE2b (RFC 7693, by libsodium) over the parts laid end to end, keyed by `domain`
/// (1 to 64 octets) so that hashes made for different purposes never coincide. Parts whose lengths
/// vary must be framed by the caller.
std::array<std::byte, 16> hash128(std::string_view domain, std::initializer_list<BytesView> parts);

}  // namespace loam
