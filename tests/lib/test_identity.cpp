#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>
#include <vector>

#include "lib/identity.hpp"
#include "tests/lib/scratch.hpp"

namespace loam {
namespace {

using test::code_of;
using test::message_of;
using test::Scratch;

void set_mode(const std::filesystem::path& path, unsigned mode) {
  REQUIRE(chmod(path.c_str(), mode) == 0);
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat status {};
  lstat(path.c_str(), &status);
  return status.st_mode & 0777U;
}

std::size_t files_in(const std::filesystem::path& dir) {
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir)) ++files;
  return files;
}

TEST_CASE("a key that was made is loaded with the same id") {
  const Scratch scratch;
  const InstanceKey made = make_instance_key(scratch.path());
  const InstanceKey loaded = load_instance_key(scratch.path());
  CHECK(loaded.public_key == made.public_key);
  CHECK(loaded.id == made.id);
  CHECK(made.public_key.size() == 64);
  CHECK_FALSE(made.id.is_zero());
}

TEST_CASE("two keys differ") {
  const Scratch scratch;
  const Scratch other;
  CHECK(make_instance_key(scratch.path()).id != make_instance_key(other.path()).id);
}

TEST_CASE("the key of a known seed is that of RFC 8032 and has a fixed id") {
  const Scratch scratch;
  test::write_file(scratch / "identity.key",
                   "loam ed25519 seed 1\n"
                   "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n");
  set_mode(scratch / "identity.key", 0600);
  const InstanceKey key = load_instance_key(scratch.path());
  CHECK(key.public_key == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
  CHECK(key.id.text() == "73pgpnrkgnydr9z60vtpeq5557");
}

TEST_CASE("what an instance signs is good under its public key, also after loading and by a copy") {
  const Scratch scratch;
  const InstanceKey made = make_instance_key(scratch.path());
  const SigningKey copy = load_instance_key(scratch.path()).signing;
  const Bytes message = copy_of(bytes_of("message"));
  CHECK(copy.public_key().text() == made.public_key);
  CHECK(is_signed_by(made.signing.public_key(), "loam test 1", message, copy.sign("loam test 1", message)));
  CHECK_FALSE(is_signed_by(copy.public_key(), "loam test 2", message, copy.sign("loam test 1", message)));
  // Ed25519 signs without randomness.
  CHECK(made.signing.sign("loam test 1", message) == copy.sign("loam test 1", message));
}

TEST_CASE("the memory of a secret key is locked, where that is allowed, and not dumped") {
  const Scratch scratch;
  const InstanceKey key = make_instance_key(scratch.path());
  const auto has_mapping = [](const char* one, const char* other) {
    std::ifstream maps("/proc/self/smaps");
    for (std::string line; std::getline(maps, line);) {
      const bool is_it = line.starts_with("VmFlags:") && line.find(one) != std::string::npos &&
                         line.find(other) != std::string::npos;
      if (is_it) return true;
    }
    return false;
  };
  CHECK(has_mapping(" dd", ""));
  // A page of our own tells whether anything can be locked: a limit or a sanitizer may keep it from that.
  void* const page = mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED);
  if (mlock(page, 4'096) == 0 && has_mapping(" lo", "")) CHECK(has_mapping(" lo", " dd"));
  munmap(page, 4'096);
}

TEST_CASE("the key file is readable by its owner only, and nothing else is left") {
  const Scratch scratch;
  const auto umask_before = umask(0);
  make_instance_key(scratch.path());
  umask(umask_before);
  CHECK(mode_of(scratch / "identity.key") == 0600);
  CHECK(files_in(scratch.path()) == 1);
}

TEST_CASE("a key is never made over another") {
  const Scratch scratch;
  const InstanceKey made = make_instance_key(scratch.path());
  CHECK(code_of([&] { make_instance_key(scratch.path()); }) == ErrorCode::failed);
  CHECK(load_instance_key(scratch.path()).id == made.id);
  CHECK(files_in(scratch.path()) == 1);
}

TEST_CASE("of several who make a key at once, one does") {
  const Scratch scratch;
  std::vector<std::thread> threads;
  std::atomic<int> made{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      if (!test::error_of([&] { make_instance_key(scratch.path()); })) ++made;
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(made == 1);
  load_instance_key(scratch.path());
}

TEST_CASE("a missing key is not found") {
  const Scratch scratch;
  CHECK(code_of([&] { load_instance_key(scratch.path()); }) == ErrorCode::not_found);
  CHECK(code_of([&] { load_instance_key(scratch / "nowhere"); }) == ErrorCode::not_found);
}

TEST_CASE("a key that others may read or write is denied") {
  const Scratch scratch;
  make_instance_key(scratch.path());
  for (const unsigned mode : {0640U, 0620U, 0604U, 0602U, 0601U, 0666U}) {
    CAPTURE(mode);
    set_mode(scratch / "identity.key", mode);
    CHECK(code_of([&] { load_instance_key(scratch.path()); }) == ErrorCode::denied);
  }
  set_mode(scratch / "identity.key", 0400);
  load_instance_key(scratch.path());
}

TEST_CASE("a key behind a symlink is denied, to read and to make") {
  const Scratch scratch;
  const Scratch other;
  make_instance_key(other.path());
  std::filesystem::create_symlink(other / "identity.key", scratch / "identity.key");
  CHECK(code_of([&] { load_instance_key(scratch.path()); }) == ErrorCode::denied);
  std::filesystem::remove(scratch / "identity.key");
  std::filesystem::create_symlink(scratch / "nowhere", scratch / "identity.key");
  CHECK(code_of([&] { make_instance_key(scratch.path()); }) == ErrorCode::failed);
  CHECK_FALSE(std::filesystem::exists(scratch / "nowhere"));
}

TEST_CASE("a key that is a directory is denied") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "identity.key");
  CHECK(code_of([&] { load_instance_key(scratch.path()); }) == ErrorCode::denied);
}

TEST_CASE("a file that is no key is damaged, and its content is not repeated") {
  const Scratch scratch;
  make_instance_key(scratch.path());
  const std::string whole = test::read_file(scratch / "identity.key");
  std::string wrong_digit = whole;
  wrong_digit[whole.size() - 2] = 'g';
  std::string wrong_header = whole;
  wrong_header[0] = 'L';
  for (const std::string& content :
       {std::string(), whole.substr(0, whole.size() - 1), whole + "\n", whole.substr(20),
        wrong_digit, wrong_header, std::string(100'000, 'x')}) {
    test::write_file(scratch / "identity.key", content);
    CHECK(code_of([&] { load_instance_key(scratch.path()); }) == ErrorCode::damaged);
    const auto message = message_of([&] { load_instance_key(scratch.path()); });
    CHECK(message == "damaged: " + (scratch / "identity.key").string() + ": not a key file");
  }
}

TEST_CASE("a missing directory is made for its owner alone, with its parents") {
  const Scratch scratch;
  const auto dir = scratch / "a/b/c";
  secure_directory(dir);
  CHECK(mode_of(dir) == 0700);
  secure_directory(dir);
}

TEST_CASE("a directory that others have access to is denied") {
  const Scratch scratch;
  for (const unsigned mode : {0701U, 0710U, 0750U, 0755U, 0777U}) {
    CAPTURE(mode);
    set_mode(scratch.path(), mode);
    CHECK(code_of([&] { secure_directory(scratch.path()); }) == ErrorCode::denied);
    CHECK(mode_of(scratch.path()) == mode);
  }
  set_mode(scratch.path(), 0700);
  secure_directory(scratch.path());
}

TEST_CASE("a directory behind a symlink is denied, with a slash at its end too") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "real");
  set_mode(scratch / "real", 0700);
  std::filesystem::create_directory_symlink(scratch / "real", scratch / "link");
  CHECK(code_of([&] { secure_directory(scratch / "link"); }) == ErrorCode::denied);
  CHECK(code_of([&] { secure_directory(scratch / "link/"); }) == ErrorCode::denied);
  secure_directory(scratch / "real/");
}

TEST_CASE("a file where the directory should be is an error of the environment") {
  const Scratch scratch;
  test::write_file(scratch / "file", "");
  CHECK(code_of([&] { secure_directory(scratch / "file"); }) == ErrorCode::failed);
  CHECK(code_of([&] { secure_directory(scratch / "file/below"); }) == ErrorCode::failed);
  CHECK(code_of([&] { secure_directory(""); }) == ErrorCode::failed);
}

TEST_CASE("a directory of somebody else is denied") {
  if (getuid() != 0) return;  // only root can give one away
  const Scratch scratch;
  REQUIRE(chown(scratch.path().c_str(), 12'345, 12'345) == 0);
  CHECK(code_of([&] { secure_directory(scratch.path()); }) == ErrorCode::denied);
  const Scratch other;
  make_instance_key(other.path());
  REQUIRE(chown((other / "identity.key").c_str(), 12'345, 12'345) == 0);
  CHECK(code_of([&] { load_instance_key(other.path()); }) == ErrorCode::denied);
}

TEST_CASE("network file systems are told by their number, local ones are not") {
  CHECK(network_file_system(0x6969) == "NFS");
  CHECK(network_file_system(0xFF534D42) == "SMB");
  CHECK(network_file_system(0xFE534D42) == "SMB");
  CHECK(network_file_system(0x65735546) == "FUSE");
  CHECK(network_file_system(0xEF53) == "");      // ext4
  CHECK(network_file_system(0x58465342) == "");  // XFS
  CHECK(network_file_system(0x01021994) == "");  // tmpfs
}

}  // namespace
}  // namespace loam
