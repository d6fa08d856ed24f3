#pragma once

#include <array>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/gen.hpp"
#include "tests/transport/memory_source.hpp"
#include "transport/session.hpp"

namespace test {

inline const loam::FederationId federation{loam::hash128("test federation", {})};

/// How two peers meet. Side 0 dials, side 1 listens.
struct Meeting {
  std::array<bool, 2> once{};
  loam::SessionLimits limits;
};

/// One frame as it was sent.
struct Sent {
  std::size_t link = 0;
  int from = 0;
  loam::Bytes bytes;

  loam::Frame frame() const { return loam::decode_frame(bytes); }
};

/// Peers that converse over links in memory, in virtual time. Frames and Applies wait until the
/// test delivers and commits them, so a test can be a slow network, a slow writer and a crash. The
/// peers outlive the net.
class Net {
 public:
  struct End {
    Peer* peer = nullptr;
    loam::StoreId other;  ///< the store at the far end
    std::unique_ptr<loam::Session> session;
    std::deque<loam::Bytes> inbox;    ///< frames on their way here
    std::deque<loam::Apply> applies;  ///< handed to the writer, not durable yet
    std::optional<loam::Time> wake;
    std::optional<loam::Close> close;  ///< how the session ended; absent while it runs
    bool is_cut = false;
    std::vector<std::string> alarms;
    loam::Context held;  ///< removals that were not believed
    std::uint64_t applied = 0;

    bool is_up() const noexcept { return !close && !is_cut; }
  };
  using Link = std::array<End, 2>;

  /// The answer is why an Apply is refused; absent: it is not.
  using Refuse = std::function<std::optional<std::string>(const Peer&, const loam::Apply&)>;
  using Watch = std::function<void(const Sent&)>;
  using Before = std::function<void(const Peer&, const loam::Apply&)>;

  loam::Time now{};
  Refuse refuse;
  Watch watch;
  Before before_apply;
  bool keeps_frames = true;

  /// Opens a link; answers with its number.
  std::size_t connect(Peer& dialler, Peer& listener, const Meeting& meeting = {}) {
    const std::size_t number = links_.size();
    links_.push_back(std::make_unique<Link>());
    const std::array<Peer*, 2> peers{&dialler, &listener};
    for (int side = 0; side < 2; ++side) {
      End& end = this->end(number, side);
      end.peer = peers[side_index(side)];
      end.other = peers[side_index(1 - side)]->id();
      loam::SessionConfig config;
      config.role = side == 0 ? loam::Role::dialler : loam::Role::listener;
      config.once = meeting.once[side_index(side)];
      config.limits = meeting.limits;
      config.hello = hello_of(*end.peer, number * 2 + side_index(side));
      end.session = std::make_unique<loam::Session>(std::move(config), *end.peer);
    }
    for (int side = 0; side < 2; ++side) {
      perform(number, side, end(number, side).session->connected(now));
    }
    return number;
  }

  static loam::Hello hello_of(const Peer& peer, std::uint64_t connection) {
    loam::Hello hello;
    hello.federation = federation;
    hello.instance = instance_of(peer.author());
    hello.store = peer.id();
    hello.name = "peer-" + std::to_string(peer.author());
    hello.nonce = loam::hash128("test nonce", {loam::bytes_of(std::to_string(connection))});
    return hello;
  }

  std::size_t links() const noexcept { return links_.size(); }
  End& end(std::size_t link, int side) { return (*links_[link])[side_index(side)]; }
  const End& end(std::size_t link, int side) const { return (*links_[link])[side_index(side)]; }
  bool is_up(std::size_t link) const { return end(link, 0).is_up() || end(link, 1).is_up(); }

  /// Loses what is on its way and ends both sessions. With `lose_applies` the processes have
  /// crashed too: what was not durable is gone.
  void cut(std::size_t link, bool lose_applies = false) {
    for (int side = 0; side < 2; ++side) {
      End& end = this->end(link, side);
      end.is_cut = true;
      end.inbox.clear();
      if (lose_applies) end.applies.clear();
    }
  }

  /// Delivers the next frame to one side. False: there was none.
  bool deliver(std::size_t link, int side) {
    End& end = this->end(link, side);
    if (!end.is_up()) {
      end.inbox.clear();
      return false;
    }
    if (end.inbox.empty()) {
      if (this->end(link, 1 - side).close) end.is_cut = true;
      return false;
    }
    const loam::Bytes frame = std::move(end.inbox.front());
    end.inbox.pop_front();
    perform(link, side, end.session->received(frame, now));
    return true;
  }

  /// Makes the oldest Apply of one side durable. False: there was none.
  bool commit(std::size_t link, int side) {
    End& end = this->end(link, side);
    if (end.applies.empty()) return false;
    const loam::Apply change = std::move(end.applies.front());
    end.applies.pop_front();
    if (refuse) {
      if (const auto why = refuse(*end.peer, change)) {
        if (!end.peer->broken.refused_then_later_position) end.applies.clear();
        if (end.is_up()) {
          perform(link, side,
                  end.session->applied({.ticket = change.ticket, .refused = *why}, now));
        }
        return true;
      }
    }
    if (before_apply) before_apply(*end.peer, change);
    const loam::ApplyOutcome outcome = end.peer->apply(change, end.other);
    ++end.applied;
    if (end.is_up()) perform(link, side, end.session->applied(outcome, now));
    changed(*end.peer);
    return true;
  }

