#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crdt/bytes.hpp"
#include "lib/lmdb_check.hpp"

namespace loam::lmdb {

/// Default sizes of an environment's map, in octets.
inline constexpr std::uint64_t map_octets_start = std::uint64_t{64} << 20;
inline constexpr std::uint64_t map_octets_max = std::uint64_t{64} << 30;

/// Octets beyond the configured cap that only removals may use, so that a full store can be emptied.
inline constexpr std::uint64_t removal_reserve_octets = std::uint64_t{16} << 20;

class WriteTxn;

struct EnvOptions {
  std::filesystem::path dir;                       ///< made with mode 0700 when missing
  std::uint64_t octets_start = map_octets_start;
  std::uint64_t octets_max = map_octets_max;
  std::vector<std::string> tables = {};

  /// Called with the names of the tables that a file lacks which has others, in the transaction that adds
  /// them, for what must be changed with them. What it throws ends the opening, and nothing is added.
  /// When it is empty, such a file is damaged.
  std::function<void(WriteTxn&, const std::vector<std::string>& added)> upgrade = {};
};

/// The index of a table in EnvOptions::tables.
enum class Table : std::uint8_t {};

struct EnvState;

/// What a value whose checksum does not match means to whoever reads it.
enum class Damage {
  refuse,  ///< Error(damaged)
  mark,    ///< it is told, and the octets as they are
};

/// A stored value, and whether its checksum does not match.
struct Stored {
  BytesView value;  ///< when it is damaged: as it stands there, worth nothing but to be kept
  bool is_damaged = false;
};

/// A cursor over one table of a transaction. Keys and values are views that die with the transaction,
/// or with the next write through it. Verifies the checksum of what it reads.
class Cursor {
 public:
  Cursor(Cursor&&) noexcept;
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor();

  /// Each moves and says whether it stands on an entry now. A new cursor stands nowhere: next() goes to
  /// the first entry, previous() to the last. One that ran off an end stays there and can turn round.
  bool seek(BytesView key);  ///< the first entry whose key is not less
  bool first();
  bool last();
  bool next();
  bool previous();

  BytesView key() const noexcept { return key_; }
  BytesView value() const noexcept { return value_; }

  /// Whether the value is damaged; only of a cursor that marks damage.
  bool is_damaged() const noexcept { return is_damaged_; }

 private:
  friend class ReadTxn;
  enum class Place : std::uint8_t { nowhere, entry, before, after };
  Cursor(void* handle, const class ReadTxn* txn, Damage damage);
  bool move(int operation, BytesView key, Place otherwise);

  void* handle_;
  EnvState* env_;
  Damage damage_;
  Place place_ = Place::nowhere;
  BytesView key_;
  BytesView value_;
  bool is_damaged_ = false;
};

/// A snapshot. Lives for milliseconds on the stack of one thread.
class ReadTxn {
 public:
  ReadTxn(const ReadTxn&) = delete;
  ReadTxn& operator=(const ReadTxn&) = delete;

  /// The value under a key, a view; absent when there is none. Throws Error(damaged) when its checksum
  /// does not match.
  std::optional<BytesView> get(Table table, BytesView key) const;

  /// As get, but damage is marked and not thrown.
  std::optional<Stored> look(Table table, BytesView key) const;

  Cursor cursor(Table table, Damage damage = Damage::refuse) const;
  std::uint64_t count(Table table) const;

  /// The number of the transaction whose state this is.
  std::uint64_t number() const noexcept;

  /// How often this process had reopened the environment after a failed commit. Between two such a
  /// number stands for one state; a state that was read and then lost shares its number with another.
  std::uint64_t reopenings() const noexcept;

 protected:
  friend class Env;
  friend class Cursor;
  ReadTxn(EnvState& env, void* handle) : env_(&env), handle_(handle) {}
  ~ReadTxn() = default;

  EnvState* env_;
  void* handle_;
};

/// The one write transaction. Nothing is durable, or visible to others, before Env::write returns.
class WriteTxn : public ReadTxn {
 public:
  void put(Table table, BytesView key, BytesView value);

  /// As put, for a key greater than every other of the table: faster and denser.
  void append(Table table, BytesView key, BytesView value);

  /// Whether there was such a key.
  bool erase(Table table, BytesView key);

 private:
  friend class Env;
  friend struct EnvState;
  using ReadTxn::ReadTxn;
};

/// Whether a write may use the reserve that is kept for removals.
enum class Space { normal, removal };

/// One LMDB environment with its tables. Default sync flags, always. Opening a path twice in one
/// process returns the same handle. Thread-safe; write() calls exclude one another, across processes
/// too. After fork() every call in the child throws Error(wrong_process).
///
/// Every stored value ends in four octets of XXH3 over key and value; callers never see them.
class Env {
 public:
  /// Throws Error(damaged) when the file is no LMDB file or shorter than its meta pages say,
  /// Error(denied) for permissions, Error(failed) for anything else.
  static std::shared_ptr<Env> open(const EnvOptions& options);

  /// Whether this process has the environment of a directory open.
  static bool is_open_here(const std::filesystem::path& dir);

  explicit Env(std::unique_ptr<EnvState> state);
  ~Env();

  /// Runs `body` on a snapshot and returns what it returns (values, never views).
  template <class Body>
  auto read(Body&& body) const {
    Snapshot snapshot(*state_);
    return body(static_cast<const ReadTxn&>(snapshot.txn));
  }

  /// Runs `body` in the write transaction and commits: durable on return. When the map is too small
  /// it grows and `body` runs again, so `body` has no effect but through the transaction and what it
  /// assigns anew on every run. When `body` throws, nothing is stored. Throws Error(out_of_space) at the
  /// configured cap, Error(failed) when the disk fails: what was to be committed is then there, whole, or
  /// not. After such a failure the environment is closed, opened again and checked before anything else
  /// is committed, at once and when that fails by the next write. Throws Error(damaged), from then on,
  /// when the check finds that the file is.
  void write(const std::function<void(WriteTxn&)>& body, Space space = Space::normal);

  /// Whether this thread runs a body of `read` or `write` now: they do not nest.
  bool is_inside() const noexcept;

  /// False: the disk has refused a commit, and refuses still. The next write tries again.
  bool is_writable() const noexcept;

  /// How many commits the disk has refused in this process. When a write has thrown and this has grown,
  /// what it wrote may be durable all the same.
  std::uint64_t refused_commits() const noexcept;

  /// The number of the last committed transaction that a read sees now, by any process. Cheap enough
  /// to poll.
  std::uint64_t last_transaction() const;

  /// Octets of the data file in use.
  std::uint64_t octets_used() const;

  /// A compacted, consistent copy of the environment into an empty directory, while in use.
  void copy_to(const std::filesystem::path& dir) const;

  /// Checks the state of now (lmdb_check.hpp), while in use by anybody. Holds a snapshot meanwhile, so
  /// the file may grow.
  CheckReport check(CheckOptions options = {}) const;

  const std::filesystem::path& dir() const noexcept;

 private:
  struct Snapshot {
    explicit Snapshot(EnvState& state);
    ~Snapshot();
    struct Txn : ReadTxn {
      using ReadTxn::ReadTxn;
    };
    EnvState& state;
    Txn txn;
  };

  std::unique_ptr<EnvState> state_;
};

}  // namespace loam::lmdb
