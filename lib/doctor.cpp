#include "lib/doctor.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>

#include "crdt/error.hpp"
#include "lib/core.hpp"
#include "lib/descriptor.hpp"
#include "lib/doctor_state.hpp"
#include "lib/federation_text.hpp"
#include "lib/identity.hpp"
#include "lib/lmdb_check.hpp"
#include "lib/quarantine.hpp"
#include "lib/set_aside.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

const std::array<std::string, 2> stores{"shared", "private"};

/// One examination.
class Doctor {
 public:
  Doctor(const fs::path& dir, const DoctorOptions& options) : dir_(dir), options_(options) {}

  DoctorReport run() {
    const auto has = [&](const std::string& name) { return fs::exists(dir_ / name); };
    if (!has("identity.key") && !has(stores[0]) && !has(stores[1])) {
      throw Error(ErrorCode::not_found, "no instance in " + dir_.string());
    }
    check_modes();
    check_files();
    if (!read_settings()) return std::move(report_);
    bool can_open = true;
    for (const std::string& store : stores) can_open = check_store(store) && can_open;
    check_leftovers();
    if (can_open) look_inside();
    return std::move(report_);
  }

 private:
  Ailment& add(std::string state, Urgency urgency, std::string text, std::string advice) {
    report_.ailments.push_back({std::move(state), urgency, std::move(text), std::move(advice)});
    return report_.ailments.back();
  }

  /// Repairs, when that is asked for; what fails is told and fails the whole.
  template <class Repair>
  bool fix(std::size_t ailment, Repair&& repair) {
    if (!options_.fix) return false;
    try {
      repair();
      report_.ailments[ailment].fixed = true;
      return true;
    } catch (const std::exception& error) {
      report_.failed = true;
      report_.ailments[ailment].advice = "could not be repaired: " + std::string(error.what()) +
                                         ". " + report_.ailments[ailment].advice;
      return false;
    }
  }

  std::int64_t now_ms() const {
    if (options_.now_ms) return options_.now_ms();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  }

  // ------------------------------------------------------------ the directory

