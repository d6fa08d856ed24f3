#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crdt/codec.hpp"
#include "crdt/delta.hpp"
#include "crdt/error.hpp"
#include "transport/source.hpp"

namespace loam {

/// Greatest message, in octets.
inline constexpr std::size_t message_octets_max = std::size_t{1} << 20;

/// The version of the conversation that this code speaks, and the oldest that it still understands.
inline constexpr std::uint64_t wire_version = 1;
inline constexpr std::uint64_t wire_version_min = 1;

/// The first frame of each side.
struct Hello {
  std::uint64_t version_min = wire_version_min;
  std::uint64_t version_max = wire_version;
  FederationId federation;
  InstanceId instance;
  StoreId store;
  std::string name;
  std::array<std::byte, 16> nonce{};

  bool operator==(const Hello&) const = default;
};

/// The last frame of a side that ends the conversation.
struct Bye {
  std::string code;  ///< `done`, `incompatible`, `untrusted`, `invalid`, `leaving`, `damaged`
  std::string reason;

  bool operator==(const Bye&) const = default;
};

/// Nothing to say; shows that the sender lives.
struct Ping {
  bool operator==(const Ping&) const = default;
};

/// Both roots of a segment's state in one: equal states have equal digests.
using StateDigest = Id<struct StateDigestTag>;

StateDigest digest_of(const Roots& roots);

/// A SegmentState as it travels.
struct SaidState {
  Kind kind = Kind::set;
  StateDigest digest;
  JournalId journal = 0;
  std::uint64_t floor = 0;
  std::uint64_t head = 0;

  bool operator==(const SaidState&) const = default;
};

SaidState said(const SegmentState& state);

/// What a side says of one segment. Its `index` is how the sender's later frames name the segment.
struct StateFrame {
  std::uint64_t index = 0;
  std::string segment;
  SaidState state;
  Position position;     ///< how far the sender has followed the receiver's journal
  bool wanted = false;   ///< please answer with yours
  bool compare = false;  ///< your position in my journal is gone: send your context
  bool final = false;    ///< the last of the states that the sender opens the conversation with

  bool operator==(const StateFrame&) const = default;
};

/// A chunk: live records with exactly the context they account for. With `upto`, the follower has
/// everything up to that sequence of the sender's journal once this and all earlier chunks are
/// durable.
struct DeltaFrame {
  std::uint64_t index = 0;
  std::optional<std::uint64_t> upto;
  Delta delta;
  Authors authors;  ///< of exactly the actors in the context

  bool operator==(const DeltaFrame&) const = default;
};

/// A part of the sender's context: all its actors after `after` (absent: from the first) up to and
/// including `last` (absent: to the end).
struct ContextFrame {
  std::uint64_t index = 0;
  std::optional<ActorId> after;
  std::optional<ActorId> last;
  std::vector<ActorState> actors;

  bool operator==(const ContextFrame&) const = default;
};

/// The fingerprint of the sender's live dots among counters that both sides have covered.
struct Summary {
  ActorId actor;
  RangeSet common;
  Fingerprint live;

  bool operator==(const Summary&) const = default;
};

/// The answer to a ContextFrame, after the chunks that it called for.
struct ComparedFrame {
  std::uint64_t index = 0;
  std::vector<Summary> summaries;  ///< where the states may differ
  bool end = false;                ///< no more summaries for that ContextFrame
  std::optional<Position>
      follow_from;  ///< with the end of the last part: follow the journal from here

  bool operator==(const ComparedFrame&) const = default;
};

/// Asks for the live sets of some counters, or with `records` for the records themselves.
struct AskFrame {
  std::uint64_t index = 0;
  ActorId actor;
  RangeSet selected;
  bool records = false;

  bool operator==(const AskFrame&) const = default;
};

/// Which of the asked counters are live at the sender.
struct SetsFrame {
  std::uint64_t index = 0;
  ActorId actor;
  RangeSet asked;
  RangeSet live;
  Fingerprint fingerprint;  ///< of those live dots, contents included

  bool operator==(const SetsFrame&) const = default;
};

/// What the sender has made durable: chunk octets of this connection in total, and its position.
struct AckFrame {
  std::uint64_t index = 0;
  std::uint64_t octets = 0;
  std::uint64_t position = 0;

  bool operator==(const AckFrame&) const = default;
};

using Frame = std::variant<Hello, Bye, Ping, StateFrame, DeltaFrame, ContextFrame, ComparedFrame,
                           AskFrame, SetsFrame, AckFrame>;

/// A frame of a type that this version does not know.
class UnknownFrame : public Error {
 public:
  explicit UnknownFrame(std::uint64_t type)
      : Error(ErrorCode::invalid, "frame: unknown type " + std::to_string(type)) {}
};

/// The bytes of a frame: a canonical msgpack array whose first element is the frame's type.
Bytes encode_frame(const Frame& frame);

/// The frame of a message. Throws UnknownFrame, Error(invalid) for anything malformed, Error(limit)
/// beyond a limit. Elements after the known ones are skipped. Records of a DeltaFrame are not
/// checked: their kind is not known here.
Frame decode_frame(BytesView message);

}  // namespace loam
