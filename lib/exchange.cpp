#include <algorithm>
#include <boost/json.hpp>
#include <span>
#include <utility>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/export_line.hpp"
#include "lib/json_value.hpp"
#include "lib/lookup.hpp"
#include "lib/memory_impl.hpp"
#include "lib/packet_json.hpp"
#include "lib/quarantine.hpp"
#include "lib/signed_record.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

namespace json = boost::json;

constexpr std::size_t export_page = 1'000;
constexpr std::size_t import_group = 1'000;
constexpr std::size_t line_octets_max = std::size_t{4} << 20;  // escaped, and as it was signed

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

std::string export_line(const Record& record, Scope scope, const std::string& signed_by) {
  json::object line{{"id", record.id}, {"authors", texts(record.authors)}, {"packet", envelope_of(record, scope)}};
  put_text(line, "signed", signed_by);
  return json::serialize(line);
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
      const auto element = segment.scope == Scope::shared ? ElementId::parse(record.id) : std::nullopt;
      sink(export_line(record, segment.scope, element ? signed_text(core.shared, segment.name, *element) : ""));
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

// One line that was read.
struct ImportLine {
  std::uint64_t number = 0;
  Value value;
  bool has_come = false;  ///< as its authors have signed it
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

Imported plan_import(const Core& core, const Value& value) {
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

// A line with what its authors have signed.
struct SignedLine {
  SegmentNumber segment = 0;
  DeltaFrame frame;
  ImportLine* line = nullptr;
};

// Absent: there is nothing of the kind that could be read; what the line says without it counts.
std::optional<SignedLine> signed_line(const Core& core, ImportLine& line) {
  const auto* map = line.value.get<Map>();
  const Value* text = map ? find(*map, "signed") : nullptr;
  const Value* packet = map ? find(*map, "packet") : nullptr;
  if (text == nullptr || packet == nullptr || !text->get<std::string>() || !packet->get<Map>()) return std::nullopt;
  try {
    const Segment& segment = core.segments.find(text_at(*packet->get<Map>(), "segment"));
    if (segment.scope != Scope::shared || segment.kind != Kind::set) return std::nullopt;
    return SignedLine{core.shared.number(segment.name), parse_signed_text(*text->get<std::string>()), &line};
  } catch (const Error&) {
    return std::nullopt;
  }
}

// In one commit. Throws when one of them cannot be joined at all; nothing is written then.
void join_signed(Core& core, std::span<const SignedLine> lines) {
  std::vector<bool> has_come(lines.size());
  Job job;
  job.shared = [&](SharedBatch& batch) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const DeltaFrame& frame = lines[i].frame;
      has_come[i] = batch.join(lines[i].segment, frame.delta, frame.authors, frame.batches, {}).inserted > 0;
      (void)batch.take_left_out();
    }
  };
  run_job(core, std::move(job));
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i].line->has_come = has_come[i];
}

// A record as its authors have signed it comes in like a peer's. Of another federation, unknown authors or not as it
// was signed: not at all, and then this instance is its author.
void import_signed(Core& core, std::vector<ImportLine>& group) {
  if (!core.shared.identity().root) return;
  std::vector<SignedLine> lines;
  for (ImportLine& line : group) {
    if (auto found = signed_line(core, line)) lines.push_back(std::move(*found));
  }
  if (lines.empty()) return;
  const auto is_bad = [](const Error& error) {
    return error.code() == ErrorCode::untrusted || error.code() == ErrorCode::invalid;
  };
  try {
    return join_signed(core, lines);
  } catch (const Error& error) {
    if (!is_bad(error)) throw;
  }
  for (const SignedLine& line : lines) {  // all but the bad ones
    try {
      join_signed(core, {&line, 1});
    } catch (const Error& error) {
      if (!is_bad(error)) throw;
    }
  }
}

void write_planned(Core& core, std::vector<PlannedWrite> writes, ImportReport& report) {
  if (writes.empty()) return;
  const auto promise = std::make_shared<std::promise<std::vector<Receipt>>>();
  submit_writes(core, std::move(writes), [promise](std::vector<Receipt> receipts, std::exception_ptr failure) {
    failure ? promise->set_exception(failure) : promise->set_value(std::move(receipts));
  }, Caller::waits);
  for (const Receipt& receipt : promise->get_future().get()) {
    receipt.existing ? ++report.existing : ++report.written;
  }
}

void import_lines(Core& core, std::vector<ImportLine> group, bool dry_run, ImportReport& report) {
  if (!dry_run) import_signed(core, group);
  std::vector<PlannedWrite> writes;
  for (const ImportLine& line : group) {
    try {
      Imported imported = plan_import(core, line.value);
      if (imported.existing) {
        line.has_come ? ++report.written : ++report.existing;
      } else if (dry_run) {
        ++report.written;
      } else {
        writes.push_back(std::move(imported.write));
      }
    } catch (const Error& error) {
      report.refused.emplace_back(line.number, error.what());
    }
  }
  write_planned(core, std::move(writes), report);
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
  std::vector<ImportLine> group;
  std::uint64_t lines = 0;
  while (const auto line = next_line()) {
    ++lines;
    if (line->empty()) continue;
    try {
      group.push_back({lines, parse_json(*line, {.octets_max = line_octets_max})});
    } catch (const Error& error) {
      report.refused.emplace_back(lines, error.what());
    }
    if (group.size() >= import_group) import_lines(core, std::exchange(group, {}), dry_run, report);
    if (progress && lines % import_group == 0) progress(lines);
  }
  import_lines(core, std::move(group), dry_run, report);
  std::sort(report.refused.begin(), report.refused.end());
  if (progress) progress(lines);
  return report;
}

}  // namespace loam
