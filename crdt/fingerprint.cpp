#include "crdt/fingerprint.hpp"

#include "crdt/big_endian.hpp"
#include "crdt/hash.hpp"

namespace loam {

ContentHash content_hash(BytesView record) { return {hash128("loam content 1", {record})}; }

Fingerprint& Fingerprint::operator+=(const Fingerprint& other) noexcept {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
  return *this;
}

Fingerprint& Fingerprint::operator-=(const Fingerprint& other) noexcept {
  const bool borrow = low < other.low;
  low -= other.low;
  high -= other.high + (borrow ? 1 : 0);
  return *this;
}

std::array<std::byte, 16> Fingerprint::bytes() const noexcept {
  std::array<std::byte, 16> out{};
  store_u64(out.data(), high);
  store_u64(out.data() + 8, low);
  return out;
}

Fingerprint Fingerprint::from(const std::array<std::byte, 16>& bytes) noexcept {
  return {load_u64(bytes.data()), load_u64(bytes.data() + 8)};
}

Fingerprint live_term(const Dot& dot, const ContentHash& content) {
  std::array<std::byte, 8> counter{};
  store_u64(counter.data(), dot.counter);
  return Fingerprint::from(
      hash128("loam live 1", {dot.actor.view(), counter, content.view()}));
}

Fingerprint context_term(const ActorId& actor, const RangeSet& ranges) {
  if (ranges.empty()) return {};
  Bytes encoded(ranges.ranges().size() * 16);
  std::byte* at = encoded.data();
  for (const Range& range : ranges) {
    store_u64(at, range.first);
    store_u64(at + 8, range.last);
    at += 16;
  }
  return Fingerprint::from(hash128("loam context 1", {actor.view(), encoded}));
}

std::string digest_text(const Roots& roots) {
  return to_hex(hash128("loam digest 1", {roots.context.bytes(), roots.live.bytes()}));
}

}  // namespace loam
