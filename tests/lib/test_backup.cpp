// Backups: what is in them, what is made of them, and what is refused.
#include <doctest/doctest.h>

#include <thread>

#include "lib/batch_rows.hpp"
#include "lib/lmdb.hpp"
#include "lib/shared_tables.hpp"
#include "tests/lib/opened.hpp"
#include "tests/support/gen.hpp"

namespace loam {
namespace {

namespace fs = std::filesystem;

using test::code_of;
using ::test::Gen;
using test::Instances;
using test::listen;
using test::sync;
using test::texts;

using Texts = std::vector<std::string>;

std::size_t entries_in(const fs::path& dir) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(dir), fs::directory_iterator()));
}

Memory reopened(const fs::path& dir) { return Memory::open({.dir = dir}); }

TEST_CASE("a backup has the shared segments, and whoever is made of it is new and has to be admitted") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.remember({.text = "a lesson"});
  alpha.remember({.segment = "project_history", .text = "private"});
  alpha.put("governance_meta", "owner", "ops");
  CHECK(alpha.backup(instances.path("backup")).octets > 0);
  CHECK_FALSE(fs::exists(instances.path("backup") / "identity.key"));
  CHECK_FALSE(fs::exists(instances.path("backup") / "private"));
  const RestoreReport report = restore_instance(instances.path("backup"), instances.path("restored"));
  CHECK(report.name == "alpha");
  CHECK(report.has_new_key);
  CHECK_FALSE(report.is_member);
  CHECK(report.id != alpha.id());
  {
    Memory restored = reopened(instances.path("restored"));
    CHECK(restored.id() == report.id);
    CHECK(restored.identity().federation == alpha.identity().federation);
    CHECK(texts(restored) == Texts{"a lesson"});
    CHECK(restored.digest() == alpha.digest());
    CHECK(restored.value("governance_meta", "owner"));
    CHECK(code_of([&] { restored.remember({.text = "of nobody"}); }) == ErrorCode::denied);
    CHECK(restored.verify({.deep = true}).is_sound());
  }
  alpha.admit({.name = "again", .public_key = report.public_key, .permissions = {{"lessons_learned", "rw"}}});
  Memory restored = Memory::open({.dir = instances.path("restored"), .federation = alpha.federation()});
  CHECK_NOTHROW(restored.remember({.text = "of a member"}));
}

TEST_CASE("with its private segments and its key a backup is the instance itself") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.remember({.text = "a lesson"});
  alpha.remember({.segment = "project_history", .text = "private"});
  alpha.backup(instances.path("backup"), {.with_private = true});
  const RestoreReport report = restore_instance(instances.path("backup"), instances.path("restored"));
  CHECK_FALSE(report.has_new_key);
  CHECK(report.is_member);
  CHECK(report.id == alpha.id());
  Memory restored = reopened(instances.path("restored"));
  CHECK(texts(restored) == Texts{"a lesson", "private"});
  CHECK_NOTHROW(restored.remember({.text = "goes on"}));
}

TEST_CASE("what is restored catches up: what was removed since stays removed") {
  const Instances instances;
  Memory beta = instances.open("beta");
  {
    Memory alpha = instances.open("alpha");
    const std::string removed = alpha.remember({.text = "removed since"}).id;
    alpha.remember({.text = "stays"});
    alpha.backup(instances.path("backup"), {.with_private = true});
    alpha.forget(removed);
    alpha.remember({.text = "written since"});
    REQUIRE(sync(alpha, listen(beta)).converged);
    beta.stop();
  }
  restore_instance(instances.path("backup"), instances.path("restored"));
  Memory restored = reopened(instances.path("restored"));
  CHECK(texts(restored) == Texts{"removed since", "stays"});
  restored.remember({.text = "written after"});
  CHECK(sync(restored, listen(beta)).converged);
  const Texts all{"stays", "written after", "written since"};
  CHECK(texts(restored) == all);
  CHECK(texts(beta) == all);
  CHECK(restored.digest() == beta.digest());
}

