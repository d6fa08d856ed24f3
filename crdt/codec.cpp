#include "crdt/codec.hpp"

#include <algorithm>
#include <cmath>
#include <msgpack.hpp>
#include <optional>

#include "crdt/error.hpp"

namespace loam {
namespace {

[[noreturn]] void reject_msgpack(const std::string& why) {
  throw Error(ErrorCode::invalid, "msgpack: " + why);
}

[[noreturn]] void over(const char* what, std::size_t size, std::size_t limit) {
  throw Error(ErrorCode::limit, std::string("msgpack: ") + what + ": " + std::to_string(size) +
                                    ", limit " + std::to_string(limit));
}

struct Sink {
  Bytes& out;
  void write(const char* data, std::size_t size) {
    // Nearly all that msgpack-c writes is a header of one octet.
    if (size == 1) return out.push_back(static_cast<std::byte>(*data));
    const auto* from = reinterpret_cast<const std::byte*>(data);
    out.insert(out.end(), from, from + size);
  }
};

std::uint32_t checked_size(std::size_t size) {
  if (size > 0xffff'ffffU) over("size", size, 0xffff'ffffU);
  return static_cast<std::uint32_t>(size);
}

std::size_t canonical_size(std::uint64_t value) {
  if (value < 128) return 1;
  if (value <= 0xff) return 2;
  if (value <= 0xffff) return 3;
  return value <= 0xffff'ffffU ? 5 : 9;
}

std::size_t canonical_size(std::int64_t negative) {
  if (negative >= -32) return 1;
  if (negative >= -128) return 2;
  if (negative >= -32768) return 3;
  return negative >= -2147483648LL ? 5 : 9;
}

std::size_t text_header(std::size_t size) {
  if (size < 32) return 1;
  if (size <= 0xff) return 2;
  return size <= 0xffff ? 3 : 5;
}

std::size_t octets_header(std::size_t size) {
  if (size <= 0xff) return 2;
  return size <= 0xffff ? 3 : 5;
}

std::size_t container_header(std::size_t size) {
  if (size < 16) return 1;
  return size <= 0xffff ? 3 : 5;
}

// Checks every rule of canonical msgpack while msgpack-c walks the bytes. The walk cannot see
// which form an integer or a length was written in; every longer form is longer in octets, or is a
// signed form of a positive number, so comparing the canonical size with the size read shows it.
class CheckingVisitor : public msgpack::null_visitor {
 public:
  CheckingVisitor(const DecodeLimits& limits) : limits_(limits) {}

  bool visit_nil() { return leaf(1); }
  bool visit_boolean(bool) { return leaf(1); }
  bool visit_positive_integer(std::uint64_t value) { return leaf(canonical_size(value)); }
  bool visit_negative_integer(std::int64_t value) {
    if (value >= 0) reject_msgpack("a positive integer in a signed form");
    return leaf(canonical_size(value));
  }
  bool visit_float32(float) { reject_msgpack("a 32-bit float"); }
  bool visit_float64(double value) {
    if (std::isnan(value)) reject_msgpack("NaN");
    if (value == 0 && std::signbit(value)) reject_msgpack("a negative zero");
    return leaf(9);
  }
  bool visit_str(const char* data, std::uint32_t size) {
    const std::string_view text(data, size);
    if (!is_utf8(text)) reject_msgpack("text that is not UTF-8");
    if (in_key_) check_key(text);
    return leaf(text_header(size) + size, true);
  }
  bool visit_bin(const char*, std::uint32_t size) { return leaf(octets_header(size) + size); }
  bool visit_ext(const char*, std::uint32_t) { reject_msgpack("an extension type"); }

  bool start_array(std::uint32_t size) { return open(size, false); }
  bool end_array() { return close(); }
  bool start_map(std::uint32_t size) { return open(size, true); }
  bool end_map() { return close(); }
  bool start_map_key() {
    in_key_ = true;
    return true;
  }
  bool end_map_key() {
    in_key_ = false;
    return true;
  }

  void parse_error(std::size_t, std::size_t) { reject_msgpack("malformed"); }
  void insufficient_bytes(std::size_t, std::size_t) { reject_msgpack("truncated"); }

  std::size_t canonical_octets() const { return octets_; }

 protected:
  // The keys seen so far in the open containers: the last key of each open map.
  struct Level {
    bool has_key = false;
    std::string_view last_key;
  };

