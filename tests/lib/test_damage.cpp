// What a disk can do to a file, over a closed store: the check finds it, or what is read is right
// or Error(damaged). Never a crash, and never wrong data. DAMAGE_RUNS=n tries n of each kind.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "lib/lmdb_check.hpp"
#include "lib/verify_walk.hpp"
#include "tests/lib/lock_step.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

using ::test::Gen;
using test::id_of;
using test::LockStep;
using test::read_file;
using test::write_file;

constexpr std::size_t page_octets = 4'096;
constexpr std::size_t sector_octets = 512;

int runs() {
  const char* given = std::getenv("DAMAGE_RUNS");
  return given != nullptr ? std::atoi(given) : 120;
}

using Rows = std::map<std::pair<std::string, Bytes>, Bytes>;

// Rows that nothing else depends on: what a peer was last seen at, how far its journal was
// followed, the clock. Of these an older version cannot be told from the newest, and does no harm.
// What segs has beside the ids of journals, which a copied file gets anew, the walk recomputes.
bool may_be_older(const std::string& table) {
  return table == "meta" || table == "peers" || table == "positions" || table == "packets" ||
         table == "packet_log" || table == "held" || table == "segs";
}

Rows rows_of(const lmdb::ReadTxn& txn) {
  Rows rows;
  const auto names = shared_table_names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (may_be_older(names[i])) continue;
    lmdb::Cursor cursor = txn.cursor(static_cast<lmdb::Table>(i));
    for (bool on = cursor.first(); on; on = cursor.next()) {
      rows.emplace(std::pair{names[i], copy_of(cursor.key())}, copy_of(cursor.value()));
    }
  }
  return rows;
}

// A closed store with something in every table, and how it was some commits earlier.
struct Victim {
  Victim() {
    LockStep trace;
    Gen gen(11);
    for (int step = 0; step < 60; ++step) REQUIRE(trace.step(gen) == "");
    const auto add_many = [&](const std::string& what) {
      trace.store().env().write([&](lmdb::WriteTxn& txn) {
        SharedBatch batch(trace.store(), txn, 1);
        for (int i = 0; i < 150; ++i) {
          batch.add(trace.store().number(test::set_segment),
                    test::content_of(what + std::to_string(i)), test::meta_of("note"));
        }
        batch.remember_packet(id_of<PacketId>(what == "first " ? 1 : 2), "receipt");
        batch.finish();
      });
    };
    add_many("first ");
    const auto file = trace.store().env().dir() / "data.mdb";
    older = read_file(file);
    for (int i = 0; i < 12; ++i) {
      trace.store().env().write([&](lmdb::WriteTxn& txn) {
        SharedBatch batch(trace.store(), txn, 1);
        batch.add(trace.store().number(test::set_segment),
                  test::content_of("single " + std::to_string(i)), test::meta_of(""));
        batch.put(trace.store().number(test::map_segment), "key " + std::to_string(i % 4),
                  encode(Value(i)));
        batch.finish();
      });
    }
    add_many("second ");
    octets = read_file(file);
    rows = trace.store().env().read(rows_of);
    older.resize(octets.size());
  }

  std::string octets;
  std::string older;
  Rows rows;
};

const Victim& victim() {
  static const Victim made;
  return made;
}

enum class Outcome { found, right, wrong, crashed };

// Opens and reads everything in a child.
Outcome read_all(const fs::path& dir) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 3;
    try {
      const SegmentTable segments;
      const SharedStore store(dir, segments, {}, test::Site(1).instance, std::nullopt);
      std::size_t findings = 0;
      walk_shared(store, [&](const std::string&, const std::string&) { ++findings; });
      const bool is_right = store.env().read(rows_of) == victim().rows;
      code = findings > 0 ? 1 : is_right ? 0 : 2;
    } catch (const Error& error) {
      code = error.code() == ErrorCode::damaged ? 1 : 3;
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return Outcome::crashed;
  switch (WEXITSTATUS(status)) {
    case 0: return Outcome::right;
    case 1: return Outcome::found;
    case 2: return Outcome::wrong;
    default: return Outcome::crashed;
  }
}

struct Tally {
  int structure = 0;  ///< found before LMDB was let loose on it
  int value = 0;      ///< a checksum
  int reading = 0;    ///< only by whoever read it
  int harmless = 0;
};

