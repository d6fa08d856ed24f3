#include "tests/sim/model.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "crdt/record.hpp"

namespace loam::sim {

void Counters::insert(std::uint64_t first, std::uint64_t last) {
  auto at = spans_.upper_bound(first);
  if (at != spans_.begin()) {
    const auto before = std::prev(at);
    if (before->second + 1 >= first) {
      first = before->first;
      last = std::max(last, before->second);
      spans_.erase(before);
    }
  }
  while (at != spans_.end() && at->first <= last + 1) {
    last = std::max(last, at->second);
    at = spans_.erase(at);
  }
  spans_[first] = last;
}

void Counters::insert(const Counters& other) {
  for (const auto& [first, last] : other.spans_) insert(first, last);
}

Counters Counters::minus(const Counters& other) const {
  Counters left;
  for (const auto& [begin, last] : spans_) {
    std::uint64_t first = begin;
    bool is_left = true;
    for (const auto& [taken, end] : other.spans_) {
      if (end < first || taken > last) continue;
      if (taken > first) left.insert(first, taken - 1);
      if (end >= last) {
        is_left = false;
        break;
      }
      first = end + 1;
    }
    if (is_left) left.insert(first, last);
  }
  return left;
}

bool Counters::contains(std::uint64_t counter) const {
  const auto at = spans_.upper_bound(counter);
  return at != spans_.begin() && std::prev(at)->second >= counter;
}

Dots dots_of(const Context& context) {
  Dots dots;
  for (const auto& [actor, ranges] : context) {
    for (const Range& range : ranges) dots[actor].insert(range.first, range.last);
  }
  return dots;
}

void insert(Dots& dots, const Dot& dot) { dots[dot.actor].insert(dot.counter); }

void insert(Dots& dots, const Dots& others) {
  for (const auto& [actor, counters] : others) dots[actor].insert(counters);
}

bool contains(const Dots& dots, const Dot& dot) {
  const auto at = dots.find(dot.actor);
  return at != dots.end() && at->second.contains(dot.counter);
}

bool contains(const Dots& dots, const Dots& others) {
  return std::all_of(others.begin(), others.end(), [&](const auto& other) {
    const auto at = dots.find(other.first);
    return at != dots.end() && at->second.contains(other.second);
  });
}

Dots join(SegmentModel& segment, const Delta& delta, std::vector<std::pair<Dot, Bytes>>& clashes) {
  Dots changed;
  const Dots claimed = dots_of(delta.context);
  for (auto at = segment.live.begin(); at != segment.live.end();) {
    if (!contains(claimed, at->first)) {
      ++at;
      continue;
    }
    const auto theirs = delta.live.find(at->first);
    if (theirs == delta.live.end()) {
      insert(changed, at->first);
      at = segment.live.erase(at);
      continue;
    }
    if (theirs->second != at->second) {
      clashes.emplace_back(*theirs);
      if (content_hash(theirs->second) < content_hash(at->second)) {
        insert(changed, at->first);
        clashes.back().second = std::exchange(at->second, theirs->second);
      }
    }
    ++at;
  }
  for (const auto& [dot, record] : delta.live) {
    if (!contains(segment.covered, dot)) segment.live.emplace(dot, record);
  }
  for (const auto& [actor, counters] : claimed) {
    const Counters fresh = counters.minus(segment.covered[actor]);
    if (!fresh.empty()) changed[actor].insert(fresh);
    segment.covered[actor].insert(counters);
  }
  return changed;
}

bool knows(const StoreModel& store, const std::string& segment, const Dot& dot,
           const ContentHash& content) {
  const auto at = store.segments.find(segment);
  if (at == store.segments.end() || !contains(at->second.covered, dot)) return false;
  const auto live = at->second.live.find(dot);
  if (live == at->second.live.end() || content_hash(live->second) == content) return true;
  return std::any_of(store.kept_aside.begin(), store.kept_aside.end(), [&](const auto& kept) {
    return std::get<0>(kept) == segment && std::get<1>(kept) == dot &&
           content_hash(std::get<2>(kept)) == content;
  });
}

std::string difference(const StoreModel& wanted, const StoreModel& found) {
  if (wanted == found) return {};
  for (const auto& [name, segment] : wanted.segments) {
    const auto at = found.segments.find(name);
    if (at == found.segments.end()) return name + ": the segment is missing";
    const SegmentModel& other = at->second;
    for (const auto& [dot, record] : segment.live) {
      const auto live = other.live.find(dot);
      const std::string which = name + ": dot " + std::to_string(dot.counter);
      if (live == other.live.end()) {
        return which + (contains(other.covered, dot) ? " is dead, and ought to be live"
                                                     : " is missing, and ought to be live");
      }
      if (live->second != record) return which + " has another record";
    }
    for (const auto& [dot, record] : other.live) {
      if (segment.live.contains(dot)) continue;
      return name + ": dot " + std::to_string(dot.counter) +
             (contains(segment.covered, dot) ? " is live again" : " is live, and nobody wrote it");
    }
    if (segment.covered != other.covered) return name + ": another context";
  }
  if (wanted.authors != found.authors) return "other actors or authors";
  if (wanted.positions != found.positions) return "other positions in the journals of peers";
  if (wanted.packets != found.packets) return "other packets are remembered";
  if (wanted.kept_aside != found.kept_aside) return "other records are kept aside";
  if (wanted.held_removals != found.held_removals) return "other removals are held";
  return "other segments";
}

std::vector<Dot> dots_with_content(const SegmentModel& segment, BytesView content) {
  std::vector<Dot> dots;
  for (const auto& [dot, record] : segment.live) {
    if (equal(decode_set_record(record).content, content)) dots.push_back(dot);
  }
  return dots;
}

std::vector<Dot> dots_with_key(const SegmentModel& segment, const std::string& key) {
  std::vector<Dot> dots;
  for (const auto& [dot, record] : segment.live) {
    if (decode_map_record(record).key == key) dots.push_back(dot);
  }
  return dots;
}

std::optional<Dot> winner_of(const SegmentModel& segment, const std::string& key) {
  std::optional<Dot> winner;
  std::uint64_t best = 0;
  for (const Dot& dot : dots_with_key(segment, key)) {
    const std::uint64_t stamp = decode_map_record(segment.live.at(dot)).stamp.value;
    const bool wins =
        !winner || stamp > best ||
        (stamp == best && (dot.actor.bytes > winner->actor.bytes ||
                           (dot.actor == winner->actor && dot.counter > winner->counter)));
    if (!wins) continue;
    winner = dot;
    best = stamp;
  }
  return winner;
}

// ---------------------------------------------------------------- reading back

namespace {

void read_segment(const SharedReader& reader, SegmentNumber number, std::uint64_t known,
                  const std::map<ActorIndex, ActorId>& actors, Readback& back) {
  const SegmentRow row = reader.segment(number);
  SegmentModel& segment = back.model.segments[row.name];
  segment.kind = row.state.kind;
  back.roots[row.name] = row.state.roots;
  const TableKey prefix = segment_key(number);
  const auto each = [&](lmdb::Table table, BytesView from, auto&& visit) {
    lmdb::Cursor cursor = reader.txn().cursor(table);
    for (bool on = cursor.seek(from); on && starts_with(cursor.key(), prefix); on = cursor.next()) {
      visit(cursor.key().subspan(2), cursor.value());
    }
  };
  each(table::ctx, prefix, [&](BytesView key, BytesView value) {
    Counters& counters = segment.covered[actors.at(load_u32(key.data()))];
    for (const Range& range : decode_context_row(value).covered) {
      counters.insert(range.first, range.last);
    }
  });
  each(table::dot, prefix, [&](BytesView key, BytesView value) {
    if (key.size() != dot_key_octets - 2) return;  // a batch
    const Dot dot{actors.at(load_u32(key.data())), load_u64(key.data() + 4)};
    segment.live.emplace(dot, copy_of(reader.record(decode_dot_row(value).sequence).record));
  });
  JournalModel& journal = back.journals[row.name];
  journal.id = row.state.journal;
  journal.floor = row.state.floor;
  journal.head = row.state.head;
  each(table::jrnl, journal_key(number, known + 1), [&](BytesView key, BytesView value) {
    const JournalRow entry = decode_journal_row(value);
    JournalEntry& read = journal.entries[load_u64(key.data())];
    read.origin = entry.origin;
    for (const auto& [actor, ranges] : entry.changed) {
      for (const Range& range : ranges) {
        read.changed[actors.at(actor)].insert(range.first, range.last);
      }
    }
  });
}

}  // namespace

Readback read_back(const SharedStore& store, const std::map<std::string, std::uint64_t>& known) {
  return store.read([&](const SharedReader& reader) {
    Readback back;
    std::map<ActorIndex, ActorId> actors;
    const auto each = [&](lmdb::Table table, auto&& visit) {
      lmdb::Cursor cursor = reader.txn().cursor(table);
      for (bool on = cursor.first(); on; on = cursor.next()) visit(cursor.key(), cursor.value());
    };
    each(table::actors, [&](BytesView key, BytesView value) {
      const ActorRow row = decode_actor_row(value);
      actors[load_u32(key.data())] = row.id;
      // Of some only the id is known: something that came names them.
      if (!row.author.is_zero()) back.model.authors[row.id] = row.author;
      if (row.nonce) back.claims[row.id] = ActorClaim(row.author, *row.nonce);
    });
    for (const SegmentNumber number : store.numbers()) {
      const auto at = known.find(store.name(number));
      read_segment(reader, number, at == known.end() ? 0 : at->second, actors, back);
    }
    each(table::positions, [&](BytesView key, BytesView value) {
      const SegmentNumber number = load_u16(key.data() + 16);
      back.model.positions[{*StoreId::from(key.first(16)), store.name(number)}] =
          decode_position(value);
    });
    each(table::packets, [&](BytesView key, BytesView value) {
      back.model.packets[*PacketId::from(key)] = std::string(text_of(value));
    });
    for (const HeldItem& item : reader.held(HeldReason::equivocation)) {
      const auto& [actor, counters] = item.row.dots.at(0);
      back.model.kept_aside.emplace(store.name(item.row.segment),
                                    Dot{actors.at(actor), counters.highest()}, item.row.record);
    }
    for (const HeldItem& item : reader.held(HeldReason::removal)) {
      Dots& dots = back.model.held_removals[{store.name(item.row.segment), item.row.peer}];
      for (const auto& [actor, counters] : item.row.dots) {
        for (const Range& range : counters) dots[actors.at(actor)].insert(range.first, range.last);
      }
    }
    if (const auto clock = reader.txn().get(table::meta, bytes_of(meta::clock))) {
      back.clock = Hlc{load_u64(clock->data())};
    }
    return back;
  });
}

}  // namespace loam::sim