  bool leaf(std::size_t size, bool is_text = false) {
    if (in_key_ && !is_text) reject_msgpack("a key that is not text");
    octets_ += size;
    if (++elements_ > limits_.elements_max) over("elements", elements_, limits_.elements_max);
    return true;
  }

  bool open(std::uint32_t size, bool) {
    if (in_key_) reject_msgpack("a key that is not text");
    if (size > limits_.container_max)
      over("elements of one container", size, limits_.container_max);
    if (levels_.size() + 1 > limits_.depth_max)
      over("depth", levels_.size() + 1, limits_.depth_max);
    levels_.emplace_back();
    octets_ += container_header(size);
    if (++elements_ > limits_.elements_max) over("elements", elements_, limits_.elements_max);
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  void check_key(std::string_view key) {
    Level& level = levels_.back();
    if (level.has_key && !(level.last_key < key)) {
      reject_msgpack(level.last_key == key ? "a repeated key" : "unsorted keys");
    }
    level.has_key = true;
    level.last_key = key;
  }

  const DecodeLimits& limits_;
  std::vector<Level> levels_;
  std::size_t octets_ = 0;
  std::size_t elements_ = 0;
  bool in_key_ = false;
};

// Builds the value beside the checks.
class BuildingVisitor : public CheckingVisitor {
 public:
  using CheckingVisitor::CheckingVisitor;

  bool visit_nil() { return CheckingVisitor::visit_nil() && put(Value()); }
  bool visit_boolean(bool value) {
    return CheckingVisitor::visit_boolean(value) && put(Value(value));
  }
  bool visit_positive_integer(std::uint64_t value) {
    return CheckingVisitor::visit_positive_integer(value) && put(Value(value));
  }
  bool visit_negative_integer(std::int64_t value) {
    return CheckingVisitor::visit_negative_integer(value) && put(Value(value));
  }
  bool visit_float64(double value) {
    return CheckingVisitor::visit_float64(value) && put(Value(value));
  }
  bool visit_str(const char* data, std::uint32_t size) {
    CheckingVisitor::visit_str(data, size);
    if (in_key_) {
      keys_.back() = std::string_view(data, size);
      return true;
    }
    return put(Value(std::string_view(data, size)));
  }
  bool visit_bin(const char* data, std::uint32_t size) {
    CheckingVisitor::visit_bin(data, size);
    return put(Value(copy_of(bytes_of({data, size}))));
  }
  bool start_array(std::uint32_t size) {
    return CheckingVisitor::start_array(size) && push(Array());
  }
  bool end_array() { return CheckingVisitor::end_array() && pop(); }
  bool start_map(std::uint32_t size) { return CheckingVisitor::start_map(size) && push(Map()); }
  bool end_map() { return CheckingVisitor::end_map() && pop(); }

  Value take() { return std::move(root_); }

 private:
  bool push(Value container) {
    open_.push_back(std::move(container));
    keys_.emplace_back();
    return true;
  }

  bool pop() {
    Value done = std::move(open_.back());
    open_.pop_back();
    keys_.pop_back();
    return put(std::move(done));
  }

  bool put(Value value) {
    if (open_.empty()) {
      root_ = std::move(value);
      return true;
    }
    if (auto* array = std::get_if<Array>(&open_.back().data)) {
      array->push_back(std::move(value));
    } else {
      Map& map = std::get<Map>(open_.back().data);
      map.emplace_hint(map.end(), std::string(keys_.back()), std::move(value));
    }
    return true;
  }

