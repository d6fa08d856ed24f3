#include "tests/crash/images.hpp"

#include <algorithm>

#include "lib/verify_walk.hpp"
#include "tests/lib/scratch.hpp"
#include "tests/lib/store_walk.hpp"

namespace loam::test {
namespace {

constexpr int steps_of_recording = 60;
constexpr std::uint64_t signed_every = 8;  // images, of one
constexpr std::int64_t now_ms = 2'000'000;

std::uint64_t mixed(std::uint64_t seed, std::uint64_t number) { return Gen(seed + number).bits(); }

/// The states of one environment that an image may hold: from the last that was acknowledged to the
/// last that was begun.
struct Allowed {
  std::size_t acknowledged = 0;
  std::size_t begun = 0;
  std::size_t found = 0;

  std::string text() const {
    return "state " + std::to_string(acknowledged) + " is acknowledged, " + std::to_string(begun) +
           " begun: ";
  }
};

bool is_empty(const SharedState& state) {
  for (const auto& [name, contents] : state.segments) {
    if (!contents.context.empty()) return false;
  }
  return state.positions.empty() && state.peers.empty() && state.packets.empty();
}

bool is_empty(const PrivateState& state) { return state == PrivateState{}; }

template <class State>
std::string find_state(const State& found, const std::vector<State>& states, Allowed& allowed) {
  allowed.found = 0;
  if (allowed.acknowledged == 0 && is_empty(found)) return {};
  for (std::size_t n = std::max<std::size_t>(1, allowed.acknowledged); n <= allowed.begun; ++n) {
    allowed.found = n;
    if (found == states.at(n)) return {};
  }
  const std::size_t last = std::max<std::size_t>(1, allowed.acknowledged);
  return allowed.text() + difference(found, states.at(last));
}

/// Opens one image of the shared environment, and looks at everything.
class SharedImage {
 public:
  explicit SharedImage(const std::filesystem::path& dir) : dir_(dir) { open(); }

  /// `deep`: also what is signed, which takes as long as all else.
  std::string check(const std::vector<SharedState>& states, Allowed& allowed, bool deep) {
    if (std::string what = walk_all(*store_, deep); !what.empty()) return what;
    const SharedState found = read_state(*store_);
    if (std::string what = find_state(found, states, allowed); !what.empty()) return what;
    commit(*store_, {{.kind = Action::Kind::add, .name = "after the crash"}}, now_ms);
    store_.reset();
    open();
    if (const std::string what = walk_all(*store_, deep); !what.empty()) return "after a write: " + what;
    return has_one_more(found, read_state(*store_));
  }

 private:
  void open() {
    store_ = std::make_unique<SharedStore>(dir_, segments_, crash_config(), own_instance(),
                                           StoreIdentity{"alpha", id_of<FederationId>(9)}, own_key());
  }

  // All rows of one state: those of the batches and their signatures too.
  static std::string walk_all(const SharedStore& store, bool deep) {
    std::string what = walk(store);
    if (!deep) return what;
    walk_shared(store, [&](const std::string& table, const std::string& text) {
      if (what.empty()) what = table + ": " + text;
    });
    return what;
  }

  static std::string has_one_more(const SharedState& before, SharedState after) {
    SegmentContents& set = after.segments[set_segment];
    const auto contents = before.segments.find(set_segment);
    const std::size_t records =
        contents == before.segments.end() ? 0 : contents->second.live.size();
    if (set.live.size() != records + 1) return "a write after the crash did not survive";
    after.segments[set_segment] = before.segments.at(set_segment);
    after.clock = before.clock;
    after.authors = before.authors;
    const std::string what = difference(after, before);
    return what.empty() ? what : "a write after the crash changed something else: " + what;
  }

  std::filesystem::path dir_;
  SegmentTable segments_;
  std::unique_ptr<SharedStore> store_;
};

std::string check_private(const std::filesystem::path& dir, const std::vector<PrivateState>& states,
                          Allowed& allowed) {
  const SegmentTable segments;
  std::optional<PrivateStore> store;
  store.emplace(dir, segments, crash_config());
  PrivateState found = read_state(*store);
  if (std::string what = find_state(found, states, allowed); !what.empty()) return what;
  const PrivateAction write{.id = id_of<PacketId>(250), .record = copy_of(bytes_of("after"))};
  commit(*store, {write}, now_ms);
  store.reset();
  store.emplace(dir, segments, crash_config());
  found.records[{private_set_segment, write.id}] = write.record;
  const std::string what = difference(read_state(*store), found);
  return what.empty() ? what : "after a write: " + what;
}

/// A disk with both environments that follows a recording.
class Disk {
 public:
  Disk(const std::filesystem::path& dir, const Recording& recording, Syncs syncs)
      : dir_(dir), recording_(recording), syncs_(syncs) {
    for (const std::string& environment : {shared_name, private_name}) {
      std::filesystem::create_directory(dir / environment);
      std::filesystem::permissions(dir / environment, std::filesystem::perms::owner_all);
      models_.try_emplace(environment, dir / environment);
    }
  }

