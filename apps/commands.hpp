#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
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
};

struct Id {
  bool make = false;  ///< a key, where there is none
};

/// What an instance is to be and may do, as options say it.
struct Rights {
  std::map<std::string, std::string> allow;  ///< letters by segment; "all": every shared one
  std::optional<std::string> role;
  std::optional<bool> voter;
  std::vector<std::string> endpoints;
};

struct Invite {
  std::string name;
  Rights rights;
  std::string endpoint;  ///< where this instance listens; empty: as the registry says
  std::chrono::milliseconds valid = std::chrono::hours(24);
};

/// With a token, or with a file and a name.
struct Join {
  std::string token;  ///< "-": standard input
  std::string file;
  std::string name;
  std::chrono::milliseconds timeout = std::chrono::seconds(10);
};

struct Admit {
  std::string name;
  std::string key;
  Rights rights;
  std::string out;  ///< a file for the new instance, or "-"; empty: none
};

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
  CallOptions call;
};

struct Show {
  std::string segment;
  std::string key;
  bool heads = false;
  CallOptions call;
};

struct Erase {
  std::string segment;
  std::string key;
  CallOptions call;
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
  std::optional<std::chrono::milliseconds> every;  ///< again and again, until a signal
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
  std::string federation;  ///< a file; empty: the stores know it
};

struct Export {
  ExportQuery query;
};

struct Import {
  std::string file;  ///< "-": standard input
  bool dry_run = false;
};

struct Backup {
  std::string target;
  BackupOptions options;
};

struct Restore {
  std::string backup;
  bool as_new = false;
  std::vector<std::string> segments;  ///< with `as_new`
};

struct Journal {
  bool drop = false;
};

struct Rules {
  enum class Do { list, show, set, remove, check, explain, diff, test, conflicts };

  /// What is asked; texts that RuleRequest views.
  struct Request {
    std::string action;
    std::optional<std::string> resource;
    std::optional<std::string> subject;
    std::optional<std::string> environment;
    std::optional<Risk> risk;
    Map context;
    std::optional<std::int64_t> at_ms;
  };

  Do what = Do::list;
  std::string id;  ///< of a rule; of diff: a digest
  std::string file;
  bool heads = false;
  Request request;
  CallOptions call;
};

struct Peers {
  enum class Do { list, confirm, grant, suspend, reinstate, revoke };
  Do what = Do::list;
  std::string who;
  Rights rights;  ///< of grant
  bool force = false;  ///< of grant
  std::chrono::milliseconds timeout = std::chrono::seconds(10);  ///< of a change of voters
};

}  // namespace loam::cli::command

namespace loam::cli {

using Command =
    std::variant<command::Init, command::Id, command::Invite, command::Join, command::Admit, command::Remember, command::Recall, command::Get,
                 command::List, command::Revise, command::Forget, command::Put, command::Show,
                 command::Erase, command::Keys, command::Route, command::Serve, command::Sync,
                 command::Status, command::Digest, command::Verify, command::Doctor,
                 command::Export, command::Import, command::Backup, command::Restore, command::Journal, command::Rules, command::Peers>;

}  // namespace loam::cli
