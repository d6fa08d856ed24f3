#include "apps/exchange.hpp"

#include <boost/json/value.hpp>
#include <set>

#include "apps/input.hpp"

namespace loam::cli {
namespace {

/// The longest line of an import: a record of the greatest size, every octet of it escaped.
constexpr std::size_t import_octets_max = std::size_t{4} << 20;

constexpr const char* journal_hint =
    "the journal lets peers catch up quickly; `loam journal --drop` empties it and loses nothing";

/// Says what an export lacks; the exit code.
int told_damage(const ExportReport& report) {
  if (report.damaged == 0) return 0;
  const Error error(ErrorCode::damaged, "export: " + std::to_string(report.damaged) +
                                            " records or keys cannot be read and are left out; "
                                            "`loam doctor` says more");
  complain(error);
  return exit_code(error.code());
}

int export_items(const Memory& memory, const ExportQuery& query, Output& out) {
  ItemStream items(out);
  ExportReport report;
  try {
    report = memory.export_records(query, [&items](std::string_view line) { items.add(line); });
  } catch (const Error& error) {
    if (!items.has_started()) throw;
    items.finish({{"next", nullptr}, {"error", error_shape(error)}});
    complain(error);
    return exit_code(error.code());
  }
  items.finish({{"next", nullptr}, {"damaged", report.damaged}});
  return told_damage(report);
}

std::string import_text(const ImportReport& report, bool dry_run) {
  return (dry_run ? "would write " : "wrote ") + std::to_string(report.written) + " (" +
         std::to_string(report.existing) + " existed), refused " +
         std::to_string(report.refused.size()) + "\n";
}

/// The memory saw only the start of a line that was too long: say what was really wrong with it.
void name_long_lines(ImportReport& report, const std::set<std::uint64_t>& long_lines) {
  for (auto& [line, why] : report.refused) {
    if (!long_lines.contains(line)) continue;
    why = "limit: line: longer than the limit of " + std::to_string(import_octets_max) + " octets";
  }
}

}  // namespace

int run(const command::Export& exported, const Shell& shell) {
  const Memory memory = open_memory(shell);
  if (shell.json) return export_items(memory, exported.query, shell.out);
  const ExportReport report =
      memory.export_records(exported.query, [&shell](std::string_view line) {
        shell.out.write(line);
        shell.out.write("\n");
      });
  return told_damage(report);
}

int run(const command::Import& imported, const Shell& shell) {
  Memory memory = open_memory(shell);
  LineReader reader(imported.file, import_octets_max);
  std::set<std::uint64_t> long_lines;
  const auto next_line = [&]() -> std::optional<std::string> {
    auto line = reader.next();
    if (!line) return std::nullopt;
    if (line->is_too_long) long_lines.insert(line->number);
    return std::move(line->text);
  };
  ImportReport report;
  {
    Progress progress("lines:");
    report = memory.import_records(next_line, imported.dry_run, [&](std::uint64_t lines) {
      progress.at(lines, reader.share());
    });
  }
  name_long_lines(report, long_lines);
  answer(shell,
         boost::json::object{{"written", report.written},
                             {"existing", report.existing},
                             {"refused", refused_shape(report.refused)}},
         import_text(report, imported.dry_run));
  complain(report.refused);
  return report.refused.empty() ? 0 : exit_code(ErrorCode::failed);
}

int run(const command::Journal& journal, const Shell& shell) {
  Memory memory = open_memory(shell);
  if (journal.drop) {
    memory.drop_journal();
    answer(shell, boost::json::object{{"dropped", true}}, "");
    return 0;
  }
  answer(shell, boost::json::object{{"dropped", false}, {"hint", journal_hint}}, "");
  say(journal_hint);
  return 0;
}

}  // namespace loam::cli
