#include "crdt/map_writer.hpp"

#include <cassert>

namespace loam {

Writer& MapWriter::entry(std::string_view key) {
  assert(count_ == 0 || last_key_ < key);
  last_key_ = key;
  ++count_;
  return writer_.text(key);
}

void MapWriter::encoded(std::string_view key, BytesView value) {
  entry(key);
  entries_.insert(entries_.end(), value.begin(), value.end());
}

Bytes MapWriter::octets() const {
  constexpr std::size_t header_octets_max = 5;
  Bytes out;
  out.reserve(header_octets_max + entries_.size());
  Writer(out).map(count_);
  out.insert(out.end(), entries_.begin(), entries_.end());
  return out;
}

}  // namespace loam
