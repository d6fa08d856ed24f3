#include "lib/lookup.hpp"

#include <algorithm>
#include <charconv>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"

namespace loam {
namespace {

constexpr std::size_t prefix_min = 6;
constexpr std::size_t id_length = 26;

// Sorts behind every assignment of a key, whose text ends in 0x00, and before any longer key, whose
// next octet is no control character.
constexpr std::uint16_t behind_key = 0x0100;

// The ids that begin with a prefix: padded with the lowest and the highest digit.
struct IdBounds {
  std::array<std::byte, 16> low;
  std::array<std::byte, 16> high;
};

IdBounds bounds_of(std::string_view id) {
  if (id.size() < prefix_min || id.size() > id_length) {
    throw Error(ErrorCode::invalid, "id " + std::string(id.substr(0, id_length)) + ": has " +
                                        std::to_string(id.size()) +
                                        " characters, an id has 26 and a prefix at least 6");
  }
  if (const auto whole = from_base32(id)) return {*whole, *whole};
  const std::size_t missing = id_length - id.size();
  const auto low = from_base32(std::string(id) + std::string(missing, '0'));
  const auto high = from_base32(std::string(id) + std::string(missing, 'z'));
  if (!low || !high) {
    throw Error(ErrorCode::invalid, "id " + std::string(id) + ": not Crockford base32");
  }
  return {*low, *high};
}

std::string cursor_text(char kind, std::size_t segment, const std::string& at) {
  return std::string(1, kind) + std::to_string(segment) + "." + at;
}

// Where a listing goes on: in which of the segments, and behind what.
struct ListCursor {
  bool is_private = false;
  std::size_t segment = 0;
  std::string at;
};

[[noreturn]] void bad_cursor(const std::string& text) {
  throw Error(ErrorCode::invalid,
              "cursor " + text.substr(0, 64) + ": not one that a list gave out");
}

ListCursor parse_cursor(const std::string& text) {
  const std::size_t dot = text.find('.');
  if (text.size() < 3 || dot == std::string::npos || (text[0] != 's' && text[0] != 'p')) {
    bad_cursor(text);
  }
  ListCursor cursor{text[0] == 'p', 0, text.substr(dot + 1)};
  const auto parsed = std::from_chars(text.data() + 1, text.data() + dot, cursor.segment);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + dot) bad_cursor(text);
  return cursor;
}

std::uint64_t parse_sequence(const std::string& cursor, const std::string& text) {
  std::uint64_t sequence = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), sequence);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) bad_cursor(cursor);
  return sequence;
}

// Records of the shared segments, newest local sequence first, below `before`. Returns the sequence
// to go on below, absent when there is no more.
std::optional<std::uint64_t> list_shared(const Core& core, const std::vector<SegmentNumber>& wanted,
                                         std::optional<std::uint64_t> before, std::size_t limit,
                                         std::vector<Record>& out, DamageMet& damage) {
  AuthorNames names(core);
  const auto is_wanted = [&](SegmentNumber segment) {
    return std::find(wanted.begin(), wanted.end(), segment) != wanted.end();
  };
  return core.shared.read([&](const SharedReader& reader) -> std::optional<std::uint64_t> {
    lmdb::Cursor cursor = reader.txn().cursor(table::rec, lmdb::Damage::mark);
    bool on = false;
    if (before) {
      on = cursor.seek(TableKey().u64(*before)) ? cursor.previous() : cursor.last();
    } else {
      on = cursor.last();
    }
    for (; on; on = cursor.previous()) {
      const auto found = sound_row(core, cursor, is_wanted, damage);
      if (!found || !is_wanted(found->segment)) continue;
      const std::uint64_t sequence = load_u64(cursor.key().data());
      // Listed by its newest dot.
      auto record = newest_record_of(core, names, reader, *found, sequence);
      if (!record) continue;
      if (out.size() == limit) return sequence + 1;
      out.push_back(std::move(*record));
    }
    return std::nullopt;
  });
}

[[noreturn]] void refuse_damaged(const Core& core, const std::string& what,
                                 const std::vector<StoredDot>& dots) {
  for (const StoredDot& dot : dots) {
    if (dot.is_damaged) core.shared.damage().note(dot.sequence);
  }
  throw Error(ErrorCode::damaged, what + ": cannot be read; `loam doctor` says more");
}

}  // namespace

