#include "lib/federation.hpp"

#include "crdt/error.hpp"
#include "lib/federation_impl.hpp"

namespace loam {
namespace {

namespace net = boost::asio;

// How often to look whether another process has committed: often while one does, and else so rarely that a thousand
// idle instances on a machine do not keep it busy. What this process commits is told at once.
constexpr std::chrono::milliseconds poll_busy{20};
constexpr std::chrono::milliseconds poll_idle{200};
constexpr std::chrono::seconds poll_busy_for{2};

// How often it is noted at least and at most that a peer was heard, where rules may grow too old. Whom something is
// refused of is noted that often, too.
constexpr std::chrono::milliseconds heard_least{1'000};
constexpr std::chrono::milliseconds heard_most{15'000};
constexpr std::chrono::milliseconds stop_within{3'000};

}  // namespace

Federation::Impl::Impl(Core& core)
    : core_(core), source_(core.shared), voting_(core.shared), gate_(core.shared, [&core] { return core.now_ms(); }),
      work_(net::make_work_guard(loop_)), poll_(loop_), quota_(core.config.quota), released_(loop_) {
  last_transaction_ = core.shared.env().last_transaction();
  thread_ = std::thread([this] { run(); });
  {
    const std::lock_guard lock(core_.on_commit_mutex);
    core_.on_commit = [this] { wake(); };
  }
  net::post(loop_, [this] { poll(); });
}

Federation::Impl::~Impl() {
  stop();
  {
    const std::lock_guard lock(core_.on_commit_mutex);
    core_.on_commit = nullptr;
  }
  work_.reset();
  loop_.stop();
  thread_.join();
  pool_.stop();
  while (!rounds_.empty()) {
    const auto link = rounds_.begin()->first;
    end_round(link, "the memory was closed");
  }
  while (!strongs_.empty()) end_strong(strongs_.begin()->first, StrongEnd::closed);
  core_.queue.flush();  // what `done` callbacks would touch must not outlive this object
}

// What a handler throws is ours or the system's, never a peer's: the others go on.
void Federation::Impl::run() {
  while (true) {
    try {
      loop_.run();
      return;
    } catch (const std::exception& error) {
      core_.log(LogLevel::error, std::string("network: ") + error.what());
    }
  }
}

Address Federation::Impl::serve(const ServeOptions& options) {
  core_.require_registry();
  return on_loop([&] {
    if (listener_) throw Error(ErrorCode::invalid, "serve: already listening");
    ListenLimits limits = core_.config.limits;
    if (!options.announce.empty()) limits.hosts.push_back(parse_address(options.announce).host);
    listener_ = std::make_unique<Listener>(loop_, parse_address(options.listen), *this, limits);
    dial_known_ = options.dial_known;
    every_ = options.every;
    next_round_ = {};
    return listener_->address();
  });
}

void Federation::Impl::connect(const std::string& endpoint) {
  core_.require_registry();
  on_loop([&] {
    dial(parse_address(endpoint));
    return 0;
  });
}

void Federation::Impl::stop() {
  on_loop([&] {
    if (listener_) listener_->stop();
    listener_.reset();
    for (auto& [endpoint, dialler] : diallers_) dialler->stop();
    diallers_.clear();
    dial_known_ = false;
    auto links = links_;
    for (const auto& [link, end] : rounds_) links.insert(link);  // those not established yet too
    for (const auto& link : links) link->leave("closing");
    return 0;
  });
  if (std::this_thread::get_id() == thread_.get_id()) return;  // nothing ends while it waits here
  const auto until = std::chrono::steady_clock::now() + stop_within;
  std::unique_lock lock(ended_mutex_);
  ended_.wait_until(lock, until, [&] { return open_ == 0; });
}

// ---------------------------------------------------------------- changes of the store

Subscription Federation::Impl::watch(std::vector<std::string> segments,
                                     std::function<void(const Change&)> callback,
                                     const std::weak_ptr<Impl>& self) {
  const std::uint64_t id = on_loop([&] {
    watches_.emplace(++watch_id_, std::make_shared<Watch>(core_, source_, std::move(segments),
                                                          std::move(callback)));
    return watch_id_;
  });
  const auto end = [self, id](void*) {
    if (const auto impl = self.lock()) impl->unwatch(id);
  };
  return Subscription(std::shared_ptr<void>(this, end));
}

void Federation::Impl::unwatch(std::uint64_t id) {
  if (process_.is_left()) return;  // a forked child has no loop thread
  on_loop([&] {
    const auto watch = watches_.find(id);
    if (watch == watches_.end()) return 0;
    watch->second->end();
    watches_.erase(watch);
    return 0;
  });
}

// Tells everybody that the store has changed; from the writer thread or by polling.
void Federation::Impl::wake() {
  if (woken_.exchange(true)) return;
  net::post(loop_, [this] {
    woken_ = false;
    last_transaction_ = core_.shared.env().last_transaction();
    notify();
  });
}

void Federation::Impl::notify() {
  const auto links = links_;
  for (const auto& link : links) link->changed();
  refresh_strongs();
  const auto watches = watches_;
  for (const auto& [id, watch] : watches) {
    try {
      if (watches_.count(id) != 0) watch->notify();
    } catch (const std::exception& error) {
      core_.log(LogLevel::error, std::string("watch: ") + error.what());
    }
  }
}

// Other processes on this store, and decisions of later, are told when the peers that matter were heard last: often
// enough for how old rules may be. And the status is told whose records were refused while the link stands.
void Federation::Impl::keep_heard(std::chrono::steady_clock::time_point time) {
  if (links_.empty() || time < next_heard_) return;
  const auto age_max = core_.rules.age_max();
  next_heard_ = time + (age_max ? std::clamp(*age_max / 4, heard_least, heard_most) : heard_least);
  if (!std::exchange(has_refused_, false) && !age_max) return;
  const auto required = age_max ? core_.rules.required_peers() : std::vector<InstanceId>();
  for (const auto& link : links_) {
    const SessionReport report = link->report();
    const bool is_required = report.peer && std::find(required.begin(), required.end(), report.peer->instance) != required.end();
    if (is_required || !new_refusals(link, report).empty()) remember_peer(link, report);
  }
}

void Federation::Impl::poll() {
  try {
    const auto time = std::chrono::steady_clock::now();
    const std::uint64_t now = core_.shared.env().last_transaction();
    if (now != last_transaction_) {
      last_transaction_ = now;
      polled_news_ = time;
      notify();
    }
    if (dial_known_ && time >= next_round_) {
      next_round_ = time + every_;
      dial_known();
      notify();
    }
    keep_heard(time);
  } catch (const std::exception& error) {
    core_.log(LogLevel::error, error.what());
  }
  const bool is_busy = std::chrono::steady_clock::now() - polled_news_ < poll_busy_for;
  poll_.expires_after(is_busy ? poll_busy : dial_known_ ? std::min(poll_idle, every_) : poll_idle);
  poll_.async_wait([this](const boost::system::error_code& failure) {
    if (!failure) poll();
  });
}

// ---------------------------------------------------------------- what the rest of lib sees

Federation::Federation(Core& core) : impl_(std::make_shared<Impl>(core)) {}
Federation::~Federation() = default;

Address Federation::serve(const ServeOptions& options) { return impl_->serve(options); }
void Federation::connect(const std::string& endpoint) { impl_->connect(endpoint); }
std::future<SyncReport> Federation::sync(const SyncOptions& options) {
  return impl_->sync(options);
}
std::future<SyncReport> Federation::join(const Invitation& invitation, std::chrono::milliseconds timeout) {
  return impl_->join(invitation, timeout);
}
Subscription Federation::watch(std::vector<std::string> segments,
                               std::function<void(const Change&)> callback) {
  return impl_->watch(std::move(segments), std::move(callback), impl_);
}
std::future<StrongOutcome> Federation::strong(StrongRequest request) { return impl_->strong(std::move(request)); }
void Federation::stop() { impl_->stop(); }
std::set<StoreId> Federation::linked() const { return impl_->linked(); }

}  // namespace loam
