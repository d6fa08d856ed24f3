#include "lib/config.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <map>

#include "crdt/error.hpp"
#include "lib/descriptor.hpp"

namespace loam {
namespace {

constexpr std::uint64_t map_octets_least = std::uint64_t{1} << 20;
constexpr std::uint64_t map_octets_greatest = std::uint64_t{1} << 46;  // of a 47-bit address space
constexpr std::uint64_t journal_entries_greatest = 1'000'000'000;
constexpr std::uint64_t removals_greatest = 1'000'000'000;
constexpr std::uint64_t batches_greatest = 1'000'000;
constexpr std::size_t config_octets_max = std::size_t{1} << 20;
constexpr std::size_t endpoints_max = 1'024;
constexpr std::size_t endpoint_octets_max = 1'024;
constexpr std::size_t hosts_max = 64;

/// Reads one document and names file, line and key when something is wrong. One thread.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path.string()) {}

  Config read(const toml::table& root) {
    Config config;
    for (const auto& [key, node] : root) {
      if (key == "endpoints") {
        read_endpoints(node, config);
      } else if (key == "segments") {
        read_segments(node, config);
      } else if (key == "strong_segments") {
        read_strong_segments(node, config);
      } else if (key == "hosts") {
        read_hosts(node, config);
      } else if (key == "limits") {
        read_limits(node, config.limits);
      } else if (key == "store") {
        read_store(node, config);
      } else if (key == "sync") {
        read_sync(node, config);
      } else {
        unknown(key, "");
      }
    }
    return config;
  }

  [[noreturn]] void reject(const toml::source_region& at, const std::string& why) const {
    throw Error(ErrorCode::invalid, path_ + ": line " + std::to_string(at.begin.line) + ": " + why);
  }

 private:
  [[noreturn]] void unknown(const toml::key& key, const std::string& inside) const {
    reject(key.source(), inside + std::string(key.str()) + ": no such key");
  }

  void read_endpoints(const toml::node& node, Config& config) const {
    const toml::array& list = list_of(node, "endpoints");
    if (list.size() > endpoints_max) {
      reject(node.source(), "endpoints: " + std::to_string(list.size()) + ", limit " +
                                std::to_string(endpoints_max));
    }
    for (const toml::node& entry : list) {
      const std::string endpoint = text_of(entry, "endpoints");
      if (endpoint.empty() || endpoint.size() > endpoint_octets_max) {
        reject(entry.source(),
               "endpoints: an endpoint is 1 to " + std::to_string(endpoint_octets_max) + " octets");
      }
      config.endpoints.push_back(endpoint);
    }
  }

  void read_strong_segments(const toml::node& node, Config& config) const {
    for (const toml::node& entry : list_of(node, "strong_segments")) {
      config.strong_segments.push_back(text_of(entry, "strong_segments"));
    }
  }

  void read_hosts(const toml::node& node, Config& config) const {
    const toml::array& list = list_of(node, "hosts");
    if (list.size() > hosts_max) {
      reject(node.source(), "hosts: " + std::to_string(list.size()) + ", limit " + std::to_string(hosts_max));
    }
    for (const toml::node& entry : list) {
      const std::string host = text_of(entry, "hosts");
      try {
        if (host.find_first_of(":/[") != std::string::npos) throw Error(ErrorCode::invalid, "");
        config.limits.hosts.push_back(parse_address(host).host);
      } catch (const Error&) {
        reject(entry.source(), "hosts: not the name of a host");
      }
    }
  }

  // Only downwards: the defaults are what is tested at its limit.
  void read_limits(const toml::node& node, ListenLimits& limits) const {
    const std::map<std::string_view, std::size_t*> counts{
        {"strangers_max", &limits.strangers_max},
        {"strangers_per_address_max", &limits.strangers_per_address_max},
        {"connections_max", &limits.connections_max},
        {"outbox_octets_max", &limits.link.outbox_octets_max},
        {"unapplied_octets_max", &limits.link.unapplied_octets_max}};
    const std::map<std::string_view, std::chrono::milliseconds*> times{
        {"connect_ms", &limits.link.connect}, {"tls_ms", &limits.link.tls},
        {"upgrade_ms", &limits.link.upgrade}, {"hello_ms", &limits.link.hello},
        {"message_ms", &limits.link.message}, {"close_ms", &limits.link.close}};
    for (const auto& [key, entry] : table_of(node, "limits")) {
      const std::string name = "limits." + std::string(key.str());
      if (const auto count = counts.find(key.str()); count != counts.end()) {
        *count->second = number_of(entry, name.c_str(), {1, *count->second});
      } else if (const auto time = times.find(key.str()); time != times.end()) {
        const auto most = static_cast<std::uint64_t>(time->second->count());
        *time->second = std::chrono::milliseconds(number_of(entry, name.c_str(), {1, most}));
      } else {
        unknown(key, "limits.");
      }
    }
  }