  std::vector<Value> open_;
  std::vector<std::string_view> keys_;
  Value root_;
};

template <class Visitor>
void walk(BytesView bytes, const DecodeLimits& limits, Visitor& visitor) {
  if (bytes.size() > limits.octets_max) over("octets", bytes.size(), limits.octets_max);
  if (bytes.empty()) reject_msgpack("nothing to read");
  std::size_t read = 0;
  const std::string_view text = text_of(bytes);
  try {
    if (!msgpack::parse(text.data(), text.size(), read, visitor)) reject_msgpack("truncated");
  } catch (const msgpack::unpack_error&) {
    reject_msgpack("malformed");
  }
  if (read != bytes.size()) {
    reject_msgpack("trailing octets: " + std::to_string(bytes.size() - read));
  }
  if (visitor.canonical_octets() != bytes.size()) reject_msgpack("a longer form than needed");
}

void write_map(Writer& writer, const Map& map) {
  writer.map(map.size());
  for (const auto& [key, value] : map) writer.text(key).value(value);
}

}  // namespace

Writer& Writer::nil() {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_nil();
  return *this;
}

Writer& Writer::boolean(bool value) {
  Sink sink{out_};
  msgpack::packer<Sink> packer(sink);
  value ? packer.pack_true() : packer.pack_false();
  return *this;
}

Writer& Writer::number(std::uint64_t value) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_uint64(value);
  return *this;
}

Writer& Writer::integer(std::int64_t value) {
  if (value >= 0) return number(static_cast<std::uint64_t>(value));
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_int64(value);
  return *this;
}

Writer& Writer::real(double value) {
  if (std::isnan(value)) reject_msgpack("NaN");
  if (value == 0) value = 0.0;  // the negative zero equals the positive one
  Sink sink{out_};
  // Always the 64-bit form. pack_double would write a whole number as an integer.
  std::array<std::byte, 9> octets{std::byte{0xcb}};
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  for (int i = 8; i >= 1; --i, bits >>= 8)
    octets[static_cast<std::size_t>(i)] = std::byte(bits & 255U);
  sink.write(reinterpret_cast<const char*>(octets.data()), octets.size());
  return *this;
}

Writer& Writer::text(std::string_view value) {
  if (!is_utf8(value)) reject_msgpack("text that is not UTF-8");
  Sink sink{out_};
  msgpack::packer<Sink> packer(sink);
  packer.pack_str(checked_size(value.size()));
  packer.pack_str_body(value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

Writer& Writer::octets(BytesView value) {
  Sink sink{out_};
  msgpack::packer<Sink> packer(sink);
  packer.pack_bin(checked_size(value.size()));
  packer.pack_bin_body(text_of(value).data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

Writer& Writer::array(std::size_t elements) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_array(checked_size(elements));
  return *this;
}

Writer& Writer::map(std::size_t entries) {
  Sink sink{out_};
  msgpack::packer<Sink>(sink).pack_map(checked_size(entries));
  return *this;
}

Writer& Writer::value(const Value& value) {
  struct Visit {
    Writer& to;
    void operator()(std::monostate) const { to.nil(); }
    void operator()(bool item) const { to.boolean(item); }
    void operator()(std::int64_t item) const { to.integer(item); }
    void operator()(std::uint64_t item) const { to.number(item); }
    void operator()(double item) const { to.real(item); }
    void operator()(const std::string& item) const { to.text(item); }
    void operator()(const Bytes& item) const { to.octets(item); }
    void operator()(const Array& items) const {
      to.array(items.size());
      for (const Value& item : items) to.value(item);
    }
    void operator()(const Map& items) const { write_map(to, items); }
  };
  std::visit(Visit{*this}, value.data);
  return *this;
}

Bytes encode(const Value& value) {
  Bytes out;
  Writer(out).value(value);
  return out;
}

Bytes encode(const Map& map) {
  Bytes out;
  out.reserve(256);  // enough for most payloads: else it would grow six times
  Writer writer(out);
  write_map(writer, map);
  return out;
}

Value decode(BytesView bytes, const DecodeLimits& limits) {
  BuildingVisitor visitor(limits);
  walk(bytes, limits, visitor);
  return visitor.take();
}

void check_canonical(BytesView bytes, const DecodeLimits& limits) {
  CheckingVisitor visitor(limits);
  walk(bytes, limits, visitor);
}

bool is_utf8(std::string_view text) noexcept {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (at != end) {
    if (end - at >= 8) {  // nearly all text is ASCII
      std::uint64_t eight = 0;
      std::memcpy(&eight, at, sizeof eight);
      if ((eight & 0x8080'8080'8080'8080U) == 0) {
        at += 8;
        continue;
      }
    }
    const unsigned lead = *at++;
    if (lead < 0x80) continue;
    if (lead < 0xc2 || lead > 0xf4) return false;
    const int more = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (end - at < more) return false;
    const unsigned low = lead == 0xe0 ? 0xa0U : lead == 0xf0 ? 0x90U : 0x80U;
    const unsigned high = lead == 0xed ? 0x9fU : lead == 0xf4 ? 0x8fU : 0xbfU;
    if (*at < low || *at > high) return false;
    for (int i = 1; i < more; ++i) {
      if ((at[i] & 0xc0U) != 0x80U) return false;
    }
    at += more;
  }
  return true;
}

}  // namespace loam