std::optional<RecordRow> sound_row(const Core& core, const lmdb::Cursor& at,
                                   const std::function<bool(SegmentNumber)>& is_wanted,
                                   DamageMet& damage) {
  if (!at.is_damaged() && at.value().size() >= record_row_octets) {
    return decode_record_row(at.value());
  }
  const std::uint64_t sequence = load_u64(at.key().data());
  core.shared.damage().note(sequence);
  const auto& known = core.shared.numbers();
  const SegmentNumber segment = at.value().size() < 2 ? 0 : load_u16(at.value().data());
  const bool is_known = std::find(known.begin(), known.end(), segment) != known.end();
  if (!is_known || is_wanted(segment)) damage.shared.insert(sequence);
  return std::nullopt;
}

// ---------------------------------------------------------------- authors

AuthorNames::AuthorNames(const Core& core)
    : core_(core), registry_(core.shared.number(std::string(registry_segment))) {
  names_[core.identity.id] = core.identity.name;
}

const std::string& AuthorNames::of(const SharedReader& reader, const InstanceId& instance) {
  const auto known = names_.find(instance);
  if (known != names_.end()) return known->second;
  std::string name = instance.text();
  const auto dots = reader.dots_of(registry_, instance.text());
  if (!dots.empty() && !dots.back().is_damaged) {
    const MapRecord entry = decode_map_record(dots.back().record);
    if (entry.value) {
      const Value value = decode(*entry.value);
      if (is_name(value.text("name"))) name = value.text("name");
    }
  }
  return names_.emplace(instance, std::move(name)).first->second;
}

// ---------------------------------------------------------------- records

namespace {

// The set segments of a scope with their numbers, in the order in which they are declared.
template <class Each>
void for_sets(const Core& core, Scope scope, Each&& each) {
  for (const Segment& segment : core.segments.all()) {
    if (segment.kind == Kind::set && segment.scope == scope && !each(segment)) return;
  }
}

// A whole id is of one record only: an element's id is a hash over its segment and its content.
std::optional<RecordAddress> find_shared(const Core& core, const SharedReader& reader,
                                         const ElementId& element) {
  std::optional<RecordAddress> found;
  for_sets(core, Scope::shared, [&](const Segment& segment) {
    if (reader.has_dots(core.shared.number(segment.name), element)) found = {&segment, element, {}};
    return !found;
  });
  return found;
}

std::optional<RecordAddress> find_private(const Core& core, const std::array<std::byte, 16>& id) {
  std::optional<RecordAddress> found;
  for_sets(core, Scope::priv, [&](const Segment& segment) {
    if (core.priv.get(core.priv.number(segment.name), PacketId{id})) found = {&segment, {}, PacketId{id}};
    return !found;
  });
  return found;
}

std::optional<RecordAddress> find_prefix(const Core& core, std::string_view id,
                                         const IdBounds& bounds) {
  std::vector<RecordAddress> found;
  core.shared.read([&](const SharedReader& reader) {
    for_sets(core, Scope::shared, [&](const Segment& segment) {
      for (const ElementId& element :
           reader.elements_between(core.shared.number(segment.name), ElementId{bounds.low},
                                   ElementId{bounds.high}, 2)) {
        found.push_back({&segment, element, {}});
      }
      return true;
    });
    return 0;
  });
  for_sets(core, Scope::priv, [&](const Segment& segment) {
    for (const PrivateRecord& record :
         core.priv.between(core.priv.number(segment.name), PacketId{bounds.low},
                           PacketId{bounds.high}, 2)) {
      found.push_back({&segment, {}, record.id});
    }
    return true;
  });
  if (found.empty()) return std::nullopt;
  if (found.size() > 1) {
    throw Error(ErrorCode::invalid, "id " + std::string(id) +
                                        ": fits several records, among them " + found[0].id() +
                                        " and " + found[1].id());
  }
  return found.front();
}

Record record_of_dots(const Core& core, const SharedReader& reader, const Segment& segment,
                      const ElementId& element, const std::vector<StoredDot>& dots) {
  if (has_damage(dots)) refuse_damaged(core, "record " + element.text(), dots);
  AuthorNames names(core);
  return record_of(core, names, reader, segment, element, dots);
}

}  // namespace

std::optional<RecordAddress> find_record(const Core& core, std::string_view id) {
  const IdBounds bounds = bounds_of(id);
  if (id.size() < id_length) return find_prefix(core, id, bounds);
  const auto found = core.shared.read(
      [&](const SharedReader& reader) { return find_shared(core, reader, {bounds.low}); });
  return found ? found : find_private(core, bounds.low);
}

