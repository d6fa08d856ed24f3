#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/export_line.hpp"
#include "lib/json_value.hpp"
#include "lib/lookup.hpp"
#include "lib/memory_impl.hpp"
#include "lib/packet_json.hpp"
#include "lib/readd.hpp"
#include "lib/signed_group.hpp"
#include "lib/signed_record.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

constexpr std::size_t import_group = 1'000;
constexpr std::size_t line_octets_max = std::size_t{4} << 20;  // escaped, and as it was signed

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

/// As whom a line is written: as its authors have signed it where that is so, or always as this instance.
enum class Authorship { kept, own };

Imported plan_import(const Core& core, const Value& value, Authorship authorship) {
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
    // An old export must not overrule what has been decided since; only who wants it all back overrules an erasure.
    const auto entries = read_entries(core, *write.segment, write.key);
    imported.existing = !entries.empty() && (authorship == Authorship::kept || entries.front().value);
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
  if (text == nullptr || !text->get<std::string>()) return std::nullopt;
  const Value* packet = find(*map, "packet");
  const Map* names_segment = packet ? packet->get<Map>() : map;
  if (names_segment == nullptr) return std::nullopt;
  try {
    const Segment& segment = core.segments.find(text_at(*names_segment, "segment"));
    if (segment.scope != Scope::shared || segment.kind != (packet ? Kind::set : Kind::map)) return std::nullopt;
    return SignedLine{core.shared.number(segment.name), parse_signed_text(*text->get<std::string>()), &line};
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_live(const SharedReader& reader, SegmentNumber segment, const DeltaFrame& frame) {
  return std::all_of(frame.delta.live.begin(), frame.delta.live.end(), [&](const auto& record) {
    const Dot& dot = record.first;
    const auto actor = reader.actor_index(dot.actor);
    return actor && reader.txn().get(table::dot, dot_key(segment, *actor, dot.counter));
  });
}

// Joins the lines together, each batch once, or one by one; in one commit. Says of each whether it has come. Throws when
// something cannot be joined at all; nothing is written then.
void join_signed(Core& core, std::span<const SignedLine> lines, bool together) {
  std::map<SegmentNumber, SignedGroup> groups;
  std::vector<const SignedLine*> alone;
  for (const SignedLine& line : lines) {
    if (!together || !groups[line.segment].add(line.frame)) alone.push_back(&line);
  }
  std::vector<bool> has_come(lines.size());
  Job job;
  job.shared = [&](SharedBatch& batch) {
    const auto join = [&](SegmentNumber segment, const DeltaFrame& frame) {
      if (!frame.delta.empty()) (void)batch.join(segment, frame.delta, frame.authors, frame.batches, {});
      (void)batch.take_left_out();
    };
    const auto is_there = [&](const SignedLine& line) { return is_live(batch.reader(), line.segment, line.frame); };
    for (std::size_t i = 0; i < lines.size(); ++i) has_come[i] = !is_there(lines[i]);
    for (const auto& [segment, group] : groups) join(segment, group.frame());
    for (const SignedLine* line : alone) join(line->segment, line->frame);
    // What else is in a batch may be why it was refused.
    for (const SignedLine& line : lines) {
      if (together && !is_there(line)) join(line.segment, line.frame);
    }
    for (std::size_t i = 0; i < lines.size(); ++i) has_come[i] = has_come[i] && is_there(lines[i]);
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
  const auto is_joined = [&](std::span<const SignedLine> some, bool together) {
    try {
      join_signed(core, some, together);
      return true;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::untrusted && error.code() != ErrorCode::invalid) throw;
      return false;
    }
  };
  if (is_joined(lines, true)) return;
  for (const SignedLine& line : lines) (void)is_joined({&line, 1}, false);  // all but the bad ones
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

void import_lines(Core& core, std::vector<ImportLine> group, bool dry_run, ImportReport& report,
                  Authorship authorship = Authorship::kept) {
  if (!dry_run && authorship == Authorship::kept) import_signed(core, group);
  std::vector<PlannedWrite> writes;
  for (const ImportLine& line : group) {
    try {
      Imported imported = plan_import(core, line.value, authorship);
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

namespace {

std::vector<const Segment*> readded_segments(const std::vector<std::string>& names, const SegmentTable& table) {
  std::vector<const Segment*> segments;
  for (const Segment& segment : table.all()) {
    const bool is_one = segment.scope == Scope::shared && !segment.governed && segment.name != registry_name;
    if (names.empty() && is_one) segments.push_back(&segment);
  }
  for (const std::string& name : names) {
    const Segment& segment = table.find(name);
    if (segment.scope != Scope::shared || segment.name == registry_name) {
      throw Error(ErrorCode::denied, "restore: segment " + segment.name + " cannot be written anew");
    }
    segments.push_back(&segment);
  }
  return segments;
}

}  // namespace

ImportReport readd(Core& into, const Core& from, const std::vector<std::string>& segments,
                   const std::function<void(std::uint64_t)>& progress) {
  ImportReport report;
  ExportReport read;
  std::vector<ImportLine> group;
  std::uint64_t lines = 0;
  const auto write_group = [&] {
    import_lines(into, std::exchange(group, {}), false, report, Authorship::own);
    if (progress) progress(lines);
  };
  const auto take = [&](std::string_view line) {
    group.push_back({++lines, parse_json(line, {.octets_max = line_octets_max})});
    if (group.size() >= import_group) write_group();
  };
  for (const Segment* segment : readded_segments(segments, into.segments)) {
    export_segment(from, *segment, take, read);
  }
  write_group();
  if (read.damaged > 0) report.refused.emplace_back(0, std::to_string(read.damaged) + " cannot be read");
  return report;
}

}  // namespace loam
