#include "tests/crash/stores.hpp"

#include <unistd.h>

#include "tests/lib/signed_store.hpp"

namespace loam::test {
namespace {

// As lib/private_store.cpp names them.
const std::vector<std::string> private_tables{"meta", "segs",    "counts",    "rec",
                                              "reg",  "packets", "packet_log"};

lmdb::EnvOptions options(const std::filesystem::path& dir, std::uint64_t octets_start,
                         const std::vector<std::string>& tables) {
  return {.dir = dir,
          .octets_start = octets_start,
          .octets_max = crash_config().map_octets_max,
          .tables = tables};
}

}  // namespace

std::filesystem::path memory_directory() {
  const std::filesystem::path memory = "/dev/shm";
  return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
}

InstanceId own_instance() { return id_of<InstanceId>(1); }

SigningKey own_key() {
  static const SigningKey key = signing_key(1);
  return key;
}

Config crash_config() {
  Config config;
  config.journal_entries_max = 10;
  return config;
}

Stores::Stores(const std::filesystem::path& dir, std::uint64_t octets_start)
    : shared_env(lmdb::Env::open(options(dir / shared_name, octets_start, shared_table_names()))),
      private_env(lmdb::Env::open(options(dir / private_name, octets_start, private_tables))),
      shared(dir / shared_name, segments, crash_config(), own_instance(),
             StoreIdentity{"alpha", id_of<FederationId>(9)}, own_key()),
      priv(dir / private_name, segments, crash_config()) {}

}  // namespace loam::test
