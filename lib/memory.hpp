#pragma once

#include <any>
#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crdt/error.hpp"
#include "crdt/value.hpp"
#include "lib/backup.hpp"
#include "lib/member.hpp"
#include "lib/options.hpp"
#include "lib/packet.hpp"
#include "lib/router.hpp"
#include "lib/rules.hpp"
#include "lib/segment.hpp"
#include "lib/strong.hpp"
#include "lib/verify.hpp"

namespace loam {

/// Who this instance is.
struct Identity {
  std::string name;        ///< a label
  InstanceId id;           ///< derived from the public key
  FederationId federation;
  std::string public_key;  ///< Ed25519, 64 hexadecimal digits
};

/// What a write returns once it is durable.
struct Receipt {
  std::string id;       ///< of a record: 26 characters of base32; of an entry: its key
  std::string segment;
  Scope scope = Scope::priv;
  TargetKind target = TargetKind::private_store;
  bool existing = false;  ///< the same content (or packet id, or key) was there before

  bool operator==(const Receipt&) const = default;
};

/// What `remember` takes. Only `text` or a payload is required.
struct NewRecord {
  std::string segment = "lessons_learned";
  std::string type = {};  ///< empty: lesson, pattern, failure, event or trace, as the segment says
  std::string text = {};
  std::string title = {};
  std::vector<std::string> tags = {};
  Map payload = {};  ///< further typed fields
  std::string thread_id = {};
  std::string agent = {};
  std::string source = {};
  std::optional<Confidence> confidence = {};
  std::int64_t expires_at_ms = 0;
};

/// One author's word for a record.
struct Provenance {
  std::string author;
  std::int64_t at_ms = 0;
  std::string agent;
  std::string source;
};

/// A record of a set segment as readers see it: all its dots merged.
struct Record {
  std::string id;
  std::string segment;
  std::string type;
  std::string text;   ///< the text, or what stands for it (description, error signature, name)
  std::string title;  ///< may be empty
  Map payload;        ///< everything its author wrote
  std::vector<std::string> tags;     ///< of all authors, sorted
  std::vector<std::string> authors;  ///< names of instances, sorted
  std::uint64_t support = 0;         ///< how many distinct authors say so
  std::int64_t created_ms = 0;
  std::int64_t updated_ms = 0;
  std::int64_t expires_at_ms = 0;    ///< 0: never
  bool retracted = false;
  std::vector<std::string> supersedes;  ///< ids of records that this one revised
  std::vector<Provenance> provenance;   ///< oldest first
  Map metadata;                         ///< of its first author
  std::string thread_id;                ///< may be empty
  std::optional<Confidence> confidence; ///< the most recent one
};

/// One assignment of a map segment.
struct Entry {
  std::string segment;
  std::string key;
  std::optional<Value> value;  ///< absent: erased
  std::string author;
  std::int64_t at_ms = 0;
};

struct ListQuery {
  std::string segment = {};  ///< empty: every set segment
  std::size_t limit = 50;    ///< 1 to 10,000
  std::string cursor = {};   ///< empty: from the newest
};

/// Records, newest first.
struct RecordPage {
  std::vector<Record> items;
  std::optional<std::string> next;  ///< absent: no more
  std::uint64_t damaged = 0;        ///< records of this page that could not be read, and are left out
};

struct KeyPage {
  std::vector<std::string> items;
  std::optional<std::string> next;
  std::uint64_t damaged = 0;  ///< keys of this page whose value could not be read, and are left out
};

/// How much of the federation an answer rests on.
struct Coverage {
  std::uint64_t peers_total = 0;
  std::uint64_t peers_current = 0;
  std::int64_t oldest_peer_age_ms = 0;
  std::vector<std::string> unreachable;
  bool partial = false;
  std::uint64_t unindexed = 0;
  std::uint64_t damaged = 0;  ///< records left out: they could not be read, and no peer has sent them again
};

struct RecallQuery {
  std::string text = {};                   ///< empty: everything that passes the filters, newest first
  std::vector<std::string> segments = {};  ///< empty: every set segment
  std::vector<std::string> tags = {};      ///< all of them
  std::string author = {};                 ///< name of an instance; empty: anyone
  std::optional<std::int64_t> since_ms = {};
  std::optional<std::int64_t> until_ms = {};
  std::size_t limit = 10;                  ///< 1 to 1,000
  std::size_t offset = 0;
  bool explain = false;                    ///< fill `Hit::why`
};

struct Hit {
  double score = 0;
  Record record;
  Map why;  ///< per-term contributions when asked for
};

struct RecallResult {
  std::vector<Hit> items;
  std::optional<std::string> next;  ///< the offset to go on with; absent: no more
  Coverage coverage;
};

struct SegmentStatus {
  Scope scope = Scope::priv;
  Kind kind = Kind::set;
  std::uint64_t records = 0;  ///< live records, or keys of a map
  std::uint64_t bytes = 0;    ///< of their encoded forms
};

struct PeerStatus {
  std::string name;
  std::string id;
  std::string endpoint;           ///< may be empty: it dialled us
  bool linked = false;            ///< by this process, now
  std::int64_t last_seen_ms = 0;  ///< 0: never
  std::map<std::string, std::uint64_t> lag;  ///< per segment: local changes it has not confirmed

