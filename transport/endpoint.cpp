#include "transport/endpoint.hpp"

#include <fcntl.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <map>
#include <optional>
#include <random>
#include <utility>

#include "crdt/error.hpp"
#include "transport/backoff.hpp"
#include "transport/handler.hpp"

namespace loam {
namespace {

namespace net = boost::asio;
using net::ip::tcp;

/// A host that stands between a link and the real one, to see it come and go.
class Doorkeeper : public LinkHost {
 public:
  explicit Doorkeeper(LinkHost& host) : host_(host) {}

  void apply(const Hello& peer, Apply change, std::function<void(ApplyOutcome)> done) override {
    host_.apply(peer, std::move(change), std::move(done));
  }
  void established(const std::shared_ptr<Link>& link) override { host_.established(link); }
  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override {
    host_.closed(link, report);
  }
  void hold(const Hello& peer, Hold removal) override { host_.hold(peer, std::move(removal)); }
  void admit(Admit stranger, std::function<void(std::optional<std::string>)> done) override {
    host_.admit(std::move(stranger), std::move(done));
  }
  void voted(const Hello& peer, const VotedFrame& vote) override { host_.voted(peer, vote); }
  void alarm(const std::string& text) override { host_.alarm(text); }
  std::shared_ptr<const Tls> tls() override { return host_.tls(); }
  bool is_expected(const PublicKey& key) override { return host_.is_expected(key); }
  SessionConfig session_config(Role role) override { return host_.session_config(role); }
  const Source& source() override { return host_.source(); }

 private:
  LinkHost& host_;
};

std::string literal_of(const Address& address) {
  return address.host == "localhost" ? "127.0.0.1" : address.host;
}

}  // namespace

// ------------------------------------------------------------ listening

class Listener::Impl final : public Doorkeeper, public std::enable_shared_from_this<Impl> {
 public:
  Impl(net::io_context& loop, LinkHost& host, const ListenLimits& limits)
      : Doorkeeper(host),
        limits_(limits),
        acceptor_(loop),
        incoming_(loop),
        pause_(loop.get_executor()) {}

  /// Throws Error(failed).
  void listen(const Address& address);
  void stop_listening();
  void stop();

  void established(const std::shared_ptr<Link>& link) override;
  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override;

  const Address& address() const noexcept { return address_; }
  std::size_t strangers() const noexcept { return strangers_.size(); }
  std::size_t connections() const noexcept { return connections_; }

 private:
  struct Stranger {
    std::string address;
    std::weak_ptr<Link> link;
  };

  void try_listen(const Address& address, error_code& error);
  void accept();
  void accepted(const error_code& error, std::size_t);
  void pause_over(const error_code& error, std::size_t);
  void take_in();
  bool is_full(const std::string& address) const noexcept;

  const ListenLimits limits_;
  tcp::acceptor acceptor_;
  tcp::socket incoming_;
  Deadline pause_;
  Address address_;
  LinkDoor door_;
  std::map<const Link*, Stranger> strangers_;
  std::size_t connections_ = 0;
};

void Listener::Impl::listen(const Address& address) {
  require_private(address);
  if (address.tls && !tls()) throw Error(ErrorCode::denied, "listen " + address.text() + ": there is no key for TLS");
  door_.tls = address.tls;
  door_.hosts = limits_.hosts;
  door_.hosts.push_back(address.host);
  error_code error;
  try_listen(address, error);
  if (error) {
    throw Error(ErrorCode::failed, "listen " + address.text() + ": " + error.message());
  }
  accept();
}

void Listener::Impl::try_listen(const Address& address, error_code& error) {
  const auto host = net::ip::make_address(literal_of(address), error);
  if (error) {
    throw Error(ErrorCode::invalid, "listen " + address.text() + ": a name; listen on the address of an interface");
  }
  const tcp::endpoint wanted(host, address.port);
  acceptor_.open(wanted.protocol(), error);
  if (error) return;
  ::fcntl(acceptor_.native_handle(), F_SETFD, FD_CLOEXEC);
  acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(wanted, error);
  if (!error) acceptor_.listen(tcp::acceptor::max_listen_connections, error);
  if (!error) address_ = {address.host, acceptor_.local_endpoint(error).port(), address.tls};
}

void Listener::Impl::accept() {
  if (!acceptor_.is_open()) return;
  acceptor_.async_accept(incoming_, Handler<Impl>{shared_from_this(), &Impl::accepted});
}

void Listener::Impl::accepted(const error_code& error, std::size_t) {
  if (!acceptor_.is_open()) return;
  if (!error) {
    take_in();
    return accept();
  }
  // Out of descriptors or memory: Asio itself passes over what concerns one connection only.
  pause_.arm(limits_.accept_pause, Handler<Impl>{shared_from_this(), &Impl::pause_over});
}

void Listener::Impl::pause_over(const error_code& error, std::size_t) {
  if (pause_.reached(error)) accept();
}

void Listener::Impl::take_in() {
  error_code error;
  const auto from = incoming_.remote_endpoint(error).address().to_string();
  if (error || is_full(from)) {
    incoming_.close(error);
    return;
  }
  const auto link = Link::accept(std::move(incoming_), shared_from_this(), limits_.link, door_);
  strangers_.emplace(link.get(), Stranger{from, link});
  ++connections_;
}

bool Listener::Impl::is_full(const std::string& address) const noexcept {
  const auto same = std::count_if(strangers_.begin(), strangers_.end(), [&](const auto& entry) {
    return entry.second.address == address;
  });
  return connections_ >= limits_.connections_max || strangers_.size() >= limits_.strangers_max ||
         static_cast<std::size_t>(same) >= limits_.strangers_per_address_max;
}

void Listener::Impl::established(const std::shared_ptr<Link>& link) {
  strangers_.erase(link.get());
  Doorkeeper::established(link);
}

void Listener::Impl::closed(const std::shared_ptr<Link>& link, const SessionReport& report) {
  strangers_.erase(link.get());
  --connections_;
  Doorkeeper::closed(link, report);
}

void Listener::Impl::stop_listening() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.disarm();
}

