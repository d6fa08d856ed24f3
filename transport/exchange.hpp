#pragma once

#include <optional>
#include <string>
#include <utility>

#include "transport/comparison.hpp"

namespace loam {

/// How a follower gets to follow a feed. Both sides decide it from the same two state frames.
struct Start {
  bool compare = false;        ///< the states must be compared first
  std::uint64_t sequence = 0;  ///< otherwise: follow the feed's journal from here

  bool operator==(const Start&) const = default;
};

/// Whether each side has followed the other's journal to the end, as they say: their states must be
/// equal.
bool is_in_step(const StateFrame& one, const StateFrame& other);

/// `feed` is what the source of the feed said, `follower` what the follower said.
Start decide_start(const StateFrame& feed, const StateFrame& follower);

/// One shared segment of one session: a feed to the peer and a follower of the peer, and the
/// comparison of both sides' states. Loop thread only.
class Exchange {
 public:
  /// `key` is known to the two sides only.
  Exchange(std::string segment, std::uint64_t index, const Source& source, const StoreId& peer,
           Role role, const SketchKey& key);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  /// Says how the segment stands here now.
  struct Say {
    bool wanted = false;
    bool compare = false;
    bool final = false;
  };
  void say_state(Say say, Outbound& out);

  void received(const StateFrame& frame, Outbound& out);

  Feed& feed() noexcept { return feed_; }
  Follower& follower() noexcept { return follower_; }
  const Follower& follower() const noexcept { return follower_; }
  Comparison& comparison() noexcept { return comparison_; }
  const Comparison& comparison() const noexcept { return comparison_; }

  /// Sends what the window lets through.
  void pump(Outbound& out);

  /// Ends a comparison that is complete. After every event.
  void settle(Outbound& out);

  const std::string& segment() const noexcept { return segment_; }
  std::uint64_t index() const noexcept { return index_; }
  bool is_shared() const noexcept { return shared_; }

  /// Whether everything that either side had when the conversation began has arrived, durably.
  bool has_met() const;

  /// Whether one side keeps records that the other has removed, until that is confirmed.
  bool is_holding() const { return peer_holds_ || comparison_.held() > 0; }

  /// Whether the last state that the peer sent equalled ours at that moment.
  bool is_equal() const noexcept { return equal_.has_value(); }

  /// Whether it still does.
  bool is_still_equal() const;

  /// Whether what `say_state` would say was said before.
  bool is_said() const;

  std::uint64_t lag() const;

 private:
  Position position() const;
  void compare_digests(const StateFrame& frame, const SaidState& own);
  void check_in_step(const StateFrame& frame, Outbound& out);
  void begin_comparison(Outbound& out);
  void raise_alarm(const StateFrame& own, const StateFrame& peer, Outbound& out);

  std::string segment_;
  std::uint64_t index_;
  const Source& source_;
  StoreId peer_;
  Role role_;
  Feed feed_;
  Follower follower_;
  Comparison comparison_;
  std::optional<StateFrame> opening_;       ///< our first state
  std::optional<StateFrame> peer_opening_;  ///< the peer's first state
  std::optional<StateFrame> last_said_;
  std::optional<StateDigest> equal_;  ///< the state that both sides had
  bool peer_holds_ = false;
  bool shared_ = false;               ///< the peer has the segment too, of the same kind

  /// Our state and the peer's when they differed although both had followed to the end.
  std::optional<std::pair<StateDigest, StateDigest>> alarmed_;
};

}  // namespace loam
