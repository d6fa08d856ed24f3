#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crdt/id.hpp"
#include "lib/memory.hpp"
#include "lib/router.hpp"

/// What the command line asks for, as plain values: one struct per command.
namespace loam::cli::command {

struct Init {
  std::string name;
  std::optional<FederationId> federation;
};

struct Id {};

/// With `packet` or `batch` the record means nothing; they exclude each other.
struct Remember {
  NewRecord record;
  std::optional<std::string> packet;  ///< a file, or "-"
  std::optional<std::string> batch;   ///< a file, or "-"
  bool atomic = false;                ///< of the batch
};

struct Recall {
  RecallQuery query;
};

struct Get {
  std::string id;
};

struct List {
  std::vector<std::string> segments;  ///< empty: every set segment; several: one after the other
  std::size_t limit = 50;
  std::string cursor;
};

struct Revise {
  std::string id;
  std::string text;
};

struct Forget {
  std::string id;     ///< empty: a batch
  std::string batch;  ///< a file of ids, or "-"
};

struct Put {
  std::string segment;
  std::string key;
  Value value;
};

struct Show {
  std::string segment;
  std::string key;
  bool heads = false;
};

struct Erase {
  std::string segment;
  std::string key;
};

struct Keys {
  std::string segment;
  std::size_t limit = 1'000;
  std::string cursor;
};

struct Route {
  Operation operation = Operation::read;
  std::string segment;
  std::string instance;  ///< empty: this one
};

struct Serve {
  ServeOptions options;
};

struct Sync {
  SyncOptions options;
  bool watch = false;
};

struct Status {
  bool watch = false;
};

struct Digest {
  std::string segment;  ///< empty: every shared segment
};

/// With `absent` nothing but that is looked for.
struct Verify {
  bool deep = false;
  std::string absent;  ///< an id or a text; empty: verify
};

struct Doctor {
  bool fix = false;
  std::string name;
  std::optional<FederationId> federation;
};

struct Export {
  ExportQuery query;
};

struct Import {
  std::string file;  ///< "-": standard input
  bool dry_run = false;
};

struct Journal {
  bool drop = false;
};

struct Peers {
  std::string confirm;  ///< whose removals are confirmed; empty: list the peers
};

}  // namespace loam::cli::command

namespace loam::cli {

using Command =
    std::variant<command::Init, command::Id, command::Remember, command::Recall, command::Get,
                 command::List, command::Revise, command::Forget, command::Put, command::Show,
                 command::Erase, command::Keys, command::Route, command::Serve, command::Sync,
                 command::Status, command::Digest, command::Verify, command::Doctor,
                 command::Export, command::Import, command::Journal, command::Peers>;

}  // namespace loam::cli
