#include "lib/backup.hpp"

#include "crdt/error.hpp"
#include "lib/config.hpp"
#include "lib/lmdb_check.hpp"
#include "lib/memory_impl.hpp"
#include "lib/membership.hpp"
#include "lib/readd.hpp"
#include "lib/staging.hpp"
#include "lib/verify_walk.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

constexpr const char* shared_file = "shared/data.mdb";
constexpr const char* private_file = "private/data.mdb";
constexpr const char* key_file = "identity.key";
constexpr const char* config_file = "config.toml";

// Without LMDB, which trusts what it opens.
void check_file(const fs::path& file, const std::string& store, const RestoreOptions& options) {
  lmdb::CheckOptions check;
  if (options.progress) {
    check.progress = [&](std::uint64_t done, std::uint64_t pages) { options.progress(store, done, pages); };
  }
  const lmdb::CheckReport report = lmdb::check_still_file(file, check);
  if (report.is_sound()) return;
  throw Error(ErrorCode::damaged, "backup: " + store + " store: " +
                                      std::to_string(report.structure_faults + report.value_faults) + " faults, first: " +
                                      (report.findings.empty() ? "unknown" : report.findings.front().text));
}

// Every index, count and signature.
void check_all(const Core& core) {
  std::uint64_t faults = 0;
  std::string first;
  const auto note = [&](const std::string& table, const std::string& text) {
    if (faults++ == 0) first = table + ": " + text;
  };
  walk_shared(core.shared, note);
  walk_private(core.priv, note);
  if (faults > 0) throw Error(ErrorCode::damaged, "backup: " + std::to_string(faults) + " faults, first: " + first);
}

void require_backup(const fs::path& backup) {
  if (!fs::exists(backup / shared_file)) throw Error(ErrorCode::not_found, "no backup in " + backup.string());
}

}  // namespace

BackupReport Memory::backup(const fs::path& target, const BackupOptions& options) const {
  const Core& core = impl_->core;
  Staging staging(target);
  BackupReport report;
  core.shared.env().copy_to(staging.path() / "shared");
  report.octets += fs::file_size(staging.path() / shared_file);
  staging.add(core.options.dir / config_file, config_file);
  if (options.with_private) {
    core.priv.env().copy_to(staging.path() / "private");
    report.octets += fs::file_size(staging.path() / private_file);
    staging.add(core.options.dir / key_file, key_file);
  }
  staging.appear();
  return report;
}

RestoreReport restore_instance(const fs::path& backup, const fs::path& dir, const RestoreOptions& options) {
  require_backup(backup);
  Staging staging(dir);
  RestoreReport report;
  const auto add = [&](const char* name) {
    if (!fs::exists(backup / name)) return false;
    staging.add(backup / name, name);
    return true;
  };
  add(shared_file);
  check_file(staging.path() / shared_file, "shared", options);
  report.has_new_key = !add(key_file);
  if (!report.has_new_key && add(private_file)) check_file(staging.path() / private_file, "private", options);
  if (!add(config_file)) write_default_config(staging.path());
  if (report.has_new_key) make_instance_key(staging.path());
  {
    Core core({.dir = staging.path(), .name = {}, .federation = {}, .log = {}, .now_ms = {}});
    check_all(core);
    forget_invitations(core);
    report.name = core.identity.name;
    report.id = core.identity.id;
    report.public_key = core.identity.public_key;
    const auto registry = core.shared.registry();
    report.is_member = registry && registry->find(core.identity.id).has_value();
  }
  staging.appear();
  return report;
}

ImportReport Memory::restore_as_new(const fs::path& backup, const RestoredSegments& segments,
                                    const std::function<void(std::uint64_t)>& progress) {
  require_backup(backup);
  // A copy, for what is opened is changed.
  const Staging staging(impl_->core.options.dir / ".restoring");
  staging.add(backup / shared_file, shared_file);
  check_file(staging.path() / shared_file, "shared", {});
  staging.add(impl_->core.options.dir / config_file, config_file);
  make_instance_key(staging.path());
  const Core old({.dir = staging.path(), .name = {}, .federation = {}, .log = {}, .now_ms = {}});
  check_all(old);
  return readd(impl_->core, old, segments, progress);
}

}  // namespace loam