TEST_CASE("brought back as new, what was removed lives again everywhere, and what stands here stays") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  Memory beta = instances.open("beta");
  const std::string endpoint = listen(beta);
  const std::string removed = beta.remember({.text = "removed", .tags = {"tag"}}).id;
  beta.remember({.segment = "org_patterns", .text = "a pattern"});
  beta.remember({.text = "stays"});
  beta.put("governance_meta", "erased", "old");
  beta.put("governance_meta", "changed", "old");
  REQUIRE(sync(alpha, endpoint).converged);
  alpha.backup(instances.path("backup"));
  alpha.forget(removed);
  alpha.forget(alpha.list({.segment = "org_patterns", .limit = 10, .cursor = {}}).items.at(0).id);
  alpha.erase("governance_meta", "erased");
  alpha.put("governance_meta", "changed", "new");
  REQUIRE(sync(alpha, endpoint).converged);
  REQUIRE(texts(beta) == Texts{"stays"});
  std::uint64_t seen = 0;
  const ImportReport report = alpha.restore_as_new(instances.path("backup"), {"lessons_learned", "governance_meta"},
                                                   [&](std::uint64_t done) { seen = done; });
  CHECK(report.written == 2);
  CHECK(report.existing == 2);
  CHECK(report.refused.empty());
  CHECK(seen == 4);
  REQUIRE(sync(alpha, endpoint).converged);
  CHECK(texts(beta) == Texts{"removed", "stays"});
  CHECK(beta.get(removed)->authors == Texts{"alpha"});
  CHECK(beta.get(removed)->tags == Texts{"tag"});
  CHECK(beta.value("governance_meta", "erased")->value == Value("old"));
  CHECK(beta.value("governance_meta", "changed")->value == Value("new"));
  CHECK(alpha.restore_as_new(instances.path("backup")).written == 1);  // the pattern
  CHECK(alpha.restore_as_new(instances.path("backup")).written == 0);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("backup"), {"project_history"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("backup"), {"instance_registry"}); }) == ErrorCode::denied);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("backup"), {"nothing"}); }) == ErrorCode::unknown_segment);
  CHECK(entries_in(alpha.verify().is_sound() ? instances.path("alpha") : "") == 4);
}

TEST_CASE("nothing is written over, and what is refused leaves nothing behind") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const fs::path used = instances.path("used");
  fs::create_directory(used);
  test::write_file(used / "file", "x");
  const fs::path link = instances.path("link");
  fs::create_directory(instances.path("empty"));
  fs::create_symlink(instances.path("empty"), link);
  const std::size_t before = entries_in(used.parent_path());
  for (const fs::path& place : {used, link, used / "file", instances.path("alpha")}) {
    CAPTURE(place);
    CHECK(code_of([&] { alpha.backup(place); }) == ErrorCode::invalid);
  }
  CHECK(code_of([&] { alpha.backup(instances.path("missing") / "deep"); }) == ErrorCode::failed);
  CHECK(code_of([&] { restore_instance(instances.path("empty"), instances.path("restored")); }) ==
        ErrorCode::not_found);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("empty")); }) == ErrorCode::not_found);
  CHECK(entries_in(used.parent_path()) == before);
  alpha.backup(instances.path("empty"));  // an empty one is taken
  CHECK(code_of([&] { restore_instance(instances.path("empty"), used); }) == ErrorCode::invalid);
  CHECK(code_of([&] { restore_instance(instances.path("empty"), instances.path("alpha")); }) == ErrorCode::invalid);
  CHECK(entries_in(used.parent_path()) == before);
  CHECK((fs::status(instances.path("empty")).permissions() & fs::perms::all) == fs::perms::owner_all);
}

// The place of a test's own choice in the shared data file of a backup, changed.
void flip(const fs::path& backup, std::uint64_t at, unsigned bit) {
  std::string octets = test::read_file(backup / "shared" / "data.mdb");
  octets[at] = static_cast<char>(octets[at] ^ (1 << bit));
  test::write_file(backup / "shared" / "data.mdb", octets);
}

