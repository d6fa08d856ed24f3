#include "apps/backup.hpp"

#include <boost/json/value.hpp>

#include "apps/instance.hpp"
#include "apps/text.hpp"

namespace loam::cli {
namespace {

int restore_as_new(const command::Restore& restore, const Shell& shell) {
  Memory memory = open_memory(shell);
  ImportReport report;
  {
    Progress progress("records:");
    report = memory.restore_as_new(restore.backup, restore.segments, [&](std::uint64_t done) { progress.at(done); });
  }
  answer(shell,
         {{"written", report.written}, {"existing", report.existing}, {"refused", refused_shape(report.refused)}},
         "brought back " + std::to_string(report.written) + " (" + std::to_string(report.existing) +
             " are here), refused " + std::to_string(report.refused.size()) + "\n");
  complain(report.refused);
  return report.refused.empty() ? 0 : exit_code(ErrorCode::failed);
}

std::string text_of(const RestoreReport& report, const std::string& dir) {
  std::string text = report.name + " (" + report.id.text() + ") is in " + printable(dir) + "\n";
  if (report.has_new_key) text += "the backup has no key: this one is new\n";
  if (!report.is_member) {
    text += "a governor of its federation has to admit it: loam admit NAME " + report.public_key + " --allow …\n";
  }
  return text;
}

}  // namespace

int run(const command::Backup& backup, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const BackupReport report = memory.backup(backup.target, backup.options);
  answer(shell, {{"octets", report.octets}, {"private", backup.options.with_private}},
         std::to_string(report.octets) + " octets in " + printable(backup.target) +
             (backup.options.with_private ? "; the key is among them: keep it as you keep the instance\n" : "\n"));
  return 0;
}

int run(const command::Restore& restore, const Shell& shell) {
  if (restore.as_new) return restore_as_new(restore, shell);
  if (!restore.segments.empty()) throw Error(ErrorCode::invalid, "restore: -s goes with --as-new");
  RestoreReport report;
  {
    Progress progress("pages:");
    RestoreOptions options;
    options.progress = [&](std::string_view, std::uint64_t done, std::uint64_t pages) {
      progress.at(done, pages == 0 ? 1 : static_cast<double>(done) / static_cast<double>(pages));
    };
    report = restore_instance(restore.backup, shell.dir, options);
  }
  answer(shell,
         {{"name", report.name},
          {"id", report.id.text()},
          {"public_key", report.public_key},
          {"new_key", report.has_new_key},
          {"member", report.is_member}},
         text_of(report, shell.dir.string()));
  return 0;
}

}  // namespace loam::cli
