#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>

#include "crdt/delta.hpp"
#include "transport/frame.hpp"
#include "transport/source.hpp"

namespace loam {

/// Milliseconds of a steady clock; its origin is the driver's choice.
using Time = std::chrono::milliseconds;

/// Send one binary message.
struct Send {
  Bytes frame;
  bool operator==(const Send&) const = default;
};

/// Apply one delta and remember the follower's position in the peer's journal, in one transaction;
/// then call `Session::applied` with the same ticket. Applies of one segment keep their order; after
/// one that was refused the driver stores none with a higher ticket that it has not stored before.
struct Apply {
  std::uint64_t ticket = 0;
  std::string segment;
  Delta delta;
  Authors authors;
  BatchParts batches;
  std::optional<Position> position;  ///< absent: leave it as it is
  bool operator==(const Apply&) const = default;
};

/// Keep these live dots although the peer, which has covered them, has removed them as its silence
/// says: they are too many to be believed unasked. Remember what is held, and tell the operator.
struct Hold {
  std::string segment;
  Context dots;
  bool operator==(const Hold&) const = default;
};

/// Admit the holder of the key if the secret is that of an open invitation; then call `Session::admitted`.
struct Admit {
  PublicKey key;
  std::array<std::byte, 16> secret{};
  bool operator==(const Admit&) const = default;
};

/// The peer has answered a question of `Session::ask`, perhaps not for the first time.
struct Voted {
  VotedFrame vote;
  bool operator==(const Voted&) const = default;
};

/// Call `Session::woke` at that time. A later WakeAt replaces an earlier one.
struct WakeAt {
  Time when{};
  bool operator==(const WakeAt&) const = default;
};

/// Tell the operator. The session goes on.
struct Alarm {
  std::string text;
  bool operator==(const Alarm&) const = default;
};

/// Close the connection with a WebSocket close code. Nothing follows.
struct Close {
  std::uint16_t code = 1000;
  std::string reason;
  bool operator==(const Close&) const = default;
};

using Action = std::variant<Send, Apply, Hold, Admit, Voted, WakeAt, Alarm, Close>;

}  // namespace loam