TEST_CASE("of a damaged backup nothing is made, or what it was") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  for (int i = 0; i < 50; ++i) alpha.remember({.text = "lesson " + std::to_string(i)});
  alpha.backup(instances.path("backup"));
  const std::string sound = test::read_file(instances.path("backup") / "shared" / "data.mdb");
  Gen gen(7);
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    test::write_file(instances.path("backup") / "shared" / "data.mdb", sound);
    flip(instances.path("backup"), gen.index(sound.size()), static_cast<unsigned>(gen.below(8)));
    const fs::path dir = instances.path("restored");
    const auto error = test::error_of([&] { restore_instance(instances.path("backup"), dir); });
    if (error) {
      ++refused;
      CHECK((error->code() == ErrorCode::damaged || error->code() == ErrorCode::not_found));
      CHECK_FALSE(fs::exists(dir));
      continue;
    }
    CHECK(reopened(dir).digest() == alpha.digest());
    fs::remove_all(dir);
  }
  CHECK(refused > 10);
  test::write_file(instances.path("backup") / "shared" / "data.mdb", sound.substr(0, sound.size() / 2));
  CHECK(code_of([&] { restore_instance(instances.path("backup"), instances.path("restored")); }) == ErrorCode::damaged);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("backup")); }) == ErrorCode::damaged);
}

TEST_CASE("a backup in which a record is not what its author has signed is refused") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  alpha.remember({.text = "a lesson"});
  alpha.backup(instances.path("backup"));
  {
    const auto env = lmdb::Env::open({.dir = instances.path("backup") / "shared", .tables = shared_table_names()});
    env->write([&](lmdb::WriteTxn& txn) {
      lmdb::Cursor cursor = txn.cursor(table::dot);
      for (bool on = cursor.first(); on; on = cursor.next()) {
        if (cursor.key().size() != batch_key_octets) continue;
        const Bytes key = copy_of(cursor.key());
        BatchRow row = decode_batch_row(cursor.value());
        row.signature.bytes[5] ^= std::byte{1};
        txn.put(table::dot, key, encode(row));
        return;
      }
    });
  }
  CHECK(code_of([&] { restore_instance(instances.path("backup"), instances.path("restored")); }) == ErrorCode::damaged);
  CHECK(code_of([&] { alpha.restore_as_new(instances.path("backup")); }) == ErrorCode::damaged);
  CHECK_FALSE(fs::exists(instances.path("restored")));
}

TEST_CASE("an invitation that was open when the backup was made is open no more") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  const std::string token = alpha.invite({.member = {.name = "beta", .permissions = {{"lessons_learned", "rw"}}},
                                          .endpoint = "ws://127.0.0.1:1", .valid = std::chrono::hours(1)});
  alpha.backup(instances.path("backup"), {.with_private = true});
  restore_instance(instances.path("backup"), instances.path("restored"));
  const auto invitations = [](const fs::path& dir) {
    const auto env = lmdb::Env::open({.dir = dir / "shared", .tables = shared_table_names()});
    return env->read([](const lmdb::ReadTxn& txn) {
      std::size_t found = 0;
      lmdb::Cursor cursor = txn.cursor(table::meta);
      for (bool on = cursor.first(); on; on = cursor.next()) {
        found += std::string(text_of(cursor.key())).starts_with("invitation/") ? 1 : 0;
      }
      return found;
    });
  };
  CHECK(invitations(instances.path("backup")) == 1);
  CHECK(invitations(instances.path("restored")) == 0);
}

TEST_CASE("a backup is of one moment, whatever is written meanwhile") {
  const Instances instances;
  Memory alpha = instances.open("alpha");
  std::atomic<bool> is_over = false;
  std::thread writing([&] {
    for (int i = 0; !is_over; ++i) {
      alpha.write(std::vector<PacketEnvelope>{
          {.packet_type = "lesson", .payload = {{"text", "one " + std::to_string(i)}}},
          {.packet_type = "lesson", .payload = {{"text", "two " + std::to_string(i)}}}});
    }
  });
  for (int i = 0; i < 5; ++i) {
    const std::string name = std::to_string(i);
    alpha.backup(instances.path("backup-" + name));
    restore_instance(instances.path("backup-" + name), instances.path("restored-" + name));
    const Memory restored = reopened(instances.path("restored-" + name));
    CHECK(texts(restored).size() % 2 == 0);  // both of a commit or none
    CHECK(restored.verify({.deep = true}).is_sound());
  }
  is_over = true;
  writing.join();
}

}  // namespace
}  // namespace loam
