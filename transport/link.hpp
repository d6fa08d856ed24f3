#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "transport/address.hpp"
#include "transport/link_host.hpp"

namespace boost::asio {
class any_io_executor;
class io_context;
template <typename Protocol, typename Executor>
class basic_stream_socket;
namespace ip {
class tcp;
}
}  // namespace boost::asio

namespace loam {

/// `boost::asio::ip::tcp::socket`, without its header.
using TcpSocket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::any_io_executor>;

/// Greatest header of an HTTP upgrade request, in octets.
inline constexpr std::size_t http_header_octets_max = 8 * 1024;

/// What one link may take. The durations are absolute deadlines: no octet that arrives extends
/// them. A message is timed from its first octet of payload; a peer that stays before that is
/// silent, and the Session drops it as such.
struct LinkLimits {
  std::chrono::milliseconds connect{5'000};  ///< the TCP connection
  std::chrono::milliseconds tls{5'000};      ///< from there to the end of the TLS handshake
  std::chrono::milliseconds upgrade{5'000};  ///< from there to the open WebSocket
  std::chrono::milliseconds hello{10'000};   ///< from there to an acceptable hello of the peer
  std::chrono::milliseconds message{10'000};
  std::chrono::milliseconds close{2'000};  ///< from the decision to close to the closed socket
  std::size_t outbox_octets_max = std::size_t{8} << 20;     ///< beyond: closed with 1013
  std::size_t unapplied_octets_max = std::size_t{4} << 20;  ///< beyond: not read from

  bool operator==(const LinkLimits&) const = default;
};

/// By what others come in.
struct LinkDoor {
  bool tls = false;                ///< with LinkHost::tls
  std::vector<std::string> hosts;  ///< names of this machine that a Host header may have, besides its addresses
};

/// One connection to a peer: drives one Session over one WebSocket, as docs/WIRE.md describes it.
/// Lives until it has ended, kept by its own outstanding operations, and never outlives its loop.
/// Loop thread only, and the loop has one thread. What a peer sends never throws out of here.
/// `LinkHost::closed` is called exactly once, never from inside a member function, and not at all
/// when the loop stops before.
class Link {
 public:
  struct Target {
    Address address;
    bool once = false;  ///< one round: `SessionConfig::once`
  };

  /// Takes over an accepted connection.
  static std::shared_ptr<Link> accept(TcpSocket socket, std::shared_ptr<LinkHost> host,
                                      const LinkLimits& limits = {}, const LinkDoor& door = {});

  /// Connects. Throws Error(denied) when the address is neither on loopback nor with TLS; everything later is told
  /// to the host.
  static std::shared_ptr<Link> dial(boost::asio::io_context& loop, const Target& target,
                                    std::shared_ptr<LinkHost> host, const LinkLimits& limits = {});

  virtual ~Link() = default;

  /// The store has committed something.
  virtual void changed() = 0;

  /// Asks for the vote of the peer's store: `LinkHost::voted` hears.
  virtual void ask(const VoteFrame& question) = 0;

  /// Says bye and closes.
  virtual void leave(const std::string& reason) = 0;

  /// The conversation so far. A failure below the Session is its `problem` where the Session has
  /// none.
  virtual SessionReport report() const = 0;

  /// Who the other side is; absent until its hello was accepted.
  virtual const std::optional<Hello>& peer() const noexcept = 0;

  /// The address of the other side: as dialled, or as it connected.
  virtual const std::string& endpoint() const noexcept = 0;

  virtual Role role() const noexcept = 0;

  /// The peer's hello was accepted, and the link is not closing.
  virtual bool established() const noexcept = 0;
};

}  // namespace loam
