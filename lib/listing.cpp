#include <algorithm>
#include <charconv>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/lookup.hpp"

// Reading page by page.
namespace loam {
namespace {

// Sorts behind every assignment of a key, whose text ends in 0x00, and before any longer key, whose
// next octet is no control character.
constexpr std::uint16_t behind_key = 0x0100;

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

}  // namespace

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
      const auto dots = current_dots(core, reader, number, key);
      const bool is_sound = !has_damage(dots);
      if (!is_sound) {
        ++page.damaged;
        for (const StoredDot& dot : dots) {
          if (dot.is_damaged) core.shared.damage().note(dot.sequence);
        }
      }
      const bool is_listed = is_sound && has_value(core, reader, segment, key, dots);
      if (is_listed && page.items.size() == limit) {
        page.next = page.items.back();
        break;
      }
      if (is_listed) page.items.push_back(key);
      on = cursor.seek(TableKey(prefix).text(key).u16(behind_key));
    }
    return 0;
  });
  return page;
}

}  // namespace loam