  /// Per segment: records of it that were refused (SegmentTraffic), ever and by any process; one that comes again counts
  /// again. Segments of which none was are left out.
  std::map<std::string, std::uint64_t> refused;
};

struct ExportReport {
  std::uint64_t written = 0;  ///< records and entries that were handed out
  std::uint64_t damaged = 0;  ///< records and keys that could not be read, and are left out
};

/// Something that an operator must look at: states that differ though they may not, a copy of this
/// instance that runs, removals that wait.
struct AlarmStatus {
  std::string text;
  std::int64_t first_ms = 0;
  std::int64_t last_ms = 0;
  std::uint64_t count = 0;  ///< how often it was raised
};

struct Status {
  Identity identity;
  std::map<std::string, SegmentStatus> segments;
  std::vector<PeerStatus> peers;
  VoterStatus voters;
  std::vector<AlarmStatus> alarms;  ///< raised within a week, by any process; the last one last
};

/// What one segment exchanged with one peer.
struct SegmentTraffic {
  std::uint64_t sent = 0;      ///< records
  std::uint64_t received = 0;  ///< records that were new here
  std::uint64_t removed = 0;   ///< records that died here
  std::uint64_t refused = 0;   ///< records that nobody who may has signed
  std::uint64_t parked = 0;    ///< records that wait at the peer until more of the registry is here
  std::uint64_t held = 0;      ///< records that the peer has removed, and that wait to be confirmed here
};

struct PeerReport {
  std::string endpoint;
  std::string name;   ///< empty when it never said
  bool ok = false;
  bool converged = false;
  std::string error;  ///< empty when ok
  ErrorCode code = ErrorCode::unavailable;  ///< meaningful when not ok
  std::uint64_t round_trips = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_opening = 0;  ///< of both: by which the two showed each other who they are
  std::map<std::string, SegmentTraffic> segments;
};

struct SyncReport {
  std::vector<PeerReport> peers;
  bool converged = false;  ///< every peer answered and its state equals ours
  std::optional<StrongReport> strong;  ///< whether a majority of the voters had the same state; absent: it was not asked
};

struct SyncOptions {
  std::vector<std::string> endpoints = {};  ///< empty: the known ones (configuration, registry)
  std::chrono::milliseconds timeout = std::chrono::seconds(10);

  /// Goes on until a majority of the voters has the same shared segments as this replica, whether or not all endpoints
  /// answer, and ends a change of voters that is under way if this instance is a governor.
  bool strong = false;
};

struct ServeOptions {
  /// HOST:PORT on loopback, or wss://HOST:PORT with an address of any interface; port 0 picks a free one.
  std::string listen = "127.0.0.1:7700";

