#include "crdt/checked_reader.hpp"

#include <bit>

#include "crdt/error.hpp"

namespace loam {
namespace {

[[noreturn]] void reject_unchecked() { throw Error(ErrorCode::invalid, "msgpack: was never checked"); }

}  // namespace

unsigned CheckedReader::form() const {
  if (rest_.empty()) reject_unchecked();
  return std::to_integer<unsigned>(rest_.front());
}

BytesView CheckedReader::take(std::size_t size) {
  if (size > rest_.size()) reject_unchecked();
  const BytesView taken = rest_.first(size);
  rest_ = rest_.subspan(size);
  return taken;
}

std::uint64_t CheckedReader::big_endian(std::size_t size) {
  std::uint64_t value = 0;
  for (const std::byte octet : take(size)) value = (value << 8) | std::to_integer<unsigned>(octet);
  return value;
}

// The size of 1, 2 or 4 octets behind a form; `first` is the form with 1.
std::size_t CheckedReader::size_behind(unsigned first, unsigned form) {
  return static_cast<std::size_t>(big_endian(std::size_t{1} << (form - first)));
}

std::uint64_t CheckedReader::number() {
  const unsigned form = this->form();
  if (form >= 0x80 && (form < 0xcc || form > 0xcf)) reject_unchecked();
  (void)take(1);
  return form < 0x80 ? form : big_endian(std::size_t{1} << (form - 0xcc));
}

std::string_view CheckedReader::text() {
  if (!is_text()) reject_unchecked();
  const unsigned form = this->form();
  (void)take(1);
  return text_of(take(form < 0xd9 ? form & 0x1fU : size_behind(0xd9, form)));
}

BytesView CheckedReader::octets() {
  if (!is_octets()) reject_unchecked();
  const unsigned form = this->form();
  (void)take(1);
  return take(size_behind(0xc4, form));
}

std::size_t CheckedReader::array() {
  if (!is_array()) reject_unchecked();
  const unsigned form = this->form();
  (void)take(1);
  return form < 0xdc ? form & 0x0fU : size_behind(0xdb, form);
}

std::size_t CheckedReader::map() {
  if (!is_map()) reject_unchecked();
  const unsigned form = this->form();
  (void)take(1);
  return form < 0xde ? form & 0x0fU : size_behind(0xdd, form);
}

BytesView CheckedReader::whole() {
  const BytesView from = rest_;
  for (std::size_t left = 1; left > 0; --left) {
    if (is_map()) {
      left += 2 * map();
    } else if (is_array()) {
      left += array();
    } else if (is_text()) {
      (void)text();
    } else if (is_octets()) {
      (void)octets();
    } else {
      const unsigned form = this->form();
      const bool is_short =
          form < 0x80 || form >= 0xe0 || form == 0xc0 || form == 0xc2 || form == 0xc3;
      if (!is_short && (form < 0xcb || form > 0xd3)) reject_unchecked();
      // 0xcb is a real, 0xcc to 0xcf and 0xd0 to 0xd3 are integers of 1, 2, 4 and 8 octets.
      (void)take(is_short ? 1 : form == 0xcb ? 9 : 1 + (std::size_t{1} << (form & 3U)));
    }
  }
  return from.first(from.size() - rest_.size());
}

Value CheckedReader::value() {
  if (is_text()) return Value(text());
  if (is_octets()) return Value(copy_of(octets()));
  if (is_array()) {
    Array items;
    for (std::size_t left = array(); left > 0; --left) items.push_back(value());
    return items;
  }
  if (is_map()) {
    Map entries;
    each_entry(*this, [&](std::string_view key, CheckedReader& at) {
      entries.emplace_hint(entries.end(), std::string(key), at.value());
    });
    return entries;
  }
  const unsigned form = this->form();
  if (form < 0x80 || (form >= 0xcc && form <= 0xcf)) return Value(number());
  (void)take(1);
  switch (form) {
    case 0xc0: return Value();
    case 0xc2: return Value(false);
    case 0xc3: return Value(true);
    case 0xcb: return Value(std::bit_cast<double>(big_endian(8)));
    case 0xd0: return Value(std::int64_t{static_cast<std::int8_t>(big_endian(1))});
    case 0xd1: return Value(std::int64_t{static_cast<std::int16_t>(big_endian(2))});
    case 0xd2: return Value(std::int64_t{static_cast<std::int32_t>(big_endian(4))});
    case 0xd3: return Value(static_cast<std::int64_t>(big_endian(8)));
    default: break;
  }
  if (form < 0xe0) reject_unchecked();
  return Value(std::int64_t{static_cast<std::int8_t>(form)});
}

}  // namespace loam
