#include "lib/lookup.hpp"

#include <algorithm>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/governed.hpp"
#include "lib/rule_rows.hpp"

namespace loam {
namespace {

constexpr std::size_t prefix_min = 6;
constexpr std::size_t id_length = 26;

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

AuthorNames::AuthorNames(const Core& core) : core_(core) {}

const std::string& AuthorNames::of(const SharedReader& reader, const InstanceId& instance) {
  if (instance == core_.identity.id) return core_.identity.name;
  const auto known = names_.find(instance);
  if (known != names_.end()) return known->second;
  if (!registry_) registry_ = core_.shared.registry(reader);
  const auto entry = registry_ ? registry_->find(instance) : std::nullopt;
  return names_.emplace(instance, entry ? entry->name : instance.text()).first->second;
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

Record record_of_row(AuthorNames& names, const SharedReader& reader, const Segment& segment, const RecordRow& row) {
  const InstanceId author = reader.actor(row.actor).author;
  const RecordSource source{names.of(reader, author), author, row.record};
  return merge_record(segment.name, row.element.text(), {&source, 1});
}

std::optional<Record> read_element(const Core& core, const SharedReader& reader, const Segment& segment,
                                   const ElementId& element) {
  const SegmentNumber number = core.shared.number(segment.name);
  AuthorNames names(core);
  if (const auto row = reader.only_record(number, element)) return record_of_row(names, reader, segment, *row);
  const auto dots = reader.dots_of(number, element);
  if (dots.empty()) return std::nullopt;
  if (has_damage(dots)) refuse_damaged(core, "record " + element.text(), dots);
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
        found = read_element(core, reader, segment, element);
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
    return record_of_row(names, reader, segment, row);
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
  return core.shared.read(
      [&](const SharedReader& reader) { return read_element(core, reader, segment, address.element); });
}

// ---------------------------------------------------------------- entries

namespace {

// The versions of a rule, or of a key of governance_meta, that are in force, the winner first. Throws Error(damaged)
// where one cannot be read: what is in force is not known then.
std::vector<FoldedRule::Head> rule_heads(const Core& core, const SharedReader& reader, const Segment& segment,
                                         std::string_view key) {
  const SegmentNumber number = core.shared.number(segment.name);
  const bool are_rules = segment.name == rules_segment;
  const auto stored = stored_rules(reader, number, key, are_rules);
  std::vector<StoredDot> damaged;
  for (const auto& each : stored) {
    if (each->is_damaged) damaged.push_back({each->version.dot, each->author, each->sequence, {}, {}, true});
  }
  if (!damaged.empty()) refuse_damaged(core, "key " + std::string(key), damaged);
  const auto registry = core.shared.registry(reader);
  RuleRights rights(registry.get(), core.shared.place(number));
  return fold_rule(key, stored, rights, are_rules).heads;
}

}  // namespace

std::vector<StoredDot> current_dots(const Core& core, const SharedReader& reader, SegmentNumber segment,
                                    std::string_view key) {
  const AdmissionPlace place = core.shared.place(segment);
  if (place.segment == rules_segment || place.segment == meta_segment) return reader.all_dots_of(segment, key);
  auto dots = reader.dots_of(segment, key);
  const auto registry = place.is_governed ? core.shared.registry(reader) : nullptr;
  return registry ? standing_dots(reader, *registry, place, segment, dots) : dots;
}

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
    if (holds_rules(segment)) {
      for (const FoldedRule::Head& head : rule_heads(core, reader, segment, key)) {
        const StoredRule& stored = *head.stored;
        entries.push_back({segment.name, std::string(key), stored.value, names.of(reader, stored.author),
                           stored.version.stamp.ms()});
      }
      return 0;
    }
    auto dots = current_dots(core, reader, number, key);
    if (has_damage(dots)) refuse_damaged(core, "key " + std::string(key), dots);
    std::reverse(dots.begin(), dots.end());
    for (const StoredDot& dot : dots) add(dot.record, names.of(reader, dot.author));
    return 0;
  });
  return entries;
}

bool has_value(const Core& core, const SharedReader& reader, const Segment& segment, std::string_view key,
               const std::vector<StoredDot>& dots) {
  if (dots.empty()) return false;
  if (!holds_rules(segment)) return decode_map_record(dots.back().record).value.has_value();
  const auto heads = rule_heads(core, reader, segment, key);
  return !heads.empty() && (heads.front().stored->value || !heads.front().stored->defect.empty());
}

}  // namespace loam