  /// Where others reach it, wss://HOST:PORT, if they do not by the address that it listens on.
  std::string announce;
  bool dial_known = true;                 ///< also keep links to the known endpoints
  std::chrono::milliseconds every = std::chrono::seconds(1);  ///< looks for endpoints and news so often
};

/// A committed change of one shared segment.
struct Change {
  std::string segment;
  std::vector<std::string> ids;  ///< records or keys that are new or changed and live now
  std::uint64_t removed = 0;     ///< dots that are dead now
};

/// Records that a peer has removed without saying so, and that are kept here until that is confirmed.
struct HeldRemoval {
  std::string peer;  ///< its name, or the id of its store
  std::string segment;
  std::uint64_t records = 0;
  std::int64_t at_ms = 0;  ///< when it was noticed
};

/// Ends its watch when it is destroyed; waits for a running callback.
class Subscription {
 public:
  Subscription() = default;
  explicit Subscription(std::shared_ptr<void> hold) : hold_(std::move(hold)) {}

 private:
  std::shared_ptr<void> hold_;
};

struct ExportQuery {
  std::vector<std::string> segments = {};  ///< empty: every shared segment but the registry
  bool include_private = false;            ///< also every private segment, or allow naming one
};

struct ImportReport {
  std::uint64_t written = 0;
  std::uint64_t existing = 0;
  std::vector<std::pair<std::uint64_t, std::string>> refused;  ///< line number from 1, why
};

/// The text to open the new instance with that a token is for (Options::federation), and its name. Throws
/// Error(invalid) for what is no token.
struct TokenContents {
  std::string federation;
  std::string name;
};
TokenContents contents_of_token(std::string_view token);

/// The public key of the instance in a directory, 64 hexadecimal digits. Makes the directory and the key when there is
/// none, for an instance that is to be admitted before it is made. Throws Error(denied) for an unsafe directory,
/// Error(failed).
std::string instance_key(const std::filesystem::path& dir);

/// The memory of one instance: every segment behind one API. Thread-safe. Opening one directory twice
/// in a process shares the stores underneath; several processes may open it at once. Reads work on the
/// local replica, never touch the network, and return values. Writes block until they are durable
/// unless they return a future; they never touch the network. Strong calls (CallOptions) block until a majority of the
/// voters agrees, and throw Error(unavailable) when none does in time; of a write that is done here already it is
/// UnknownOutcome. Calls that return a future are eventual. Calls after fork() in the child throw
/// Error(wrong_process). Every method throws Error as its code says: unknown_segment, invalid, limit,
/// denied, not_found, out_of_space, damaged.
class Memory {
 public:
  /// Opens, or makes, the instance in a directory. Throws Error(denied) for an unsafe directory,
  /// Error(not_found) when there is none and no name to make one, Error(damaged), Error(failed).
  static Memory open(const Options& options);

  Memory(Memory&&) noexcept;
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  const Identity& identity() const noexcept;
  const std::string& name() const noexcept { return identity().name; }
  InstanceId id() const noexcept { return identity().id; }
  const SegmentTable& segments() const noexcept;

  // --- packets -------------------------------------------------------------------------------
  /// Writes one packet where the executor's rule says. Durable on return.
  Receipt write(const PacketEnvelope& packet, const CallOptions& options = {});

  /// Writes all packets or none; durable on return, in one commit per environment. Throws for the
  /// first bad packet, naming its index.
  std::vector<Receipt> write(std::span<const PacketEnvelope> packets, const CallOptions& options = {});

  /// As above, checked before return (throws), durable when the future is ready.
  std::future<Receipt> write_async(PacketEnvelope packet);
  std::future<std::vector<Receipt>> write_async(std::vector<PacketEnvelope> packets);

  // --- records -------------------------------------------------------------------------------
  Receipt remember(const NewRecord& record, const CallOptions& options = {});

  /// The record of an id, or of a unique prefix of 6 or more characters, in any set segment. Absent:
  /// none such. Throws Error(invalid) for an ambiguous or malformed id, Error(damaged) for a record that
  /// cannot be read.
  std::optional<Record> get(std::string_view id) const;

  RecordPage list(const ListQuery& query) const;
  RecallResult recall(const RecallQuery& query) const;

  /// Replaces the text of a record: a new record that supersedes it. The text it has already changes
  /// nothing. Throws Error(not_found).
  Receipt revise(std::string_view id, std::string_view text, const CallOptions& options = {});