  /// Follows the recording up to that number of events.
  void follow(std::size_t events) {
    for (; followed_ < events; ++followed_) {
      const DiskEvent& event = recording_.events[followed_];
      Allowed& allowed = allowed_[event.environment];
      if (event.kind == DiskEvent::Kind::begun) allowed.begun = event.number;
      if (event.kind == DiskEvent::Kind::acknowledged) allowed.acknowledged = event.number;
      DiskModel& model = models_.at(event.environment);
      model.follow(event);
      // A new store is made as it should be: it is commits that a control weakens.
      if (allowed.acknowledged > 0) model.honour(syncs_);
    }
  }

  /// Fails now, checks what is there, and undoes all that.
  void check(std::uint64_t seed, ImageReport& report) {
    Gen gen(seed);
    seed_random_octets(gen.bits());
    std::string how;
    bool has_unsynced = false;
    bool is_missing = false;
    for (auto& [environment, model] : models_) {
      has_unsynced = has_unsynced || model.has_unsynced();
      how += environment + ": " + model.fail(gen) + "; ";
      put_lock(gen, environment);
      is_missing = is_missing || !std::filesystem::exists(dir_ / environment / "data.mdb");
    }
    ++report.checked;
    report.hash = hash_of_files();
    report.unsynced += has_unsynced;
    report.missing += is_missing;
    std::string what;
    std::vector<DiskEvent> events;
    {
      const DiskWatch watch(dir_);
      what = check_files(report);
      events = watch.events();
    }
    for (auto& [environment, model] : models_) {
      std::vector<DiskEvent> own;
      for (DiskEvent& event : events) {
        if (event.environment == environment) own.push_back(std::move(event));
      }
      model.restore(own);
    }
    if (what.empty()) return;
    report.failure = "after " + std::to_string(followed_) + " events: " + how + what;
  }

 private:
  std::string check_files(ImageReport& report) {
    try {
      SharedImage shared(dir_ / shared_name);
      Allowed& allowed = allowed_[shared_name];
      std::string what = shared.check(recording_.shared, allowed, report.checked % signed_every == 0);
      if (!what.empty()) return what;
      report.ahead += allowed.found > allowed.acknowledged;
      return check_private(dir_ / private_name, recording_.priv, allowed_[private_name]);
    } catch (const std::exception& error) {
      return error.what();
    }
  }

  std::size_t hash_of_files() const {
    std::size_t hash = 0;
    for (const auto& [environment, model] : models_) {
      const std::string content = read_file(dir_ / environment / "data.mdb");
      hash = hash * 31 + std::hash<std::string>{}(content);
    }
    return hash;
  }

  // What the lock file says after a crash is nothing to rely on; it is made after the data file.
  // The mark of a store that is in use names a boot of the machine that is over.
  void put_lock(Gen& gen, const std::string& environment) {
    const auto lock = dir_ / environment / "lock.mdb";
    const auto mark = dir_ / environment / "open";
    const std::uint64_t choice = gen.below(4);
    const std::string marked = gen.coin() ? "another boot" : "";
    std::filesystem::remove(lock);
    std::filesystem::remove(mark);
    if (!std::filesystem::exists(dir_ / environment / "data.mdb")) return;
    std::string content = choice == 0 ? "" : recording_.locks.at(environment);
    if (choice == 1) {
      for (char& octet : content) octet = static_cast<char>(gen.below(256));
    }
    if (choice < 3) write_file(lock, content);
    if (!gen.one_in(4)) write_file(mark, marked);
  }

  std::filesystem::path dir_;
  const Recording& recording_;
  Syncs syncs_;
  std::map<std::string, DiskModel> models_;
  std::map<std::string, Allowed> allowed_;
  std::size_t followed_ = 0;
};

}  // namespace

Recording recording_of(const ImageRules& rules, std::uint64_t number) {
  const Scratch scratch(memory_directory());
  const std::uint64_t seed = mixed(rules.seed, number / images_of_recording);
  return record(
      scratch.path(),
      {.seed = seed, .steps = steps_of_recording, .plant = rules.plant, .failing = rules.failing});
}

ImageReport check_images(const ImageRules& rules, std::uint64_t first, std::uint64_t last,
                         const std::function<void(std::uint64_t)>& beginning) {
  const OneFileIdentity one_file;
  ImageReport report;
  for (std::uint64_t number = first; number <= last;) {
    beginning(number);
    const Recording recording = recording_of(rules, number);
    const Scratch scratch(memory_directory());
    Disk disk(scratch.path(), recording, rules.syncs);
    const std::uint64_t end = (number / images_of_recording + 1) * images_of_recording;
    for (; number < end && number <= last; ++number) {
      beginning(number);
      const std::uint64_t part = number % images_of_recording;
      disk.follow(part * (recording.events.size() + 1) / images_of_recording);
      report.number = number;
      disk.check(mixed(~rules.seed, number), report);
      if (!report.failure.empty()) return report;
    }
  }
  return report;
}

}  // namespace loam::test