std::vector<std::optional<RecordAddress>> find_records(const Core& core,
                                                       std::span<const std::string> ids) {
  std::vector<std::optional<RecordAddress>> found(ids.size());
  core.shared.read([&](const SharedReader& reader) {
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const IdBounds bounds = bounds_of(ids[i]);
      if (ids[i].size() == id_length) found[i] = find_shared(core, reader, {bounds.low});
    }
    return 0;
  });
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!found[i]) found[i] = find_record(core, ids[i]);
  }
  return found;
}

std::optional<Record> find_and_read(const Core& core, std::string_view id) {
  if (id.size() == id_length) {
    const ElementId element{bounds_of(id).low};
    std::optional<Record> record = core.shared.read([&](const SharedReader& reader) {
      std::optional<Record> found;
      for_sets(core, Scope::shared, [&](const Segment& segment) {
        const auto dots = reader.dots_of(core.shared.number(segment.name), element);
        if (!dots.empty()) found = record_of_dots(core, reader, segment, element, dots);
        return !found;
      });
      return found;
    });
    if (record) return record;
  }
  const auto address = find_record(core, id);
  return address ? read_record(core, *address) : std::nullopt;
}

Record record_of(const Core&, AuthorNames& names, const SharedReader& reader,
                 const Segment& segment, const ElementId& element,
                 const std::vector<StoredDot>& dots) {
  std::vector<RecordSource> sources;
  for (const StoredDot& dot : dots) {
    sources.push_back({names.of(reader, dot.author), dot.author, dot.record});
  }
  return merge_record(segment.name, element.text(), sources);
}

Record record_of(const Core& core, const Segment& segment, const PrivateRecord& record) {
  const RecordSource source{core.identity.name, core.identity.id, record.record};
  return merge_record(segment.name, record.id.text(), {&source, 1});
}

std::optional<Record> newest_record_of(const Core& core, AuthorNames& names,
                                       const SharedReader& reader, const RecordRow& row,
                                       std::uint64_t sequence) {
  const Segment& segment = core.segments.find(core.shared.name(row.segment));
  if (reader.is_only_dot(row.segment, row.element, sequence)) {
    const InstanceId author = reader.actor(row.actor).author;
    const RecordSource source{names.of(reader, author), author, row.record};
    return merge_record(segment.name, row.element.text(), {&source, 1});
  }
  const auto dots = reader.dots_of(row.segment, row.element);
  if (has_damage(dots)) return std::nullopt;  // counted where its row stands
  if (dots.empty() || dots.back().sequence != sequence) return std::nullopt;
  return record_of(core, names, reader, segment, row.element, dots);
}

std::optional<Record> read_record(const Core& core, const RecordAddress& address) {
  const Segment& segment = *address.segment;
  if (segment.scope == Scope::priv) {
    const auto record = core.priv.get(core.priv.number(segment.name), address.packet);
    if (!record) return std::nullopt;
    if (record->is_damaged) refuse_damaged(core, "record " + address.id(), {});
    return record_of(core, segment, *record);
  }
  const SegmentNumber number = core.shared.number(segment.name);
  return core.shared.read([&](const SharedReader& reader) -> std::optional<Record> {
    const auto dots = reader.dots_of(number, address.element);
    if (dots.empty()) return std::nullopt;
    return record_of_dots(core, reader, segment, address.element, dots);
  });
}

