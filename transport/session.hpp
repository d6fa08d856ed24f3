#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/action.hpp"
#include "transport/frame.hpp"
#include "transport/strong_call.hpp"

namespace loam {

/// Which side opened the connection.
enum class Role { dialler, listener };

/// How much travels at once. The defaults are the product's; tests make them tiny.
struct SessionLimits {
  /// Chunk octets that one link may have in flight before the peer has made them durable.
  std::uint64_t window_octets = std::uint64_t{4} << 20;

  /// Chunk octets made in answer to one event, so that one link never holds the loop for long.
  std::uint64_t burst_octets = std::uint64_t{1} << 20;

  std::size_t chunk_octets = std::size_t{64} << 10;  ///< of a chunk, unless one record is larger
  std::size_t chunk_records = 1'000;                 ///< most records in one
  std::size_t part_octets = std::size_t{48} << 10;   ///< aimed size of a part of a comparison
  std::size_t part_actors = 1'000;                   ///< most actors in one
  std::size_t journal_page_dots = 4'096;             ///< dots of the journal entries read at once
  std::size_t frame_sets = 512;                      ///< actors in one question
  std::size_t listed_actors = 100;    ///< up to so many are compared one by one, not by a sketch
  std::size_t first_cells = 16;       ///< of the first sketch: tells some five differences
  std::size_t cells_max = std::size_t{80} << 10;  ///< of any sketch
  std::uint64_t many_actors = 8;      ///< more that differ: one sketch of all dots is tried
  std::uint64_t set_counters = 4'096; ///< most counters of one live set
  std::size_t frame_ranges = 2'000;  ///< ranges of counters of one actor in one frame

  /// What a peer has removed, as its silence says, is held when one conversation says so of more
  /// records of a segment than this, and of more than that many in a hundred.
  std::uint64_t removals_min = 1'000;
  std::uint64_t removals_percent = 1;
};

/// Who may take part in a conversation, and in what. All calls on the session's thread; each sees the latest that is
/// committed.
class Gatekeeper {
 public:
  virtual ~Gatekeeper() = default;

  /// Signs what proves that we hold our key.
  virtual Signature sign(std::string_view domain, BytesView message) const = 0;

  /// Why the holder of that key is not let in; absent: it is. Its id is that of the key.
  virtual std::optional<std::string> refusal(const PublicKey& key) const = 0;

  /// Whether the instance may read a segment, which is then exchanged with it.
  virtual bool may_read(const InstanceId& instance, const std::string& segment) const = 0;

  /// Another value whenever one of these answers may have changed.
  virtual Fingerprint state() const = 0;

  /// Whether somebody may come in by an invitation.
  virtual bool has_invitations() const = 0;
};

/// What answers for this store when a peer asks for its vote. All calls on the session's thread; what is committed is durable.
class Voting {
 public:
  virtual ~Voting() = default;

  /// How things stand now of what is asked.
  virtual VoteMoment look(const VoteFrame& question) const = 0;
};

/// What a Session is told about its own side.
struct SessionConfig {
  Role role = Role::dialler;
  bool once = false;  ///< one round: close normally when both sides are equal
  Hello hello;        ///< what we say of ourselves; the nonce is fresh for every connection
  SessionLimits limits;
  const Gatekeeper* gate = nullptr;  ///< null: everybody is let in, and nobody proves anything; outlives the session
  const Voting* voting = nullptr;  ///< null: it has no vote; outlives the session
  Bytes channel;                     ///< of a TLS connection, its exporter value
  std::optional<PublicKey> expected; ///< the key that the peer must hold
  std::optional<std::array<std::byte, 16>> secret;  ///< of an invitation: asks to be admitted by it
};

/// How an Apply ended.
struct ApplyOutcome {
  std::uint64_t ticket = 0;
  std::uint64_t inserted = 0;
  std::uint64_t dropped = 0;
  std::uint64_t equivocated = 0;
  std::optional<std::string> refused;  ///< why it is not stored, or only in part; absent: it is durable
  std::uint64_t left_out = 0;  ///< records that are not stored, as their author may not write them
  std::uint64_t parked = 0;    ///< records that may be stored once more of the registry is here
  std::string reason;          ///< of one of these
  bool cloned = false;  ///< it showed, stored or not, that a copy of this running instance writes as
                        ///< it does; a matter of the driver's
};

/// What one segment exchanged over this connection.
struct SegmentTally {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  std::uint64_t removed = 0;
  std::uint64_t refused = 0;  ///< records and parts that were not stored
  std::uint64_t parked = 0;   ///< records that wait at the peer until more of the registry is here
  std::uint64_t held = 0;  ///< records that the peer has removed, and that are kept until confirmed

  bool operator==(const SegmentTally&) const = default;
};

/// The conversation so far, for reports and status.
struct SessionReport {
  std::optional<Hello> peer;  ///< absent until its hello was accepted
  bool converged = false;     ///< the last comparison of all segments found equal states
  bool holding = false;       ///< one side keeps records that the other removed, until confirmed
  bool untrusted = false;     ///< it was refused, or refused us, as a stranger
  std::string problem;        ///< why it was closed abnormally; empty otherwise
  Time last_received{};       ///< when the last frame came, by the driver's time
  std::uint64_t round_trips = 0;
  std::uint64_t octets_sent = 0;
  std::uint64_t octets_received = 0;
  std::uint64_t octets_opening = 0;  ///< of both: frames by which the two show each other who they are
  std::map<std::string, SegmentTally> segments;
  std::map<std::string, std::uint64_t> lag;  ///< local changes that the peer has not confirmed
};

/// One peer's half of the conversation (docs/WIRE.md). The driver says what happened and when; the
/// answer is what to do next. Loop thread only. Never throws on what a peer sends: a bad frame
/// becomes a Close. After a Close every event answers with nothing.
class Session {
 public:
  /// `source` outlives the session.
  Session(SessionConfig config, const Source& source);
  ~Session();
  Session(Session&&) noexcept;
  Session& operator=(Session&&) = delete;

  std::vector<Action> connected(Time now);
  std::vector<Action> received(BytesView frame, Time now);

  /// The store has committed something, by whomever.
  std::vector<Action> changed(Time now);

  /// An Apply has become durable, or was refused whole.
  std::vector<Action> applied(const ApplyOutcome& outcome, Time now);

  /// An Admit has ended: absent, it is admitted; else why not.
  std::vector<Action> admitted(const std::optional<std::string>& refusal, Time now);

  /// Asks for the vote of the peer's store. The driver hears `Voted`, once or more often, or nothing; nothing of a peer that
  /// has not been let in yet, knows no votes, or may not read a segment of the question: it does not even hear that.
  std::vector<Action> ask(const VoteFrame& question, Time now);

  std::vector<Action> woke(Time now);

  /// The driver wants to end: says bye.
  std::vector<Action> leave(const std::string& reason, Time now);

  const SessionReport& report() const noexcept;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace loam
