#pragma once

#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "lib/memory.hpp"
#include "tests/lib/scratch.hpp"

namespace loam::test {

using namespace std::chrono_literals;

/// For anything that ought to be immediate.
inline constexpr std::chrono::seconds patience{60};

/// Whether the condition comes true in time.
template <class Condition>
bool eventually(Condition&& holds) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    if (holds()) return true;
    std::this_thread::sleep_for(2ms);
  }
  return holds();
}

/// Writes the configuration of an instance that is made later.
inline void configure(const std::filesystem::path& dir, const std::string& toml) {
  std::filesystem::create_directory(dir);
  ::chmod(dir.c_str(), 0700);
  write_file(dir / "config.toml", toml);
}

/// A clock that the test moves.
struct TestClock {
  std::shared_ptr<std::atomic<std::int64_t>> ms =
      std::make_shared<std::atomic<std::int64_t>>(1'700'000'000'000);

  std::function<std::int64_t()> reader() const {
    return [ms = ms] { return ms->load(); };
  }
};

/// Instances of one federation in one scratch directory. The first founds it and admits the others, which are
/// governors with every right like itself.
class Instances {
 public:
  /// Opens, or makes, the instance of a name.
  Memory open(const std::string& name) const { return open_at(name, name); }

  Memory open_at(const std::string& directory, const std::string& name) const {
    return Memory::open(options(directory, name));
  }

  /// What opens it; a new one is admitted.
  Options options(const std::string& directory, const std::string& name) const {
    Options options;
    options.dir = path(directory);
    options.name = name;
    options.now_ms = clock.reader();
    if (founder_.empty()) founder_ = options.dir;
    if (!std::filesystem::exists(options.dir / "shared")) options.federation = admit(options.dir, name);
    return options;
  }

  std::filesystem::path path(const std::string& name) const { return scratch_ / name.c_str(); }

  TestClock clock;

 private:
  // Absent: it is the founder.
  std::optional<std::string> admit(const std::filesystem::path& dir, const std::string& name) const {
    if (dir == founder_) return std::nullopt;
    Options of_founder;
    of_founder.dir = founder_;
    of_founder.now_ms = clock.reader();
    Memory founder = Memory::open(of_founder);
    Member member{.name = name, .public_key = instance_key(dir), .role = "governor"};
    for (const Segment& segment : founder.segments().all()) {
      if (segment.scope == Scope::shared && segment.name != "instance_registry") {
        member.permissions[segment.name] = segment.governed ? "rwtl" : "rw";
      }
    }
    founder.admit(member);
    return founder.federation();
  }

  Scratch scratch_;
  mutable std::filesystem::path founder_;
};

inline std::string listen(Memory& memory) {
  return "ws://" + memory.serve({.listen = "127.0.0.1:0", .dial_known = false});
}

inline std::string listen_with_tls(Memory& memory) {
  return memory.serve({.listen = "wss://127.0.0.1:0", .dial_known = false});
}

inline SyncReport sync(Memory& memory, const std::string& endpoint) {
  return memory.sync_shared_segments({.endpoints = {endpoint}, .timeout = patience});
}

/// The texts of every record of a segment (empty: of all), in order.
inline std::vector<std::string> texts(const Memory& memory, const std::string& segment = {}) {
  std::vector<std::string> found;
  ListQuery query{segment, 10'000, {}};
  while (true) {
    const RecordPage page = memory.list(query);
    for (const Record& record : page.items) found.push_back(record.text);
    if (!page.next) break;
    query.cursor = *page.next;
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace loam::test