RecordPage list_records(const Core& core, const ListQuery& query) {
  constexpr std::size_t limit_max = 10'000;
  if (query.limit == 0 || query.limit > limit_max) {
    throw Error(ErrorCode::limit, "list: limit " + std::to_string(query.limit) +
                                      ", allowed are 1 to " + std::to_string(limit_max));
  }
  std::vector<SegmentNumber> shared;
  std::vector<const Segment*> priv;
  const auto take = [&](const Segment& segment) {
    if (segment.scope == Scope::shared) {
      shared.push_back(core.shared.number(segment.name));
    } else {
      priv.push_back(&segment);
    }
  };
  if (query.segment.empty()) {
    for (const Segment& segment : core.segments.all()) {
      if (segment.kind == Kind::set) take(segment);
    }
  } else {
    take(core.segment(query.segment, Kind::set));
  }

  ListCursor cursor;
  if (!query.cursor.empty()) cursor = parse_cursor(query.cursor);
  RecordPage page;
  DamageMet damage;
  if (!cursor.is_private && !shared.empty()) {
    std::optional<std::uint64_t> before;
    if (!cursor.at.empty()) before = parse_sequence(query.cursor, cursor.at);
    if (const auto next = list_shared(core, shared, before, query.limit, page.items, damage)) {
      page.damaged = damage.count();
      page.next = cursor_text('s', 0, std::to_string(*next));
      return page;
    }
    cursor = {};
  }
  for (std::size_t i = cursor.segment; i < priv.size(); ++i) {
    std::optional<PacketId> before;
    if (!cursor.at.empty()) {
      before = PacketId::parse(cursor.at);
      if (!before) bad_cursor(query.cursor);
    }
    cursor.at.clear();
    const std::size_t room = query.limit - page.items.size();
    const auto records = core.priv.newest(core.priv.number(priv[i]->name), before, room + 1);
    for (std::size_t k = 0; k < std::min(room, records.size()); ++k) {
      if (records[k].is_damaged) {
        damage.priv.insert(records[k].id.text());
      } else {
        page.items.push_back(record_of(core, *priv[i], records[k]));
      }
    }
    page.damaged = damage.count();
    if (records.size() > room) {
      const std::string at = room > 0 ? records[room - 1].id.text() : std::string();
      page.next = cursor_text('p', i, at);
      return page;
    }
  }
  page.damaged = damage.count();
  return page;
}

// ---------------------------------------------------------------- entries

std::vector<Entry> read_entries(const Core& core, const Segment& segment, std::string_view key) {
  check_key(key);
  std::vector<Entry> entries;
  const auto add = [&](const Bytes& record, const std::string& author) {
    const MapRecord entry = decode_map_record(record);
    std::optional<Value> value;
    if (entry.value) value = decode(*entry.value);
    entries.push_back({segment.name, entry.key, std::move(value), author, entry.stamp.ms()});
  };
  if (segment.scope == Scope::priv) {
    const auto entry = core.priv.entry(core.priv.number(segment.name), key);
    if (entry && entry->is_damaged) refuse_damaged(core, "key " + std::string(key), {});
    if (entry) add(entry->record, core.identity.name);
    return entries;
  }
  const SegmentNumber number = core.shared.number(segment.name);
  AuthorNames names(core);
  core.shared.read([&](const SharedReader& reader) {
    auto dots = reader.dots_of(number, key);
    if (has_damage(dots)) refuse_damaged(core, "key " + std::string(key), dots);
    std::reverse(dots.begin(), dots.end());
    for (const StoredDot& dot : dots) add(dot.record, names.of(reader, dot.author));
    return 0;
  });
  return entries;
}

KeyPage list_keys(const Core& core, const Segment& segment, std::string_view after,
                  std::size_t limit) {
  constexpr std::size_t limit_max = 10'000;
  if (limit == 0 || limit > limit_max) {
    throw Error(ErrorCode::limit, "keys: limit " + std::to_string(limit) + ", allowed are 1 to " +
                                      std::to_string(limit_max));
  }
  KeyPage page;
  if (segment.scope == Scope::priv) {
    auto entries = core.priv.entries(core.priv.number(segment.name), after, limit + 1);
    if (entries.size() > limit) {
      entries.pop_back();
      page.next = entries.back().key;
    }
    for (PrivateEntry& entry : entries) {
      if (entry.is_damaged) {
        ++page.damaged;
      } else {
        page.items.push_back(std::move(entry.key));
      }
    }
    return page;
  }
  const SegmentNumber number = core.shared.number(segment.name);
  core.shared.read([&](const SharedReader& reader) {
    const TableKey prefix = segment_key(number);
    TableKey start = prefix;
    start.text(after);
    if (!after.empty()) start.u16(behind_key);
    lmdb::Cursor cursor = reader.txn().cursor(table::reg);
    bool on = cursor.seek(start);
    while (on && starts_with(cursor.key(), prefix)) {
      const std::string key(decode_register_key(cursor.key()).key);
      const auto dots = reader.dots_of(number, key);
      const bool is_sound = !has_damage(dots);
      if (!is_sound) {
        ++page.damaged;
        for (const StoredDot& dot : dots) {
          if (dot.is_damaged) core.shared.damage().note(dot.sequence);
        }
      }
      const bool has_value =
          is_sound && !dots.empty() && decode_map_record(dots.back().record).value;
      if (has_value && page.items.size() == limit) {
        page.next = page.items.back();
        break;
      }
      if (has_value) page.items.push_back(key);
      on = cursor.seek(TableKey(prefix).text(key).u16(behind_key));
    }
    return 0;
  });
  return page;
}

}  // namespace loam