  /// Tells every session of a peer that its store has committed something.
  void changed(const Peer& peer) {
    for (std::size_t link = 0; link < links_.size(); ++link) {
      for (int side = 0; side < 2; ++side) {
        End& end = this->end(link, side);
        if (end.peer == &peer && end.is_up()) perform(link, side, end.session->changed(now));
      }
    }
  }

  bool wake(std::size_t link, int side) {
    End& end = this->end(link, side);
    if (!end.is_up() || !end.wake || *end.wake > now) return false;
    end.wake.reset();
    perform(link, side, end.session->woke(now));
    return true;
  }

  void leave(std::size_t link, int side, const std::string& reason) {
    perform(link, side, end(link, side).session->leave(reason, now));
  }

  /// Everything that can happen at this moment. Answers whether anything did.
  bool run() {
    bool any = false;
    for (bool more = true; more; any = any || more) {
      more = false;
      for (std::size_t link = 0; link < links_.size(); ++link) {
        for (int side = 0; side < 2; ++side) {
          more = deliver(link, side) || more;
          more = commit(link, side) || more;
          more = wake(link, side) || more;
        }
      }
    }
    return any;
  }

  /// The same in lock step: all frames in flight arrive together. Answers how many times that was,
  /// each being half a round trip.
  int run_in_half_trips() {
    int trips = 0;
    while (true) {
      std::vector<std::pair<std::size_t, int>> flying;
      for (std::size_t link = 0; link < links_.size(); ++link) {
        for (int side = 0; side < 2; ++side) {
          flying.insert(flying.end(), end(link, side).inbox.size(), {link, side});
        }
      }
      if (flying.empty()) return trips;
      ++trips;
      for (const auto& [link, side] : flying) deliver(link, side);
      for (std::size_t link = 0; link < links_.size(); ++link) {
        for (int side = 0; side < 2; ++side) {
          while (commit(link, side) || wake(link, side)) {
          }
        }
      }
    }
  }

  /// Lets time pass: sessions wake when they asked to.
  void pass(loam::Time span) {
    const loam::Time until = now + span;
    run();
    while (true) {
      std::optional<loam::Time> next;
      for (std::size_t link = 0; link < links_.size(); ++link) {
        for (int side = 0; side < 2; ++side) {
          const End& end = this->end(link, side);
          if (end.is_up() && end.wake && (!next || *end.wake < *next)) next = end.wake;
        }
      }
      if (!next || *next > until) break;
      now = std::max(now, *next);
      run();
    }
    now = until;
  }

  /// Whether both sides have ended, or the link was cut.
  bool is_over(std::size_t link) const { return !end(link, 0).is_up() && !end(link, 1).is_up(); }

  const std::vector<Sent>& sent() const noexcept { return sent_; }
  void forget_frames() { sent_.clear(); }

  std::uint64_t octets(std::size_t link, int from) const {
    std::uint64_t total = 0;
    for (const Sent& sent : sent_) {
      if (sent.link == link && sent.from == from) total += sent.bytes.size();
    }
    return total;
  }

  template <class Type>
  std::vector<Type> frames(std::size_t link, int from) const {
    std::vector<Type> found;
    for (const Sent& sent : sent_) {
      if (sent.link != link || sent.from != from) continue;
      const loam::Frame frame = sent.frame();
      if (const auto* item = std::get_if<Type>(&frame)) found.push_back(*item);
    }
    return found;
  }

  std::vector<std::string> alarms() const {
    std::vector<std::string> all;
    for (const auto& link : links_) {
      for (const End& end : *link) all.insert(all.end(), end.alarms.begin(), end.alarms.end());
    }
    return all;
  }

 private:
  static std::size_t side_index(int side) { return static_cast<std::size_t>(side); }

  void perform(std::size_t link, int side, std::vector<loam::Action> actions) {
    End& end = this->end(link, side);
    for (loam::Action& action : actions) {
      assert(!end.close);
      if (auto* send = std::get_if<loam::Send>(&action)) {
        transmit(link, side, std::move(send->frame));
      } else if (auto* apply = std::get_if<loam::Apply>(&action)) {
        if (end.peer->broken.position_before_durable && apply->position) {
          end.peer->remember(apply->segment, *apply->position,
                             this->end(link, 1 - side).peer->id());
        }
        end.applies.push_back(std::move(*apply));
      } else if (const auto* hold = std::get_if<loam::Hold>(&action)) {
        end.held.insert(hold->dots);
      } else if (const auto* wake = std::get_if<loam::WakeAt>(&action)) {
        end.wake = wake->when;
      } else if (const auto* alarm = std::get_if<loam::Alarm>(&action)) {
        end.alarms.push_back(alarm->text);
      } else {
        end.close = std::get<loam::Close>(action);
      }
    }
  }

  void transmit(std::size_t link, int from, loam::Bytes frame) {
    assert(frame.size() <= loam::message_octets_max);
    Sent sent{link, from, std::move(frame)};
    if (watch) watch(sent);
    End& to = end(link, 1 - from);
    if (to.is_up()) to.inbox.push_back(sent.bytes);
    if (keeps_frames) sent_.push_back(std::move(sent));
  }

  std::vector<std::unique_ptr<Link>> links_;
  std::vector<Sent> sent_;
};

}  // namespace test
