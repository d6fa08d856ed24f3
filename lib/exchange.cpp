#include <boost/json.hpp>
#include <utility>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/export_line.hpp"
#include "lib/json_value.hpp"
#include "lib/lookup.hpp"
#include "lib/memory_impl.hpp"
#include "lib/packet_json.hpp"
#include "lib/quarantine.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

namespace json = boost::json;

constexpr std::size_t export_page = 1'000;
constexpr std::size_t import_group = 1'000;
constexpr std::size_t line_octets_max = std::size_t{2} << 20;

json::array texts(const std::vector<std::string>& list) {
  json::array array;
  for (const std::string& text : list) array.emplace_back(text);
  return array;
}

void put_text(json::object& object, const char* key, const std::string& text) {
  if (!text.empty()) object[key] = text;
}

// A record as an envelope, so that whoever reads envelopes reads it.
json::object envelope_of(const Record& record, Scope scope) {
  json::object packet{{"packet_type", record.type},
                      {"segment", record.segment},
                      {"payload", to_json(Value(record.payload))},
                      {"timestamp_ms", record.created_ms}};
  // A private record is known by its packet id: importing it again finds it.
  if (scope == Scope::priv) packet["packet_id"] = record.id;
  if (!record.tags.empty()) packet["tags"] = texts(record.tags);
  if (!record.metadata.empty()) packet["metadata"] = to_json(Value(record.metadata));
  if (!record.provenance.empty() && !record.provenance.front().source.empty()) {
    packet["provenance"] = json::object{{"source", record.provenance.front().source}};
  }
  if (record.confidence) {
    json::object confidence{{"score", record.confidence->score}};
    put_text(confidence, "rationale", record.confidence->rationale);
    packet["confidence"] = std::move(confidence);
  }
  put_text(packet, "thread_id", record.thread_id);
  if (record.expires_at_ms != 0) packet["expires_at_ms"] = record.expires_at_ms;
  return packet;
}

}  // namespace

std::string export_line(const Record& record, Scope scope) {
  return json::serialize(json::object{{"id", record.id},
                                      {"authors", texts(record.authors)},
                                      {"packet", envelope_of(record, scope)}});
}

std::string export_line(const Entry& entry) {
  return json::serialize(json::object{{"segment", entry.segment},
                                      {"key", entry.key},
                                      {"value", to_json(*entry.value)},
                                      {"author", entry.author},
                                      {"at_ms", entry.at_ms}});
}

