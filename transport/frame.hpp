#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "crdt/codec.hpp"
#include "crdt/delta.hpp"
#include "crdt/error.hpp"
#include "crdt/key.hpp"
#include "crdt/sketch.hpp"
#include "crdt/voters.hpp"
#include "transport/source.hpp"

namespace loam {

/// Greatest message, in octets.
inline constexpr std::size_t message_octets_max = std::size_t{1} << 20;

/// The version of the conversation that this code speaks, and the oldest that it still understands.
inline constexpr std::uint64_t wire_version = 4;
inline constexpr std::uint64_t wire_version_min = 3;

/// The first frame of each side.
struct Hello {
  std::uint64_t version_min = wire_version_min;
  std::uint64_t version_max = wire_version;
  FederationId federation;
  InstanceId instance;
  StoreId store;
  std::string name;
  std::array<std::byte, 16> nonce{};
  PublicKey key;         ///< whose holder the sender shows to be by its proof; zero: nobody asks for one
  bool joins = false;    ///< the sender is in no registry yet, and will show an invitation

  bool operator==(const Hello&) const = default;
};

/// Shows that the sender of a hello holds its key: a signature over both hellos (proof.hpp).
struct Proof {
  Signature signature;

  bool operator==(const Proof&) const = default;
};

/// Asks to be admitted, by the secret of an invitation. To the governor who has made it and nobody else.
struct JoinFrame {
  std::array<std::byte, 16> secret{};

  bool operator==(const JoinFrame&) const = default;
};

/// The last frame of a side that ends the conversation.
struct Bye {
  std::string code;  ///< `done`, `incompatible`, `untrusted`, `self`, `invalid`, `leaving`,
                     ///< `refused`, `damaged`
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
  bool compare = false;  ///< please let us compare, with the dialler beginning
  bool held = false;     ///< I keep records that you have removed, until that is confirmed here
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
  Authors authors;     ///< of exactly the actors in the context
  BatchParts batches;  ///< of records of the delta

  bool operator==(const DeltaFrame&) const = default;
};

/// Begins a comparison of both sides' states of a segment, or answers one that told too little: what
/// the sender knows of each actor that ever wrote, as a sketch, or item by item. The numbers are the
/// dialler's: 1 for the first comparison of the segment on this connection.
struct CompareFrame {
  std::uint64_t index = 0;
  std::uint64_t number = 0;
  Position base;              ///< the sender's journal and its head before it looked
  Fingerprint context;        ///< its context root
  std::uint64_t actors = 0;   ///< how many it knows
  std::uint64_t records = 0;  ///< how many live dots it has
  Bytes estimate;             ///< a DifferenceEstimate; empty with items
  Bytes cells;                ///< a Sketch; empty with items
  std::vector<SketchItem> items;  ///< one for each actor, ascending; the rest follows unless `end`
  bool end = true;

  bool operator==(const CompareFrame&) const = default;
};

/// What the sender knows of one actor.
struct ContextEntry {
  ActorId actor;
  RangeSet covered;
  std::uint64_t live_count = 0;  ///< of all that is covered, or of what both have covered
  Fingerprint live;              ///< of the same dots
  bool common = false;           ///< count and fingerprint are of what both have covered

  bool operator==(const ContextEntry&) const = default;
};

/// A part of what the sender knows of the actors in which the two sides differ. The side that found
/// out first also names the receiver's actors, by their items; those parts come before any with rows.
struct ContextFrame {
  std::uint64_t index = 0;
  std::uint64_t number = 0;
  std::optional<Position> base;   ///< as in CompareFrame, from a listener that has not said it yet
  bool all = false;               ///< every actor of the receiver's differs
  std::vector<SketchItem> named;  ///< actors of the receiver's that differ
  std::vector<ContextEntry> rows;   ///< in ascending order of actors, over all parts
  bool end = false;               ///< no more parts

  bool operator==(const ContextFrame&) const = default;
};

/// Which dots of one actor live at the sender, of those that both sides have covered.
struct LiveSet {
  ActorId actor;
  RangeSet common;
  RangeSet live;
  Fingerprint fingerprint;  ///< of the live ones, contents included