  /// Removes a record with all its observed dots. Throws Error(not_found).
  Receipt forget(std::string_view id, const CallOptions& options = {});

  /// Removes these records, in one commit per environment; a commit removes all of its records or none.
  /// Throws for the first id that names no record, before anything is removed.
  std::vector<Receipt> forget(std::span<const std::string> ids, const CallOptions& options = {});

  // --- entries -------------------------------------------------------------------------------
  Receipt put(std::string_view segment, std::string_view key, const Value& value, const CallOptions& options = {});

  /// The winner; absent when the key was never written or was erased.
  std::optional<Entry> value(std::string_view segment, std::string_view key, const CallOptions& options = {}) const;

  /// The concurrent assignments that lost, best first. Empty for private segments.
  std::vector<Entry> siblings(std::string_view segment, std::string_view key, const CallOptions& options = {}) const;

  /// Writes "absent". Throws Error(not_found) when the key has no value.
  Receipt erase(std::string_view segment, std::string_view key, const CallOptions& options = {});

  /// Keys that have a value, in order of their octets, after `cursor`.
  KeyPage keys(std::string_view segment, std::string_view cursor = {},
               std::size_t limit = 1'000) const;

  // --- governance ----------------------------------------------------------------------------
  /// The approval rules in force, as of the last commit of any process on this store: who asks for every decision
  /// needs no restart when a rule changes. Cheap enough for that. Throws Error(damaged), Error(failed).
  Rules rules() const;

  /// The same as the options say: strong, they hold every change of a rule that was acknowledged by a majority before.
  Rules rules(const CallOptions& options) const;

  /// The same, read and folded anew.
  Rules reload_rules();

  /// The rules that had this digest here (Rules::digest, or its first 24 digits), by the rights of now. Absent: this
  /// replica never had those.
  std::optional<Rules> rules_with_digest(std::string_view digest) const;

  /// Assigns a rule: it takes the place of what is in force here under its id. Durable on return. Throws Error(invalid)
  /// for what is no rule, Error(denied) where this instance has no right to write rules, or to loosen what it would.
  Receipt set_rule(std::string_view id, const Rule& rule, const CallOptions& options = {});

  /// Throws as set_rule does, and Error(not_found).
  Receipt remove_rule(std::string_view id, const CallOptions& options = {});

  // --- strong consistency --------------------------------------------------------------------
  /// What `body` returns when it reads these shared segments at a moment at which a majority of the voters has them
  /// exactly as this replica. It is called on a thread of the library, perhaps more often than once, and must not write.
  /// Throws Error(unavailable), and what `body` throws. Of the options time and report count.
  template <class Body>
  auto read_strongly(const std::vector<std::string>& segments, Body&& body, const CallOptions& options = {}) const {
    return std::any_cast<decltype(body())>(read_any(segments, [&] { return std::any(body()); }, options));
  }

  VoterStatus voters() const;

  // --- routing -------------------------------------------------------------------------------
  /// Where an operation goes; `caller` empty: this instance.
  TargetBackend route_memory_operation(Operation operation, std::string_view segment,
                                       std::string_view caller = {}) const;

  // --- looking -------------------------------------------------------------------------------
  Status status() const;

  /// The canonical hash of each shared segment's state, or of one: equal on converged instances.
  std::map<std::string, std::string> digest(std::string_view segment = {}) const;

  /// As `verify_instance`, of what is open here: the state of now, while it is in use. Blocks for as
  /// long as it takes to read both files.
  VerifyReport verify(const VerifyOptions& options = {}) const;

  // --- federation ----------------------------------------------------------------------------
  /// One round with each endpoint: both sides exchange what the other lacks. Blocks for at most the
  /// timeout; touches the network. Never throws for a peer: the report says.
  SyncReport sync_shared_segments(const SyncOptions& options = {});
  std::future<SyncReport> sync_shared_segments_async(const SyncOptions& options = {});  ///< this outlives the future

  /// Accepts links until `stop()` or destruction. Returns the address it listens on,
  /// "127.0.0.1:7700" or "wss://0.0.0.0:7700".
  /// Throws Error(failed) when the address is taken, Error(denied) when it is not on loopback.
  std::string serve(const ServeOptions& options = {});

  /// Keeps a link to an endpoint, with reconnects, until `stop()` or destruction. Returns at once.
  void connect(const std::string& endpoint);

  /// Ends serving and all links; returns when they are closed.
  void stop();

  /// Calls back, on a thread of the library, for every committed change of the named shared segments
  /// (empty: all), also those made by other processes and peers. The callback must not block.
  Subscription watch(std::vector<std::string> segments, std::function<void(const Change&)> callback);

  /// Removals that wait: a peer that returned lacks more of a segment than silence is believed for (the
  /// configuration says how much). A truncated or forged store looks the same as a great clearing up.
  std::vector<HeldRemoval> held_removals() const;

  /// Removes what waits of a peer, here and then everywhere. Durable on return. Returns how many records
  /// died. Throws Error(not_found) when nothing waits of that peer.
  std::uint64_t confirm_removal(std::string_view peer);

  // --- members -------------------------------------------------------------------------------
  // Governors write the registry; elsewhere these throw Error(denied). Durable on return. `who` is a name, an id or
  // a public key: Error(not_found) where there is none, Error(invalid) where a name is that of several.

  /// All instances of the federation, by name.
  std::vector<Member> members() const;

  /// What a new instance needs to come in without a network (Options::federation), once it is admitted here.
  std::string federation() const;

  /// Admits the holder of a key, or enters it anew. Throws Error(untrusted) for an unsound key, Error(denied) for one
  /// that was revoked.
  void admit(const Member& member);

  void grant(std::string_view who, const MemberChange& change);

  /// Takes an instance's rights away until it is reinstated. What it has written without knowing stays.
  void suspend(std::string_view who);
  void reinstate(std::string_view who);

  /// For ever. What this instance has seen of it stays; all else that it wrote, or will, is void everywhere.
  void revoke(std::string_view who);

  /// A token that lets one new instance in, while this one listens at the endpoint.
  std::string invite(const InviteOptions& options);

  /// Presents a token to the governor who has made it. This instance was opened with its federation
  /// (`contents_of_token`), and may be asked again after it failed.
  PeerReport join(std::string_view token, std::chrono::milliseconds timeout = std::chrono::seconds(10));

  // --- exchange ------------------------------------------------------------------------------
  /// Hands out one JSON object per live record and entry, a line each without the newline. Private
  /// segments only when asked for. What cannot be read is left out, and counted.
  ExportReport export_records(const ExportQuery& query,
                              const std::function<void(std::string_view line)>& sink) const;

  /// Writes what `export_records` handed out, line by line, in groups. Records and entries that their authors have signed
  /// in this federation come in as a peer's would, and stay theirs. Of others this instance becomes the
  /// author; the provenance names the claimed one. `progress` is told lines done, may be empty.
  ImportReport import_records(const std::function<std::optional<std::string>()>& next_line,
                              bool dry_run = false,
                              const std::function<void(std::uint64_t)>& progress = {});

  /// Makes a backup in a directory that is empty or not there yet, while this instance goes on: a compacted copy of one
  /// moment of each store. It appears whole or not at all. `restore_instance` makes an instance of it. Throws
  /// Error(invalid) for a directory that is not empty, Error(denied), Error(out_of_space), Error(failed).
  BackupReport backup(const std::filesystem::path& target, const BackupOptions& options = {}) const;

  /// Writes what a backup has and this instance has no more, as its own and under new dots: so it comes back everywhere,
  /// also what was removed. What stands here stays. `progress` is told how much was looked at; may be empty. Throws as
  /// `restore_instance`, and as writes do.
  ImportReport restore_as_new(const std::filesystem::path& backup, const RestoredSegments& segments = {},
                              const std::function<void(std::uint64_t)>& progress = {});

  /// Drops the journal: peers that return compare contexts instead. Loses nothing.
  void drop_journal();

 private:
  class Impl;
  explicit Memory(std::unique_ptr<Impl> impl);
  std::any read_any(const std::vector<std::string>& segments, const std::function<std::any()>& body,
                    const CallOptions& options) const;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loam
