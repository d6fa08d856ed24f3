#include "lib/verify.hpp"

#include <algorithm>
#include <fstream>

#include "crdt/error.hpp"
#include "lib/identity.hpp"
#include "lib/memory_impl.hpp"
#include "lib/verify_walk.hpp"

namespace loam {
namespace {

constexpr std::size_t findings_max = 100;
const std::array<std::string, 2> store_names{"shared", "private"};

void add(VerifyReport& report, const std::string& store, const std::string& table,
         const std::string& text) {
  ++report.faults;
  if (report.findings.size() < 4 * findings_max) report.findings.push_back({store, table, 0, text});
}

void add(VerifyReport& report, const std::string& store, const lmdb::CheckReport& checked) {
  VerifiedStore& size = report.stores[store];
  size.octets = checked.pages_in_file * checked.page_octets;
  size.pages = checked.pages;
  size.pages_free = checked.pages_free;
  for (const auto& [table, entries] : checked.entries) size.entries += entries;
  report.faults += checked.structure_faults + checked.value_faults;
  for (const lmdb::Finding& finding : checked.findings) {
    report.findings.push_back({store, finding.table, finding.page, finding.text});
  }
}

lmdb::CheckOptions check_options(const VerifyOptions& options, const std::string& store) {
  lmdb::CheckOptions out;
  out.findings_max = findings_max;
  if (options.progress) {
    out.progress = [&options, &store](std::uint64_t done, std::uint64_t pages) {
      options.progress(store, done, pages);
    };
  }
  return out;
}

// A writer of another process may change the file under the check: what it finds then is gone the
// next time. Damage stays.
lmdb::CheckReport check_closed(const std::filesystem::path& file, const VerifyOptions& options,
                               const std::string& store) {
  constexpr int attempts = 3;
  lmdb::CheckReport checked;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    checked = lmdb::check_still_file(file, check_options(options, store));
    if (checked.is_sound()) break;
  }
  return checked;
}

void check_directory(const std::filesystem::path& dir, VerifyReport& report) {
  const auto step = [&](const char* what, auto&& check) {
    try {
      check();
    } catch (const Error& error) {
      add(report, "directory", what, std::string(error.message()));
    }
  };
  step("modes", [&] { secure_directory(dir); });
  step("identity.key", [&] { load_instance_key(dir); });
  step("config.toml", [&] { load_config(dir); });
}

bool holds_instance(const std::filesystem::path& dir) {
  const auto has = [&](const std::string& name) { return std::filesystem::exists(dir / name); };
  return has("identity.key") || std::any_of(store_names.begin(), store_names.end(), has);
}

void walk(const Core& core, VerifyReport& report) {
  walk_shared(core.shared, [&](const std::string& table, const std::string& text) {
    add(report, "shared", table, text);
  });
  walk_private(core.priv, [&](const std::string& table, const std::string& text) {
    add(report, "private", table, text);
  });
}

}  // namespace

VerifyReport Memory::verify(const VerifyOptions& options) const {
  const Core& core = impl_->core;
  VerifyReport report;
  report.deep = options.deep;
  check_directory(core.options.dir, report);
  add(report, store_names[0], core.shared.env().check(check_options(options, store_names[0])));
  add(report, store_names[1], core.priv.env().check(check_options(options, store_names[1])));
  if (options.deep) walk(core, report);
  return report;
}

VerifyReport verify_instance(const std::filesystem::path& dir, const VerifyOptions& options) {
  if (!holds_instance(dir)) {
    throw Error(ErrorCode::not_found, "no instance in " + dir.string());
  }
  VerifyReport report;
  report.deep = options.deep;
  check_directory(dir, report);
  for (const std::string& store : store_names) {
    const auto file = dir / store / "data.mdb";
    if (std::filesystem::exists(file)) {
      add(report, store, check_closed(file, options, store));
    } else {
      add(report, store, {}, "there is no data file");
    }
  }
  if (!report.is_sound() || !options.deep) return report;
  try {
    const Core core({.dir = dir});
    walk(core, report);
  } catch (const Error& error) {
    add(report, "directory", {}, "cannot be opened: " + std::string(error.message()));
  }
  return report;
}

// ---------------------------------------------------------------- traces

namespace {

// Pages of the file in which one of these stands, by whether they are in use. Across the border of
// two pages it counts for the second.
void search(const std::filesystem::path& file, const std::vector<std::string>& needles,
            Traces& traces) {
  const lmdb::CheckReport checked = lmdb::check_still_file(file, {.values = false});
  if (checked.page_octets == 0) throw Error(ErrorCode::damaged, file.string() + ": no data file");
  std::ifstream in(file, std::ios::binary);
  std::string page(checked.page_octets, '\0');
  std::string before;
  for (std::uint64_t number = 0; number < checked.pages_in_file; ++number) {
    in.read(page.data(), static_cast<std::streamsize>(page.size()));
    const bool is_here = std::any_of(needles.begin(), needles.end(), [&](const auto& needle) {
      const std::size_t across = std::min(before.size(), needle.size() - 1);
      return (before.substr(before.size() - across) + page).find(needle) != std::string::npos;
    });
    before = page;
    if (!is_here) continue;
    const bool is_used = number < 2 || (number < checked.used.size() && checked.used[number]);
    ++(is_used ? traces.used_pages : traces.free_pages);
  }
}

}  // namespace

Traces find_traces(const std::filesystem::path& dir, const std::string& id_or_text) {
  if (id_or_text.empty()) throw Error(ErrorCode::invalid, "traces: of an empty text");
  Traces traces;
  std::vector<std::string> needles{id_or_text};
  if (const auto id = ElementId::parse(id_or_text)) {
    needles.emplace_back(text_of(id->view()));
    const Memory memory = Memory::open({.dir = dir});
    try {
      traces.live = memory.get(id_or_text).has_value();
    } catch (const Error& error) {
      if (error.code() != ErrorCode::damaged) throw;
      traces.live = true;
    }
  }
  for (const std::string& store : store_names) search(dir / store / "data.mdb", needles, traces);
  return traces;
}

}  // namespace loam