namespace {

void export_set(const Core& core, const Segment& segment,
                const std::function<void(std::string_view)>& sink, ExportReport& report) {
  ListQuery query{segment.name, export_page, {}};
  while (true) {
    const RecordPage page = list_records(core, query);
    for (const Record& record : page.items) {
      sink(export_line(record, segment.scope));
    }
    report.written += page.items.size();
    report.damaged += page.damaged;
    if (!page.next) return;
    query.cursor = *page.next;
  }
}

// The winner of a key; absent: there is none any more. A key is left out when any of its
// assignments cannot be read, for then nobody knows which one wins.
std::optional<Entry> exported_entry(const Core& core, const Segment& segment,
                                    const std::string& key, ExportReport& report) {
  try {
    auto entries = read_entries(core, segment, key);
    if (entries.empty() || !entries.front().value) return std::nullopt;
    return std::move(entries.front());
  } catch (const Error& error) {
    if (error.code() != ErrorCode::damaged) throw;
    ++report.damaged;
    return std::nullopt;
  }
}

void export_map(const Core& core, const Segment& segment,
                const std::function<void(std::string_view)>& sink, ExportReport& report) {
  std::string after;
  while (true) {
    const KeyPage page = list_keys(core, segment, after, export_page);
    for (const std::string& key : page.items) {
      const auto entry = exported_entry(core, segment, key, report);
      if (!entry) continue;
      sink(export_line(*entry));
      ++report.written;
    }
    report.damaged += page.damaged;
    if (!page.next) return;
    after = *page.next;
  }
}

// Which segments an export is of; private ones only when they were asked for.
std::vector<const Segment*> exported_segments(const ExportQuery& query, const SegmentTable& table) {
  std::vector<const Segment*> segments;
  if (query.segments.empty()) {
    for (const Segment& segment : table.all()) {
      const bool wanted =
          segment.scope == Scope::shared ? segment.name != registry_name : query.include_private;
      if (wanted) segments.push_back(&segment);
    }
    return segments;
  }
  for (const std::string& name : query.segments) {
    const Segment& segment = table.find(name);
    if (segment.scope == Scope::priv && !query.include_private) {
      throw Error(ErrorCode::denied, "export: segment " + segment.name +
                                         " is private: ask for private segments explicitly");
    }
    segments.push_back(&segment);
  }
  return segments;
}

const Map& map_of(const Value& value, const char* what) {
  if (const auto* map = value.get<Map>()) return *map;
  throw Error(ErrorCode::invalid, std::string("import: ") + what + " is not an object");
}

std::string claimed_authors(const Map& line) {
  std::string claimed;
  const auto add = [&](const Value& author) {
    const auto* name = author.get<std::string>();
    if (!name) return;
    if (!claimed.empty()) claimed += ", ";
    claimed += *name;
  };
  const Value* authors = find(line, "authors");
  if (const Array* list = authors ? authors->get<Array>() : nullptr) {
    for (const Value& author : *list) add(author);
  }
  if (const Value* author = find(line, "author")) add(*author);
  return claimed;
}

// One line of an export as something to write.
struct Imported {
  PlannedWrite write;
  bool existing = false;
};

// What `export_records` wrote, or a plain envelope. Not held to the size of an envelope: what could
// be written here can be written again.
PacketEnvelope imported_packet(const Map& line) {
  const Value* wrapped = find(line, "packet");
  if (!wrapped) return packet_from_map(line);
  PacketEnvelope packet = packet_from_map(map_of(*wrapped, "packet"));
  if (packet.provenance.source_agent.empty()) {
    packet.provenance.source_agent = claimed_authors(line);
  }
  return packet;
}

Imported plan_import(const Core& core, const std::string& text) {
  const Value value = parse_json(text, {.octets_max = line_octets_max});
  const Map& line = map_of(value, "the line");
  Imported imported;
  if (const Value* key = find(line, "key")) {
    const Value* assigned = find(line, "value");
    const auto segment = text_at(line, "segment");
    if (!key->get<std::string>() || segment.empty() || !assigned) {
      throw Error(ErrorCode::invalid, "import: an entry needs segment, key and value");
    }
    PlannedWrite& write = imported.write;
    write.segment = &core.segment(segment, Kind::map);
    write.key = *key->get<std::string>();
    write.value = value_octets(*assigned);
    // An old export must not overrule what has been decided since.
    imported.existing = !read_entries(core, *write.segment, write.key).empty();
    return imported;
  }
  imported.write = plan_write(stores_of(core), imported_packet(line));
  if (find(line, "packet")) imported.write.given_id.reset();  // a record to have, not a retry
  const Segment& segment = *imported.write.segment;
  if (segment.kind == Kind::set && segment.scope == Scope::shared) {
    const ElementId element = element_of(segment.name, imported.write.parts.content);
    const SegmentNumber number = core.shared.number(segment.name);
    imported.existing = core.shared.read(
        [&](const SharedReader& reader) { return !reader.dots_of(number, element).empty(); });
  }
  return imported;
}

}  // namespace

ExportReport Memory::export_records(const ExportQuery& query,
                                    const std::function<void(std::string_view line)>& sink) const {
  ExportReport report;
  // Those that were forgotten because they cannot be read are damaged still, until a peer sends
  // them.
  report.damaged = impl_->core.shared.read(quarantine_counts).open;
  for (const Segment* segment : exported_segments(query, impl_->core.segments)) {
    const auto export_segment = segment->kind == Kind::set ? export_set : export_map;
    export_segment(impl_->core, *segment, sink, report);
  }
  return report;
}

ImportReport Memory::import_records(const std::function<std::optional<std::string>()>& next_line,
                                    bool dry_run,
                                    const std::function<void(std::uint64_t)>& progress) {
  Core& core = impl_->core;
  ImportReport report;
  std::vector<PlannedWrite> group;
  std::uint64_t lines = 0;
  const auto write_group = [&] {
    if (group.empty()) return;
    const auto promise = std::make_shared<std::promise<std::vector<Receipt>>>();
    submit_writes(core, std::exchange(group, {}),
                  [promise](std::vector<Receipt> receipts, std::exception_ptr failure) {
                    failure ? promise->set_exception(failure)
                            : promise->set_value(std::move(receipts));
                  });
    for (const Receipt& receipt : promise->get_future().get()) {
      receipt.existing ? ++report.existing : ++report.written;
    }
  };
  while (const auto line = next_line()) {
    ++lines;
    if (line->empty()) continue;
    try {
      Imported imported = plan_import(core, *line);
      if (imported.existing) {
        ++report.existing;
      } else if (dry_run) {
        ++report.written;
      } else {
        group.push_back(std::move(imported.write));
      }
    } catch (const Error& error) {
      report.refused.emplace_back(lines, error.what());
    }
    if (group.size() >= import_group) write_group();
    if (progress && lines % import_group == 0) progress(lines);
  }
  write_group();
  if (progress) progress(lines);
  return report;
}

}  // namespace loam
