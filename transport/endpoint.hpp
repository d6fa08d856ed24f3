#pragma once

#include <functional>
#include <memory>

#include "transport/link.hpp"

namespace loam {

/// What a Listener admits. A stranger is a connection whose peer has not said an acceptable hello.
struct ListenLimits {
  std::size_t strangers_max = 64;
  std::size_t strangers_per_address_max = 8;
  std::size_t connections_max = 1'024;          ///< sessions and strangers
  std::chrono::milliseconds accept_pause{100};  ///< after running out of descriptors or memory
  std::vector<std::string> hosts;               ///< names by which others know this machine (LinkDoor)
  LinkLimits link;

  bool operator==(const ListenLimits&) const = default;
};

/// Listens on one address, on loopback or with TLS; every connection within the limits becomes a Link, any other is
/// closed at once. Loop thread only.
class Listener {
 public:
  /// Listens at once. The host outlives the loop's last event. Throws Error(denied) off loopback
  /// without TLS, Error(invalid) for a name, Error(failed) "listen 127.0.0.1:7700: Address already in use".
  Listener(boost::asio::io_context& loop, const Address& address, LinkHost& host,
           const ListenLimits& limits = {});

  /// Stops listening. The links go on.
  ~Listener();

  /// The address in use, with the port that the system chose.
  const Address& address() const noexcept;

  /// Stops listening and closes the strangers. Sessions go on: they are the host's to leave.
  void stop();

  std::size_t strangers() const noexcept;
  std::size_t connections() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

struct DialOptions {
  bool once = false;  ///< one round over one connection, however it ends
  LinkLimits link;
  std::function<double()> random;  ///< in [0, 1); absent: seeded by the system
};

/// Keeps a link to one address: dials, and dials again after a pause (backoff.hpp)
/// whenever the link has ended. Loop thread only.
class Dialler {
 public:
  /// Dials at once. The host outlives the loop's last event. Throws Error(denied) off loopback
  /// without TLS.
  Dialler(boost::asio::io_context& loop, const Address& address, LinkHost& host,
          DialOptions options = {});

  /// Dials no more. The link goes on.
  ~Dialler();

  /// Dials no more and leaves the link.
  void stop();

  /// The link, established or not; null between two attempts.
  std::shared_ptr<Link> link() const noexcept;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace loam