  void read_segments(const toml::node& node, Config& config) const {
    for (const toml::node& entry : list_of(node, "segments")) {
      config.segments.push_back(read_segment(table_of(entry, "segments")));
    }
  }

  Segment read_segment(const toml::table& table) const {
    Segment segment;
    for (const auto& [key, node] : table) {
      if (key == "name") {
        segment.name = text_of(node, "segments.name");
        if (!is_name(segment.name)) reject(node.source(), "segments.name: not a segment name");
      } else if (key == "scope") {
        segment.scope =
            one_of(node, "segments.scope", "private", "shared") ? Scope::shared : Scope::priv;
      } else if (key == "kind") {
        segment.kind = one_of(node, "segments.kind", "set", "map") ? Kind::map : Kind::set;
      } else if (key == "governed") {
        const toml::value<bool>* governed = node.as_boolean();
        if (!governed) reject(node.source(), "segments.governed: not true or false");
        segment.governed = governed->get();
      } else {
        unknown(key, "segments.");
      }
    }
    for (const char* needed : {"name", "scope", "kind"}) {
      if (!table.contains(needed)) {
        reject(table.source(), "segments." + std::string(needed) + ": missing");
      }
    }
    return segment;
  }

  void read_store(const toml::node& node, Config& config) const {
    for (const auto& [key, entry] : table_of(node, "store")) {
      if (key == "map_octets_max") {
        config.map_octets_max =
            number_of(entry, "store.map_octets_max", {map_octets_least, map_octets_greatest});
      } else if (key == "journal_entries_max") {
        config.journal_entries_max =
            number_of(entry, "store.journal_entries_max", {0, journal_entries_greatest});
      } else {
        unknown(key, "store.");
      }
    }
  }

  void read_sync(const toml::node& node, Config& config) const {
    for (const auto& [key, entry] : table_of(node, "sync")) {
      if (key == "silent_removals_max") {
        config.silent_removals_max =
            number_of(entry, "sync.silent_removals_max", {0, removals_greatest});
      } else if (key == "silent_removals_percent_max") {
        config.silent_removals_percent_max =
            number_of(entry, "sync.silent_removals_percent_max", {0, 100});
      } else if (key == "author_batches_per_second") {
        config.quota.per_second = number_of(entry, "sync.author_batches_per_second", {0, batches_greatest});
      } else if (key == "author_batches_burst") {
        config.quota.burst = number_of(entry, "sync.author_batches_burst", {1, batches_greatest});
      } else {
        unknown(key, "sync.");
      }
    }
  }

  const toml::array& list_of(const toml::node& node, const char* key) const {
    const toml::array* list = node.as_array();
    if (!list) reject(node.source(), std::string(key) + ": not a list");
    return *list;
  }

  const toml::table& table_of(const toml::node& node, const char* key) const {
    const toml::table* table = node.as_table();
    if (!table) reject(node.source(), std::string(key) + ": not a table");
    return *table;
  }

  std::string text_of(const toml::node& node, const char* key) const {
    const toml::value<std::string>* text = node.as_string();
    if (!text) reject(node.source(), std::string(key) + ": not a text");
    return text->get();
  }

  // Whether the text is the second of the two.
  bool one_of(const toml::node& node, const char* key, std::string_view first,
              std::string_view second) const {
    const std::string text = text_of(node, key);
    if (text != first && text != second) {
      reject(node.source(), std::string(key) + ": not \"" + std::string(first) + "\" or \"" +
                                std::string(second) + "\"");
    }
    return text == second;
  }

  struct Bounds {
    std::uint64_t least;
    std::uint64_t greatest;
  };

