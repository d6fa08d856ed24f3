#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <random>

#include "crdt/big_endian.hpp"
#include "lib/lmdb.hpp"
#include "tests/lib/scratch.hpp"

// What the tests of the LMDB layer share: an environment of two tables.
namespace loam::lmdb::test_env {

using ::loam::test::code_of;
using ::loam::test::message_of;
using ::loam::test::Scratch;

inline constexpr Table first_table{0};
inline constexpr Table second_table{1};
inline constexpr std::uint64_t mib = 1 << 20;

inline EnvOptions options_in(const std::filesystem::path& dir, std::uint64_t start = mib,
                             std::uint64_t cap = 256 * mib) {
  return {.dir = dir, .octets_start = start, .octets_max = cap, .tables = {"first", "second"}};
}

inline void put(Env& env, std::string_view key, std::string_view value) {
  env.write([&](WriteTxn& txn) { txn.put(first_table, bytes_of(key), bytes_of(value)); });
}

inline std::optional<std::string> get(const Env& env, std::string_view key) {
  return env.read([&](const ReadTxn& txn) -> std::optional<std::string> {
    const auto value = txn.get(first_table, bytes_of(key));
    if (!value) return std::nullopt;
    return std::string(text_of(*value));
  });
}

inline std::uint64_t count(const Env& env) {
  return env.read([](const ReadTxn& txn) { return txn.count(first_table); });
}

inline std::map<std::string, std::string> everything(const Env& env) {
  return env.read([](const ReadTxn& txn) {
    std::map<std::string, std::string> found;
    Cursor cursor = txn.cursor(first_table);
    while (cursor.next()) found.emplace(text_of(cursor.key()), text_of(cursor.value()));
    return found;
  });
}

inline Bytes number_key(std::uint64_t number) {
  Bytes key(8);
  store_u64(key.data(), number);
  return key;
}

// The value that belongs to a number, so that any thread can tell a wrong one.
inline std::string number_value(std::uint64_t number, std::size_t size) {
  std::string value(size, '\0');
  std::mt19937_64 random(number);
  for (char& c : value) c = static_cast<char>('a' + random() % 26);
  return value;
}

// Runs an action in a forked child and says how it ended: the exit code, or minus the signal.
template <class Action>
int in_child(Action&& action) {
  const pid_t child = fork();
  if (child == 0) {
    int code = 99;
    try {
      code = action();
    } catch (...) {
    }
    _exit(code);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace loam::lmdb::test_env