  bool operator==(const LiveSet&) const = default;
};

/// Which dots live at the sender: set by set, or as one sketch of all dots that are meant. Answered
/// by one DeadFrame. Whoever has more records does well to want the other to ask: then the answer
/// names little.
struct LiveFrame {
  enum class Form : std::uint8_t {
    sets,    ///< the live sets
    sketch,  ///< of the common counters of the sets; their live parts and fingerprints are left out
    all,     ///< a sketch of all live dots: both sides cover the same; no sets
    wanted,  ///< no question: please ask about all, in a sketch of so many cells
  };
  std::uint64_t index = 0;
  std::uint64_t number = 0;
  Form form = Form::sets;
  bool more = false;             ///< the question goes on in another frame
  std::optional<Position> base;  ///< as in ContextFrame
  std::vector<LiveSet> sets;
  Bytes cells;
  std::uint64_t wanted = 0;  ///< cells of the sketch that is wanted

  bool operator==(const LiveFrame&) const = default;
};

/// Answers a LiveFrame: which of the dots that live at the asking side are covered and dead here.
struct DeadFrame {
  std::uint64_t index = 0;
  std::uint64_t number = 0;
  bool undecided = false;         ///< the sketch told too little, or a question cannot be answered
  Context dots;                   ///< where the question named the dots
  std::vector<SketchItem> items;  ///< where it was a sketch

  bool operator==(const DeadFrame&) const = default;
};

/// Asks for the live records of some counters.
struct AskFrame {
  std::uint64_t index = 0;
  ActorId actor;
  RangeSet selected;

  bool operator==(const AskFrame&) const = default;
};

/// What the sender has made durable: chunk octets of this connection in total, and its position.
struct AckFrame {
  std::uint64_t index = 0;
  std::uint64_t octets = 0;
  std::uint64_t position = 0;

  bool operator==(const AckFrame&) const = default;
};

/// One segment as the sender has it.
struct SaidDigest {
  std::string segment;
  StateDigest digest;

  bool operator==(const SaidDigest&) const = default;
};

/// Asks the receiver's store for its vote (crdt/voters.hpp): whether, at one committed moment, it knows the same voters and
/// is one of them, has these segments in exactly these states, and covers these dots. A later question takes the place of
/// an earlier one of the same call. What is not so yet may become so: the receiver answers then, too. One that asks for
/// nothing withdraws the last.
struct VoteFrame {
  std::uint64_t call = 0;           ///< the operation it is for
  std::uint64_t number = 0;         ///< of the question; later ones of the call have greater numbers
  VoterViewId view;                 ///< as the sender knows the voters
  std::vector<SaidDigest> states;   ///< of a read
  std::string segment;              ///< of a write; empty: there is none
  Context dots;                     ///< that are to be covered
  bool dead = false;                ///< and none of which is to live

  bool operator==(const VoteFrame&) const = default;
  bool is_withdrawal() const noexcept { return states.empty() && segment.empty(); }
};

/// What a store answers.
enum class Vote : std::uint8_t {
  yes,
  not_yet,       ///< it has another state
  other_voters,  ///< it knows other voters than who asks
  no_voter,      ///< it is none
};

struct VotedFrame {
  std::uint64_t call = 0;
  std::uint64_t number = 0;  ///< of the question
  Vote vote = Vote::not_yet;

  bool operator==(const VotedFrame&) const = default;
};

using Frame = std::variant<Hello, Bye, Ping, StateFrame, DeltaFrame, CompareFrame, ContextFrame,
                           LiveFrame, DeadFrame, AskFrame, AckFrame, Proof, JoinFrame,
                           VoteFrame, VotedFrame>;

/// Whether it is one of those by which two show each other who they are.
inline bool is_of_opening(const Frame& frame) noexcept {
  return std::holds_alternative<Hello>(frame) || std::holds_alternative<Proof>(frame) ||
         std::holds_alternative<JoinFrame>(frame);
}

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