void Listener::Impl::stop() {
  stop_listening();
  for (const auto& [unused, stranger] : strangers_) {
    if (const auto link = stranger.link.lock()) link->leave("stopping");
  }
}

Listener::Listener(net::io_context& loop, const Address& address, LinkHost& host,
                   const ListenLimits& limits)
    : impl_(std::make_shared<Impl>(loop, host, limits)) {
  impl_->listen(address);
}

Listener::~Listener() { impl_->stop_listening(); }

const Address& Listener::address() const noexcept { return impl_->address(); }
void Listener::stop() { impl_->stop(); }
std::size_t Listener::strangers() const noexcept { return impl_->strangers(); }
std::size_t Listener::connections() const noexcept { return impl_->connections(); }

// ------------------------------------------------------------ dialling

class Dialler::Impl final : public Doorkeeper, public std::enable_shared_from_this<Impl> {
 public:
  Impl(net::io_context& loop, const Address& address, LinkHost& host, DialOptions options)
      : Doorkeeper(host),
        loop_(loop),
        target_{address, options.once},
        options_(std::move(options)),
        pause_(loop.get_executor()) {}

  void dial() { link_ = Link::dial(loop_, target_, shared_from_this(), options_.link); }
  void stop_dialling();
  void stop();

  void established(const std::shared_ptr<Link>& link) override;
  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override;

  std::shared_ptr<Link> link() const noexcept { return link_.lock(); }

 private:
  void pause_over(const error_code& error, std::size_t);
  double random();

  net::io_context& loop_;
  const Link::Target target_;
  const DialOptions options_;
  Deadline pause_;
  Backoff backoff_;
  std::mt19937 generator_{std::random_device{}()};
  std::optional<SteadyClock::time_point> established_at_;
  std::weak_ptr<Link> link_;
  bool stopped_ = false;
};

double Dialler::Impl::random() {
  if (options_.random) return options_.random();
  return std::uniform_real_distribution<double>(0, 1)(generator_);
}

void Dialler::Impl::established(const std::shared_ptr<Link>& link) {
  established_at_ = SteadyClock::now();
  Doorkeeper::established(link);
}

void Dialler::Impl::closed(const std::shared_ptr<Link>& link, const SessionReport& report) {
  link_.reset();
  if (!stopped_ && !options_.once) {
    const auto since = std::exchange(established_at_, std::nullopt);
    if (since) {
      backoff_.ended(
          std::chrono::duration_cast<std::chrono::milliseconds>(SteadyClock::now() - *since));
    }
    pause_.arm(backoff_.next(random()), Handler<Impl>{shared_from_this(), &Impl::pause_over});
  }
  Doorkeeper::closed(link, report);
}

void Dialler::Impl::pause_over(const error_code& error, std::size_t) {
  if (pause_.reached(error) && !stopped_) dial();
}

void Dialler::Impl::stop_dialling() {
  stopped_ = true;
  pause_.disarm();
}

void Dialler::Impl::stop() {
  stop_dialling();
  if (const auto link = link_.lock()) link->leave("stopping");
}

Dialler::Dialler(net::io_context& loop, const Address& address, LinkHost& host, DialOptions options)
    : impl_(std::make_shared<Impl>(loop, address, host, std::move(options))) {
  impl_->dial();
}

Dialler::~Dialler() { impl_->stop_dialling(); }

void Dialler::stop() { impl_->stop(); }
std::shared_ptr<Link> Dialler::link() const noexcept { return impl_->link(); }

}  // namespace loam
