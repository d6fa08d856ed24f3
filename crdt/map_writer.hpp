#pragma once

#include "crdt/codec.hpp"

namespace loam {

/// Writes a map in canonical msgpack whose entries nobody has counted: for what is made often, where a Map
/// would be made only to be encoded. Keys come in ascending order, and outlive the writer.
class MapWriter {
 public:
  MapWriter() { entries_.reserve(typical_octets); }
  MapWriter(const MapWriter&) = delete;
  MapWriter& operator=(const MapWriter&) = delete;

  /// Writes a key. The caller writes one value after it, with what is returned.
  Writer& entry(std::string_view key);

  /// An entry whose value is canonical msgpack already.
  void encoded(std::string_view key, BytesView value);

  void text(std::string_view key, std::string_view text) { entry(key).text(text); }

  bool empty() const noexcept { return count_ == 0; }

  /// The map, of the entries so far.
  Bytes octets() const;

 private:
  static constexpr std::size_t typical_octets = 512;

  Bytes entries_;
  Writer writer_{entries_};
  std::size_t count_ = 0;
  std::string_view last_key_;
};

}  // namespace loam
