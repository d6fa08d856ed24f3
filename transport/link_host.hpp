#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "transport/session.hpp"

namespace loam {

class Link;
class Tls;

/// What a Link needs from the house around it. All calls are made, and answered, on the loop thread.
class LinkHost {
 public:
  virtual ~LinkHost() = default;

  /// Makes an Apply durable, then calls `done` on the loop thread, in the order of the calls. `done` may
  /// be called after the link has gone; it then does nothing.
  virtual void apply(const Hello& peer, Apply change, std::function<void(ApplyOutcome)> done) = 0;

  /// The peer's hello was accepted.
  virtual void established(const std::shared_ptr<Link>& link) = 0;

  /// The link has ended; `report` is final. Called exactly once per link, also when it was never
  /// established.
  virtual void closed(const std::shared_ptr<Link>& link, const SessionReport& report) = 0;

  /// Remembers what the peer has removed and is kept all the same, in place of what was remembered of
  /// that peer and segment before.
  virtual void hold(const Hello& peer, Hold removal) = 0;

  /// Admits the holder of the key if the secret is that of an open invitation, then calls `done` on the loop thread
  /// with nothing, or with why not. `done` may be called after the link has gone.
  virtual void admit(Admit stranger, std::function<void(std::optional<std::string>)> done) = 0;

  /// The peer's store has answered what `Link::ask` asked.
  virtual void voted(const Hello&, const VotedFrame&) {}

  /// The session wants the operator to know.
  virtual void alarm(const std::string& text) = 0;

  /// For connections with TLS; null: there are none.
  virtual std::shared_ptr<const Tls> tls() { return nullptr; }

  /// Whether the instance of that key may be at an address that is dialled with TLS.
  virtual bool is_expected(const PublicKey&) { return false; }

  /// A fresh session for a new connection.
  virtual SessionConfig session_config(Role role) = 0;
  virtual const Source& source() = 0;
};

}  // namespace loam
