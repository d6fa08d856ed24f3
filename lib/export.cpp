#include <boost/json.hpp>

#include "crdt/error.hpp"
#include "lib/export_line.hpp"
#include "lib/json_value.hpp"
#include "lib/lookup.hpp"
#include "lib/memory_impl.hpp"
#include "lib/quarantine.hpp"
#include "lib/signed_record.hpp"

namespace loam {
namespace {

namespace json = boost::json;

constexpr std::size_t export_page = 1'000;

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

std::string export_line(const Entry& entry, const std::string& signed_by) {
  json::object line{{"segment", entry.segment},
                    {"key", entry.key},
                    {"value", to_json(*entry.value)},
                    {"author", entry.author},
                    {"at_ms", entry.at_ms}};
  put_text(line, "signed", signed_by);
  return json::serialize(line);
}

namespace {

void export_set(const Core& core, const Segment& segment,
                const std::function<void(std::string_view)>& sink, ExportReport& report) {
  ListQuery query{segment.name, export_page, {}};
  const bool is_shared = segment.scope == Scope::shared;
  SignedTexts texts(core.shared, is_shared ? core.shared.number(segment.name) : 0);
  while (true) {
    const RecordPage page = list_records(core, query);
    for (const Record& record : page.items) {
      const auto element = is_shared ? ElementId::parse(record.id) : std::nullopt;
      sink(export_line(record, segment.scope, element ? texts.of(*element) : ""));
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
  const bool is_shared = segment.scope == Scope::shared;
  const SegmentNumber number = is_shared ? core.shared.number(segment.name) : 0;
  SignedTexts texts(core.shared, number);
  const auto signed_by = [&](const std::string& key) {
    return core.shared.read(
        [&](const SharedReader& reader) { return texts.of(reader, current_dots(core, reader, number, key)); });
  };
  while (true) {
    const KeyPage page = list_keys(core, segment, after, export_page);
    for (const std::string& key : page.items) {
      const auto entry = exported_entry(core, segment, key, report);
      if (!entry) continue;
      sink(export_line(*entry, is_shared ? signed_by(key) : ""));
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

}  // namespace

void export_segment(const Core& core, const Segment& segment, const std::function<void(std::string_view)>& sink,
                    ExportReport& report) {
  segment.kind == Kind::set ? export_set(core, segment, sink, report) : export_map(core, segment, sink, report);
}

ExportReport Memory::export_records(const ExportQuery& query,
                                    const std::function<void(std::string_view line)>& sink) const {
  ExportReport report;
  // Those that were forgotten because they cannot be read are damaged still, until a peer sends
  // them.
  report.damaged = impl_->core.shared.read(quarantine_counts).open;
  for (const Segment* segment : exported_segments(query, impl_->core.segments)) {
    export_segment(impl_->core, *segment, sink, report);
  }
  return report;
}

}  // namespace loam