// Tries one damaged file.
void attempt(const std::string& octets, Tally& tally) {
  const test::Scratch scratch;
  const auto dir = scratch / "shared";
  fs::create_directory(dir);
  fs::permissions(dir, fs::perms::owner_all);
  write_file(dir / "data.mdb", octets);
  fs::permissions(dir / "data.mdb", fs::perms(0600));
  const lmdb::CheckReport report = lmdb::check_still_file(dir / "data.mdb");
  if (!report.is_sound()) {
    ++tally.structure;
    return;
  }
  const Outcome outcome = read_all(dir);
  REQUIRE(outcome != Outcome::crashed);
  REQUIRE(outcome != Outcome::wrong);
  if (report.value_faults > 0) {
    ++tally.value;
    REQUIRE(outcome == Outcome::found);
  } else {
    ++(outcome == Outcome::found ? tally.reading : tally.harmless);
  }
}

void tell(const char* kind, const Tally& tally) {
  MESSAGE(std::string(kind), ": ", tally.structure, " by the structure, ", tally.value,
          " by a checksum, ", tally.reading, " by reading, ", tally.harmless, " harmless");
}

template <class Damage>
Tally try_many(const char* kind, Damage&& damage) {
  Tally tally;
  ::test::forall(kind, runs(), [&](Gen& gen) {
    std::string octets = victim().octets;
    damage(gen, octets);
    attempt(octets, tally);
  });
  tell(kind, tally);
  return tally;
}

std::size_t any_page(Gen& gen) { return gen.index(victim().octets.size() / page_octets); }

TEST_CASE("an undamaged file is found sound and read whole") {
  Tally tally;
  attempt(victim().octets, tally);
  CHECK(tally.harmless == 1);
}

TEST_CASE("a flipped bit") {
  const Tally tally = try_many("flipped bit", [](Gen& gen, std::string& octets) {
    const std::size_t at = gen.index(octets.size());
    octets[at] = static_cast<char>(octets[at] ^ (1 << gen.below(8)));
  });
  CHECK(tally.structure + tally.value > 0);
}

TEST_CASE("a flipped bit in the first octets of a page, where its structure stands") {
  const Tally tally = try_many("flipped bit of a head", [](Gen& gen, std::string& octets) {
    const std::size_t at = any_page(gen) * page_octets + gen.index(160);
    octets[at] = static_cast<char>(octets[at] ^ (1 << gen.below(8)));
  });
  CHECK(tally.structure > 0);
}

TEST_CASE("a sector of zeros") {
  const Tally tally = try_many("zeroed sector", [](Gen& gen, std::string& octets) {
    const std::size_t at = gen.index(octets.size() / sector_octets) * sector_octets;
    octets.replace(at, sector_octets, sector_octets, '\0');
  });
  CHECK(tally.structure > 0);
}

TEST_CASE("a page of zeros") {
  const Tally tally = try_many("zeroed page", [](Gen& gen, std::string& octets) {
    octets.replace(any_page(gen) * page_octets, page_octets, page_octets, '\0');
  });
  CHECK(tally.structure > 0);
}

TEST_CASE("a page that was written over another") {
  const Tally tally = try_many("misdirected page", [](Gen& gen, std::string& octets) {
    const std::string page = octets.substr(any_page(gen) * page_octets, page_octets);
    octets.replace(any_page(gen) * page_octets, page_octets, page);
  });
  CHECK(tally.structure > 0);
}

TEST_CASE("a page that was not written, so that it is as it was some commits ago") {
  const Tally tally = try_many("stale page", [](Gen& gen, std::string& octets) {
    const std::size_t at = any_page(gen) * page_octets;
    octets.replace(at, page_octets, victim().older.substr(at, page_octets));
  });
  CHECK(tally.structure + tally.reading > 0);
}

TEST_CASE("a file that was cut, at every page and inside some") {
  Tally tally;
  const std::string& whole = victim().octets;
  Gen gen(5);
  for (std::size_t pages = 0; pages < whole.size() / page_octets; ++pages) {
    if (pages > 60 && !gen.one_in(4)) continue;
    attempt(whole.substr(0, pages * page_octets), tally);
    attempt(whole.substr(0, pages * page_octets + gen.between(1, page_octets - 1)), tally);
  }
  tell("cut file", tally);
  CHECK(tally.structure > 0);
}

TEST_CASE("with the checksums left out, flipped bits of values are missed") {
  const test::Scratch scratch;
  int missed = 0;
  for (std::uint64_t seed = 1; missed == 0 && seed <= 1'000; ++seed) {
    Gen gen(seed);
    std::string octets = victim().octets;
    const std::size_t at = gen.index(octets.size());
    octets[at] = static_cast<char>(octets[at] ^ (1 << gen.below(8)));
    write_file(scratch / "data.mdb", octets);
    const auto with = lmdb::check_still_file(scratch / "data.mdb");
    const auto without = lmdb::check_still_file(scratch / "data.mdb", {.values = false});
    if (with.value_faults > 0 && without.findings.empty()) ++missed;
  }
  CHECK(missed > 0);
}

}  // namespace
}  // namespace loam
