#include "apps/records.hpp"

#include <algorithm>
#include <boost/json/value.hpp>
#include <iterator>

#include "apps/batch.hpp"
#include "apps/input.hpp"
#include "apps/shapes.hpp"
#include "apps/text.hpp"
#include "apps/time_text.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

constexpr std::size_t text_columns = 60;

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const auto& text : texts) {
    if (!out.empty()) out += ", ";
    out += printable(text);
  }
  return out;
}

std::string heading(const Record& record) {
  return printable_start(record.title.empty() ? record.text : record.title, text_columns);
}

void print_list(const std::vector<Record>& records, Output& out) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& record : records) {
    rows.push_back({record.id, record.segment, print_time(record.updated_ms),
                    joined(record.authors), heading(record)});
  }
  out.write(table(rows));
}

void print_record(const Record& record, Output& out) {
  std::vector<std::vector<std::string>> rows{{"id", record.id},
                                             {"segment", record.segment},
                                             {"type", printable(record.type)},
                                             {"authors", joined(record.authors)},
                                             {"created", print_time(record.created_ms)},
                                             {"updated", print_time(record.updated_ms)}};
  const auto add = [&rows](const char* name, const std::string& value) {
    if (!value.empty()) rows.push_back({name, value});
  };
  add("title", printable(record.title));
  add("tags", joined(record.tags));
  add("thread", printable(record.thread_id));
  add("supersedes", joined(record.supersedes));
  if (record.expires_at_ms != 0) add("expires", print_time(record.expires_at_ms));
  if (record.confidence) add("confidence", serialized(record.confidence->score));
  if (record.retracted) add("state", "retracted");
  for (const auto& word : record.provenance) {
    add("said by", printable(word.author) + " at " + print_time(word.at_ms) +
                       (word.agent.empty() ? "" : " through " + printable(word.agent)) +
                       (word.source.empty() ? "" : " from " + printable(word.source)));
  }
  out.write(table(rows) + printable_block(record.text) + "\n");
}

void tell_damage(std::uint64_t records) {
  if (records == 0) return;
  say("left out, because they cannot be read: " + std::to_string(records) +
      " records; `loam doctor` says more");
}

void print_hits(const RecallResult& result, const command::Recall& recall, Output& out) {
  for (const auto& hit : result.items) {
    const Record& record = hit.record;
    out.write(record.id + "  " + record.segment + "  " + joined(record.authors) + "  " +
              print_time(record.updated_ms) + "  score " + serialized(hit.score) + "\n");
    if (!record.title.empty()) out.write("  " + printable_start(record.title, text_columns) + "\n");
    out.write("  " + printable_start(record.text, 3 * text_columns) + "\n");
    if (recall.query.explain) out.write("  why " + printable(serialized(to_json(hit.why))) + "\n");
  }
  if (result.items.empty()) say("nothing found");
  if (result.coverage.unindexed > 0) {
    say("not yet searched: " + std::to_string(result.coverage.unindexed) + " records");
  }
  tell_damage(result.coverage.damaged);
  if (result.coverage.partial) say("not answering: " + joined(result.coverage.unreachable));
  if (result.next) say("more with --offset " + *result.next);
}

/// The names of segments as they are stored, each once. Throws Error(unknown_segment).
std::vector<std::string> stored_names(const Memory& memory, const std::vector<std::string>& given) {
  std::vector<std::string> names;
  for (const auto& text : given) {
    const std::string& name = memory.segments().find(text).name;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

/// Where the list of several segments stopped: `segment:cursor`.
struct Place {
  std::size_t segment = 0;
  std::string cursor;
};

Place place_of(const std::string& cursor, const std::vector<std::string>& names) {
  if (cursor.empty()) return {};
  const auto colon = cursor.find(':');
  const auto found = std::find(names.begin(), names.end(), cursor.substr(0, colon));
  if (colon == std::string::npos || found == names.end()) {
    throw Error(ErrorCode::invalid, "--cursor: not of a list of these segments");
  }
  return {static_cast<std::size_t>(found - names.begin()), cursor.substr(colon + 1)};
}

/// One segment after the other.
RecordPage page_of_several(const Memory& memory, const std::vector<std::string>& names,
                           const command::List& list) {
  Place place = place_of(list.cursor, names);
  RecordPage all;
  for (; place.segment < names.size(); ++place.segment, place.cursor.clear()) {
    const std::string& name = names[place.segment];
    const std::size_t room = list.limit - all.items.size();
    if (room == 0) {
      all.next = name + ":";
      break;
    }
    RecordPage page = memory.list({.segment = name, .limit = room, .cursor = place.cursor});
    std::move(page.items.begin(), page.items.end(), std::back_inserter(all.items));
    all.damaged += page.damaged;
    if (page.next) {
      all.next = name + ":" + *page.next;
      break;
    }
  }
  return all;
}

RecordPage page_of(const Memory& memory, const command::List& list) {
  const auto names = stored_names(memory, list.segments);
  if (names.size() > 1) return page_of_several(memory, names, list);
  const std::string segment = names.empty() ? std::string() : names.front();
  return memory.list({.segment = segment, .limit = list.limit, .cursor = list.cursor});
}

}  // namespace

int run(const command::Remember& remember, const Shell& shell) {
  if (remember.batch) return run_batch(remember, shell);
  Memory memory = open_memory(shell);
  if (remember.packet) {
    const std::string json = read_whole(*remember.packet, line_octets_max);
    answer(shell, memory.write(packet_from_json(json)));
    return 0;
  }
  NewRecord record = remember.record;
  record.text = text_argument(record.text);
  answer(shell, memory.remember(record));
  return 0;
}

int run(const command::Recall& recall, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const RecallResult result = memory.recall(recall.query);
  if (shell.json) {
    shell.out.write_line(shape(result));
  } else {
    print_hits(result, recall, shell.out);
  }
  return 0;
}

int run(const command::Get& get, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const auto record = memory.get(get.id);
  if (!record) throw Error(ErrorCode::not_found, "record " + get.id + ": none has this id");
  if (shell.json) {
    shell.out.write_line(shape(*record));
  } else {
    print_record(*record, shell.out);
  }
  return 0;
}

int run(const command::List& list, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const RecordPage page = page_of(memory, list);
  if (shell.json) {
    boost::json::array items;
    for (const auto& record : page.items) items.push_back(shape(record));
    shell.out.write_line(
        boost::json::object{{"items", std::move(items)},
                            {"next", cursor_shape(page.next)},
                            {"coverage", boost::json::object{{"damaged", page.damaged}}}});
    return 0;
  }
  print_list(page.items, shell.out);
  if (page.items.empty()) say("no records");
  tell_damage(page.damaged);
  if (page.next) say("more with --cursor " + *page.next);
  return 0;
}

int run(const command::Revise& revise, const Shell& shell) {
  Memory memory = open_memory(shell);
  answer(shell, memory.revise(revise.id, text_argument(revise.text)));
  return 0;
}

}  // namespace loam::cli