  void check_mode(const fs::path& path, ::mode_t wanted) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return;
    if (S_ISLNK(status.st_mode)) {
      add("symbolic_link", Urgency::warning, path.string() + ": a symbolic link",
          "put the file itself there");
      return;
    }
    if (status.st_uid != ::geteuid()) {
      add("other_owner", Urgency::warning, path.string() + ": belongs to somebody else",
          "chown it to the user who runs loam");
      return;
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) == 0) return;
    add("unsafe_mode", Urgency::warning, path.string() + ": others have access to it",
        std::string("chmod ") + (wanted == 0700 ? "700 " : "600 ") + path.string());
    fix(report_.ailments.size() - 1, [&] {
      if (::chmod(path.c_str(), wanted) != 0) throw_errno(errno, path.string());
    });
  }

  void check_modes() {
    check_mode(dir_, 0700);
    for (const char* name : {"identity.key", "config.toml"}) check_mode(dir_ / name, 0600);
    for (const std::string& store : stores) {
      check_mode(dir_ / store, 0700);
      for (const char* name : {"data.mdb", "lock.mdb"}) check_mode(dir_ / store / name, 0600);
    }
  }

  // What setting up a store leaves behind when it is interrupted, and what was set aside.
  void check_leftovers() {
    for (const std::string& store : stores) {
      if (!fs::is_directory(dir_ / store)) continue;
      for (const auto& entry : fs::directory_iterator(dir_ / store)) {
        const std::string name = entry.path().filename();
        if (!name.starts_with("new.") || !entry.is_directory()) continue;
        add("leftover_directory", Urgency::notice,
            entry.path().string() + ": left by a start that was interrupted", "remove it");
        fix(report_.ailments.size() - 1, [&] { fs::remove_all(entry.path()); });
      }
    }
  }

  void check_files() {
    for (const auto& entry : fs::directory_iterator(dir_)) {
      const std::string name = entry.path().filename();
      if (name.find(".damaged-") == std::string::npos) continue;
      add("set_aside", Urgency::notice, entry.path().string() + ": a damaged store, set aside",
          "its readable records are in salvage.jsonl there: sync with a peer, then `loam import " +
              (entry.path() / "salvage.jsonl").string() +
              "` adds what nobody else had; remove the directory when nothing is missing");
    }
  }

  bool read_settings() {
    try {
      config_ = load_config(dir_);
      segments_ = SegmentTable(config_.segments, config_.strong_segments);
      key_ = load_instance_key(dir_);
      return true;
    } catch (const Error& error) {
      const bool is_damage = error.code() == ErrorCode::damaged;
      add("cannot_open", is_damage ? Urgency::damage : Urgency::warning, error.what(),
          is_damage ? "restore identity.key from a copy: nothing can replace it"
                    : "mend what it names, then ask again");
      return false;
    }
  }

  // ------------------------------------------------------------ the stores

  // Looks at the file of a store; whether it can be opened.
  bool check_store(const std::string& store) {
    const auto file = dir_ / store / "data.mdb";
    if (!fs::exists(file)) {
      const bool is_taken = fs::exists(dir_ / store / "lock.mdb");
      add("missing_store", Urgency::damage, file.string() + ": is not there",
          is_taken ? "restore it from a backup, or `loam doctor --fix` begins a new one"
                   : "`loam doctor --fix` begins a new one");
      return fix(report_.ailments.size() - 1, [&] { begin_anew(store); });
    }
    lmdb::CheckOptions check;
    check.findings_max = 10'000;
    if (options_.progress) {
      check.progress = [&](auto done, auto pages) { options_.progress(store, done, pages); };
    }
    // Beside a writer of another process a first look may err; damage stays.
    lmdb::CheckReport checked = lmdb::check_still_file(file, check);
    if (!checked.is_sound()) checked = lmdb::check_still_file(file, check);
    if (!checked.is_sound()) {
      return damaged_store(store, checked.structure_faults, checked.findings.at(0).text);
    }
    std::map<std::string, std::uint64_t> rows;
    for (const lmdb::Finding& finding : checked.findings) ++rows[finding.table];
    std::uint64_t others = 0;
    for (const auto& [table, count] : rows) {
      if (!is_record_table(store, table)) others += count;
    }
    if (others > 0) {
      return damaged_store(store, others, "rows that hold the others together cannot be read");
    }
    damaged_rows_[store] = checked.value_faults;
    return true;
  }

  static bool is_record_table(const std::string& store, const std::string& table) {
    return table == "rec" || (store == "private" && table == "reg");
  }

  bool damaged_store(const std::string& store, std::uint64_t faults, const std::string& first) {
    add("damaged_store", Urgency::damage,
        (dir_ / store).string() + ": damaged in " + std::to_string(faults) + " places; " + first,
        "`loam doctor --fix` sets it aside whole, writes what is readable to a file beside it, and "
        "begins a new store under the same identity" +
            std::string(store == "shared" ? ", which peers fill at the next sync" : ""));
    return fix(report_.ailments.size() - 1, [&] {
      const StoreIdentity identity = identity_of_instance();
      const auto aside = set_aside(dir_, store, now_ms());
      const auto lines = aside / "salvage.jsonl";
      const std::uint64_t count =
          salvage(aside / "data.mdb", store, segments_, identity.name, lines);
      make_store(store, identity);
      add("set_aside", Urgency::notice,
          aside.string() + ": the damaged store; " + std::to_string(count) +
              " records and entries of it could be read",
          (store == "shared" ? "`loam sync` first, then `" : "`") + std::string("loam import ") +
              lines.string() + "` adds those that are missing");
    });
  }

  void begin_anew(const std::string& store) {
    const StoreIdentity identity = identity_of_instance();
    if (fs::exists(dir_ / store)) set_aside(dir_, store, now_ms());
    make_store(store, identity);
  }

  void make_store(const std::string& store, const StoreIdentity& identity) {
    if (store == "shared") {
      const SharedStore made(dir_ / store, segments_, config_, key_.id, identity);
    } else {
      PrivateStore made(dir_ / store, segments_, config_);
      made.remember_identity(identity);
    }
  }

  // Who the instance is: what was given, else what either store still says.
  StoreIdentity identity_of_instance() {
    std::optional<std::string> name;
    std::optional<FederationId> federation;
    std::optional<FederationRoot> root;
    if (!options_.name.empty()) name = options_.name;
    if (options_.federation) {
      root = parse_federation_text(*options_.federation).root;
      federation = federation_of(*root);
    }
    for (const std::string& store : stores) {
      const auto file = dir_ / store / "data.mdb";
      if (!fs::exists(file)) continue;
      lmdb::CheckOptions read;
      read.each = [&](const std::string& table, BytesView key, BytesView value) {
        if (table != "meta") return;
        if (!name && text_of(key) == meta::name) name = std::string(text_of(value));
        if (!federation && text_of(key) == meta::federation && value.size() == 16) {
          federation = FederationId::from(value);
        }
        if (!root && text_of(key) == meta::root) root = decode_root(value);
      };
      (void)lmdb::check_still_file(file, read);
    }
    if (!name || !is_name(*name) || !federation) {
      throw Error(ErrorCode::not_found,
                  "neither store knows the name and the federation any more: give --name and "
                  "--federation");
    }
    if (root && federation_of(*root) != *federation) root.reset();
    return {*name, *federation, root};
  }

  // ------------------------------------------------------------ inside

  void look_inside() {
    try {
      Core core({.dir = dir_, .now_ms = options_.now_ms});
      check_records(core);
      look_at_state(core, report_);
    } catch (const Error& error) {
      const bool is_damage = error.code() == ErrorCode::damaged;
      add("cannot_open", is_damage ? Urgency::damage : Urgency::warning, error.what(),
          is_damage ? "`loam verify --deep` says where" : "mend what it names, then ask again");
    }
  }

  void check_records(Core& core) {
    const std::uint64_t shared = damaged_rows_["shared"];
    if (shared > 0) {
      add("damaged_records", Urgency::damage,
          std::to_string(shared) + " shared records cannot be read",
          "`loam doctor --fix` forgets them, so that the next sync fetches them from a peer; their "
          "octets are kept aside");
      fix(report_.ailments.size() - 1, [&] {
        core.shared.env().write([&](lmdb::WriteTxn& txn) {
          SharedBatch batch(core.shared, txn, core.now_ms());
          batch.quarantine(damaged_records(txn));
          batch.finish();
        });
      });
    }
    const std::uint64_t priv = damaged_rows_["private"];
    if (priv > 0) {
      add("damaged_private", Urgency::damage,
          std::to_string(priv) + " private records or entries cannot be read",
          "no peer has them: restore a backup, or `loam forget ID` and write the entry again");
    }
    const QuarantineCounts counts = core.shared.read(quarantine_counts);
    if (counts.open > 0) {
      add("forgotten_records", Urgency::damage,
          std::to_string(counts.open) +
              " records could not be read and wait for a peer that has them",
          "`loam sync` with any peer");
    }
    if (counts.repaired > 0) {
      add("repaired_records", Urgency::notice,
          std::to_string(counts.repaired) + " records could not be read and were received again",
          "look after the disk: it has changed what was written");
    }
  }

  const fs::path& dir_;
  const DoctorOptions& options_;
  DoctorReport report_;
  Config config_;
  SegmentTable segments_;
  InstanceKey key_;
  std::map<std::string, std::uint64_t> damaged_rows_;
};

}  // namespace

bool DoctorReport::is_damaged() const noexcept {
  return std::any_of(ailments.begin(), ailments.end(), [](const Ailment& ailment) {
    return ailment.urgency == Urgency::damage && !ailment.fixed;
  });
}

DoctorReport examine(const std::filesystem::path& dir, const DoctorOptions& options) {
  for (const std::string& store : stores) {
    if (!lmdb::Env::is_open_here(dir / store)) continue;
    throw Error(ErrorCode::invalid, "doctor: this process has " + dir.string() + " open; close it");
  }
  return Doctor(dir, options).run();
}

}  // namespace loam
