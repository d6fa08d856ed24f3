#pragma once

#include "crdt/value.hpp"

namespace loam {

/// Walks canonical msgpack that has been checked before (`check_canonical`, `check_record`): what a store
/// holds was, when it was written. Takes everything as views and checks no rule again, so that reading
/// a record costs no allocation but for what is kept. Never reads past the end: throws Error(invalid) for
/// octets that cannot have passed the check. One thread.
class CheckedReader {
 public:
  explicit CheckedReader(BytesView checked) : rest_(checked) {}

  bool at_end() const noexcept { return rest_.empty(); }

  /// Each takes one value of its type; throws Error(invalid) for another.
  std::uint64_t number();
  std::string_view text();
  BytesView octets();
  std::size_t array();  ///< its size; its elements come next
  std::size_t map();    ///< its size; as many keys and values come next

  /// Whether a value of that type is next.
  bool is_text() const { return form() >= 0xd9 ? form() <= 0xdb : (form() & 0xe0U) == 0xa0U; }
  bool is_octets() const { return form() >= 0xc4 && form() <= 0xc6; }
  bool is_array() const { return (form() & 0xf0U) == 0x90U || form() == 0xdc || form() == 0xdd; }
  bool is_map() const { return (form() & 0xf0U) == 0x80U || form() == 0xde || form() == 0xdf; }

  /// The next value, whatever it is.
  Value value();
  void skip() { (void)whole(); }

  /// The octets of the next value.
  BytesView whole();

 private:
  unsigned form() const;
  BytesView take(std::size_t size);
  std::uint64_t big_endian(std::size_t size);
  std::size_t size_behind(unsigned first, unsigned form);

  BytesView rest_;
};

/// Calls `each(key, reader)` for the entries of a checked map; `each` takes exactly the value.
template <class Each>
void each_entry(CheckedReader& reader, Each&& each) {
  for (std::size_t left = reader.map(); left > 0; --left) {
    const std::string_view key = reader.text();
    each(key, reader);
  }
}

}  // namespace loam