  std::uint64_t number_of(const toml::node& node, const char* key, Bounds bounds) const {
    const toml::value<std::int64_t>* number = node.as_integer();
    if (!number) reject(node.source(), std::string(key) + ": not an integer");
    const std::int64_t value = number->get();
    const bool is_inside = value >= 0 && static_cast<std::uint64_t>(value) >= bounds.least &&
                           static_cast<std::uint64_t>(value) <= bounds.greatest;
    if (!is_inside) {
      reject(node.source(), std::string(key) + ": " + std::to_string(value) + ", must be " +
                                std::to_string(bounds.least) + " to " +
                                std::to_string(bounds.greatest));
    }
    return static_cast<std::uint64_t>(value);
  }

  std::string path_;
};

std::filesystem::path config_path(const std::filesystem::path& dir) { return dir / "config.toml"; }

std::string read_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(config_octets_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!in.is_open() || in.bad()) {
    throw Error(ErrorCode::failed, path.string() + ": cannot read it");
  }
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > config_octets_max) {
    throw Error(ErrorCode::invalid, path.string() + ": over the limit of " +
                                        std::to_string(config_octets_max) + " octets");
  }
  return text;
}

constexpr std::string_view default_config =
    R"(# What is not set here has the default shown.

# Peers to keep links to.
# endpoints = ["ws://127.0.0.1:7701"]

# Names by which others reach this machine, besides its addresses; a request for another is refused.
# hosts = ["hub.example.org"]

# Shared segments whose reads and writes need a majority of the voters, unless a call says otherwise.
# strong_segments = ["approval_rules", "governance_meta"]

[limits]
# What one connection, and all together, may take; lower than this, or as it is. A stranger has not yet proven
# who it is.
# strangers_max = 64
# strangers_per_address_max = 8
# connections_max = 1024
# outbox_octets_max = 8388608
# unapplied_octets_max = 4194304
# connect_ms = 5000
# tls_ms = 5000
# upgrade_ms = 5000
# hello_ms = 10000
# message_ms = 10000
# close_ms = 2000

[store]
# The store may grow to this many octets, then writes are refused.
# map_octets_max = 68719476736

# Changes remembered for each segment so that returning peers catch up quickly; 0: none.
# journal_entries_max = 100000

[sync]
# What a returning peer lacks without having said that it removed it. Up to so many records of a segment,
# or so many in a hundred, are removed here too; more are kept until you confirm it.
# silent_removals_max = 1000
# silent_removals_percent_max = 1

# What a peer brings of one author in one segment: so many of its commits at once, then so many a second; the rest
# waits at the peer, nothing longer than five seconds. 0: as fast as it can be stored.
# author_batches_per_second = 0
# author_batches_burst = 500

# Further segments. scope: "shared" (replicated) or "private" (stays here); kind: "set" (records) or
# "map" (keys and values); governed: only a shared map can be.
# [[segments]]
# name = "team_notes"
# scope = "shared"
# kind = "set"
# governed = false
)";

}  // namespace

Config load_config(const std::filesystem::path& dir) {
  const auto path = config_path(dir);
  std::error_code code;
  const auto status = std::filesystem::symlink_status(path, code);
  if (status.type() == std::filesystem::file_type::not_found) return {};
  const std::string text = read_text(path);
  Reader reader(path);
  Config config;
  try {
    const toml::table root = toml::parse(text, path.string());
    config = reader.read(root);
  } catch (const toml::parse_error& error) {
    reader.reject(error.source(), std::string(error.description()));
  }
  try {
    (void)SegmentTable(config.segments, config.strong_segments);
  } catch (const Error& error) {
    throw Error(ErrorCode::invalid, path.string() + ": " + std::string(error.message()));
  }
  return config;
}

void write_default_config(const std::filesystem::path& dir) {
  const auto path = config_path(dir);
  const Descriptor file(
      open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (file.number() < 0 && errno == EEXIST) return;
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot make it");
  const auto put = write(file.number(), default_config.data(), default_config.size());
  if (put != static_cast<ssize_t>(default_config.size())) {
    throw_errno(put < 0 ? errno : ENOSPC, path.string() + ": cannot write it");
  }
  sync(file, path);
}

}  // namespace loam
