#include "lib/federation.hpp"

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <thread>

#include "crdt/error.hpp"
#include "lib/own_process.hpp"
#include "lib/peers.hpp"
#include "lib/store_source.hpp"
#include "lib/watch.hpp"
#include "lib/write_plan.hpp"
#include "transport/endpoint.hpp"

namespace loam {
namespace {

namespace net = boost::asio;

// How soon a commit of another process is noticed.
constexpr std::chrono::milliseconds poll_every{20};
constexpr std::chrono::milliseconds stop_within{3'000};
constexpr std::size_t alarms_max = 64;

}  // namespace

class Federation::Impl final : public LinkHost {
 public:
  explicit Impl(Core& core)
      : core_(core), source_(core.shared), work_(net::make_work_guard(loop_)), poll_(loop_) {
    last_transaction_ = core.shared.env().last_transaction();
    thread_ = std::thread([this] { run(); });
    {
      const std::lock_guard lock(core_.on_commit_mutex);
      core_.on_commit = [this] { wake(); };
    }
    net::post(loop_, [this] { poll(); });
  }

  ~Impl() override {
    stop();
    {
      const std::lock_guard lock(core_.on_commit_mutex);
      core_.on_commit = nullptr;
    }
    work_.reset();
    loop_.stop();
    thread_.join();
    while (!rounds_.empty()) {
      const auto link = rounds_.begin()->first;
      end_round(link, "the memory was closed");
    }
    core_.queue.flush();  // what `done` callbacks would touch must not outlive this object
  }

  /// Carries `body` out on the loop thread and returns what it returns.
  template <class Body>
  auto on_loop(Body&& body) {
    using Result = decltype(body());
    if (std::this_thread::get_id() == thread_.get_id()) return body();  // from a callback
    const auto task = std::make_shared<std::packaged_task<Result()>>(std::forward<Body>(body));
    auto result = task->get_future();
    net::post(loop_, [task] { (*task)(); });
    return result.get();
  }

  std::string serve(const ServeOptions& options) {
    return on_loop([&] {
      if (listener_) throw Error(ErrorCode::invalid, "serve: already listening");
      listener_ = std::make_unique<Listener>(loop_, parse_address(options.listen), *this);
      dial_known_ = options.dial_known;
      every_ = options.every;
      next_round_ = {};
      return listener_->address().text();
    });
  }

  void connect(const std::string& endpoint) {
    on_loop([&] {
      dial(parse_address(endpoint));
      return 0;
    });
  }

  std::future<SyncReport> sync(const SyncOptions& options);

  Subscription watch(std::vector<std::string> segments, std::function<void(const Change&)> callback,
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

  void stop() {
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

  std::vector<std::string> alarms() {
    return on_loop([&] { return std::vector<std::string>(alarms_.begin(), alarms_.end()); });
  }

  std::set<StoreId> linked() {
    return on_loop([&] {
      std::set<StoreId> stores;
      for (const auto& link : links_) {
        const SessionReport report = link->report();
        if (report.peer) stores.insert(report.peer->store);
      }
      return stores;
    });
  }

  // ------------------------------------------------------------ LinkHost

  void apply(const Hello& peer, loam::Apply change,
             std::function<void(ApplyOutcome)> done) override;

  void established(const std::shared_ptr<Link>& link) override {
    links_.insert(link);
    count_open();
    const SessionReport report = link->report();
    unreached_.erase(link->endpoint());
    core_.log(LogLevel::info, "linked with " + report.peer->name + " at " + link->endpoint());
    remember_peer(link, report);
  }

  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override {
    if (report.peer) refusals_.erase(report.peer->nonce);
    if (links_.erase(link) > 0) remember_peer(link, report);
    // An endpoint that cannot be reached is named once, not at every attempt.
    const bool is_unreached = link->role() == Role::dialler && !report.peer;
    const bool is_news = !is_unreached || unreached_.insert(link->endpoint()).second;
    if (!report.problem.empty() && is_news) {
      core_.log(LogLevel::warning, "link " + link->endpoint() + ": " + report.problem);
    }
    end_round(link, report);
    count_open();
  }

  void alarm(const std::string& text) override {
    core_.log(LogLevel::error, "alarm: " + text);
    alarms_.push_back(text);
    if (alarms_.size() > alarms_max) alarms_.pop_front();
  }

  SessionConfig session_config(Role role) override {
    SessionConfig config;
    config.role = role;
    config.hello.federation = core_.identity.federation;
    config.hello.instance = core_.identity.id;
    config.hello.store = core_.shared.id();
    config.hello.name = core_.identity.name;
    config.hello.nonce = mint_packet_id(core_.now_ms()).bytes;
    return config;
  }

  const Source& source() override { return source_; }

 private:
  friend class Federation;

  // What a handler throws is ours or the system's, never a peer's: the others go on.
  void run() {
    while (true) {
      try {
        loop_.run();
        return;
      } catch (const std::exception& error) {
        core_.log(LogLevel::error, std::string("network: ") + error.what());
      }
    }
  }

  void count_open() {
    const std::lock_guard lock(ended_mutex_);
    open_ = links_.size() + rounds_.size();
    ended_.notify_all();
  }

  void end_round(const std::shared_ptr<Link>& link, const SessionReport& report) {
    const auto round = rounds_.find(link);
    if (round == rounds_.end()) return;
    const auto end = std::move(round->second);
    rounds_.erase(round);
    end(report);
  }

  // Ends the round of a link that has not closed yet.
  void end_round(const std::shared_ptr<Link>& link, const std::string& why) {
    SessionReport report = link->report();
    if (!report.converged && report.problem.empty()) report.problem = why;
    end_round(link, report);
  }

  void dial(const Address& address) {
    if (diallers_.count(address.text()) != 0) return;
    diallers_.emplace(address.text(), std::make_unique<Dialler>(loop_, address, *this));
  }

  // Tells everybody that the store has changed; from the writer thread or by polling.
  void wake() {
    if (woken_.exchange(true)) return;
    net::post(loop_, [this] {
      woken_ = false;
      last_transaction_ = core_.shared.env().last_transaction();
      notify();
    });
  }

  void notify() {
    const auto links = links_;
    for (const auto& link : links) link->changed();
    const auto watches = watches_;
    for (const auto& [id, watch] : watches) {
      try {
        if (watches_.count(id) != 0) watch->notify();
      } catch (const std::exception& error) {
        core_.log(LogLevel::error, std::string("watch: ") + error.what());
      }
    }
  }

  void poll() {
    try {
      const std::uint64_t now = core_.shared.env().last_transaction();
      if (now != last_transaction_) {
        last_transaction_ = now;
        notify();
      }
      const auto time = std::chrono::steady_clock::now();
      if (dial_known_ && time >= next_round_) {
        next_round_ = time + every_;
        dial_known();
        notify();
      }
    } catch (const std::exception& error) {
      core_.log(LogLevel::error, error.what());
    }
    poll_.expires_after(poll_every);
    poll_.async_wait([this](const boost::system::error_code& failure) {
      if (!failure) poll();
    });
  }

  void dial_known() {
    for (const std::string& endpoint : known_endpoints(core_)) {
      try {
        dial(parse_address(endpoint));
      } catch (const Error& error) {
        if (bad_endpoints_.insert(endpoint).second) {
          core_.log(LogLevel::warning, "endpoint " + endpoint + ": " + error.what());
        }
      }
    }
  }

  void unwatch(std::uint64_t id) {
    if (process_.is_left()) return;  // a forked child has no loop thread
    on_loop([&] {
      const auto watch = watches_.find(id);
      if (watch == watches_.end()) return 0;
      watch->second->end();
      watches_.erase(watch);
      return 0;
    });
  }

  void remember_peer(const std::shared_ptr<Link>& link, const SessionReport& report) {
    if (!report.peer) return;
    const std::string endpoint = link->role() == Role::dialler ? link->endpoint() : "";
    try {
      Job job;
      job.lazy = true;
      job.shared = [store = report.peer->store,
                    row = peer_row(core_, *report.peer, endpoint, report)](SharedBatch& batch) {
        batch.set_peer(store, row);
      };
      core_.queue.submit(std::move(job), CommitQueue::Full::accept);
    } catch (const Error& error) {  // not worth the link
      core_.log(LogLevel::warning, std::string("peer ") + report.peer->name + ": " + error.what());
    }
  }

  Core& core_;
  StoreSource source_;
  net::io_context loop_;
  net::executor_work_guard<net::io_context::executor_type> work_;
  net::steady_timer poll_;
  std::unique_ptr<Listener> listener_;
  std::map<std::string, std::unique_ptr<Dialler>> diallers_;
  std::set<std::shared_ptr<Link>> links_;
  std::map<std::shared_ptr<Link>, std::function<void(const SessionReport&)>> rounds_;
  std::map<std::array<std::byte, 16>, std::shared_ptr<std::atomic<std::uint64_t>>> refusals_;
  std::map<std::uint64_t, std::shared_ptr<Watch>> watches_;
  std::set<std::string> bad_endpoints_;
  std::set<std::string> unreached_;
  std::deque<std::string> alarms_;
  std::uint64_t watch_id_ = 0;
  std::uint64_t last_transaction_ = 0;
  std::atomic<bool> woken_{false};
  bool dial_known_ = false;
  std::chrono::milliseconds every_{1'000};
  std::chrono::steady_clock::time_point next_round_{};
  std::mutex ended_mutex_;
  std::condition_variable ended_;
  std::size_t open_ = 0;  ///< links and rounds
  OwnProcess process_;
  std::thread thread_;
};

// Once one part of a peer's stream was refused, nothing after it on that connection may be stored:
// its position would claim the refused part.
void Federation::Impl::apply(const Hello& peer, loam::Apply change,
                             std::function<void(ApplyOutcome)> done) {
  auto& refused = refusals_[peer.nonce];
  if (!refused) refused = std::make_shared<std::atomic<std::uint64_t>>(~std::uint64_t{0});
  struct Task {
    loam::Apply change;
    StoreId peer;
    SegmentNumber segment;
    std::shared_ptr<std::atomic<std::uint64_t>> refused;  ///< the first ticket that was
    ApplyOutcome outcome;

    void refuse() { *refused = std::min<std::uint64_t>(*refused, change.ticket); }
  };
  const SegmentNumber segment = core_.shared.number(change.segment);
  const auto task =
      std::make_shared<Task>(Task{std::move(change), peer.store, segment, refused, {}});
  Job job;
  job.lazy = task->change.delta.empty();
  for (const auto& [dot, record] : task->change.delta.live) job.octets += record.size() + 64;
  job.shared = [task](SharedBatch& batch) {
    if (*task->refused < task->change.ticket) {
      throw Error(ErrorCode::failed, "an earlier part was refused");
    }
    const loam::Apply& todo = task->change;
    Applied applied;
    try {
      if (!todo.delta.empty()) {
        applied = batch.join(task->segment, todo.delta, todo.authors, task->peer);
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::out_of_space) task->refuse();
      throw;
    }
    if (todo.position) batch.set_position(task->segment, task->peer, *todo.position);
    task->outcome = {todo.ticket, applied.inserted, applied.dropped, applied.equivocated.size(),
                     std::nullopt};
  };
  job.done = [this, task, done = std::move(done)](std::exception_ptr failure) {
    task->outcome.ticket = task->change.ticket;
    if (failure) {
      task->refuse();
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        task->outcome.refused = error.what();
      }
    }
    net::post(loop_, [done, outcome = task->outcome] { done(outcome); });
  };
  core_.queue.submit(std::move(job), CommitQueue::Full::accept);
}

std::future<SyncReport> Federation::Impl::sync(const SyncOptions& options) {
  struct Round {
    std::promise<SyncReport> promise;
    SyncReport report;
    std::size_t open = 0;
    std::unique_ptr<net::steady_timer> deadline;

    void end() {
      deadline.reset();
      report.converged = !report.peers.empty() &&
                         std::all_of(report.peers.begin(), report.peers.end(),
                                     [](const PeerReport& peer) { return peer.converged; });
      promise.set_value(std::move(report));
    }
  };
  const auto round = std::make_shared<Round>();
  auto future = round->promise.get_future();
  on_loop([&] {
    const auto endpoints = options.endpoints.empty() ? known_endpoints(core_) : options.endpoints;
    const std::shared_ptr<LinkHost> host(std::shared_ptr<void>(), this);
    std::vector<std::shared_ptr<Link>> links;
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      round->report.peers.push_back({});
      round->report.peers[i].endpoint = endpoints[i];
      try {
        const auto link =
            Link::dial(loop_, {.address = parse_address(endpoints[i]), .once = true}, host);
        ++round->open;
        links.push_back(link);
        rounds_.emplace(link, [round, i, endpoint = endpoints[i]](const SessionReport& report) {
          round->report.peers[i] = report_of(endpoint, report);
          if (--round->open == 0) round->end();
        });
      } catch (const Error& error) {
        round->report.peers[i].error = error.what();
        round->report.peers[i].code = error.code();
      }
    }
    if (round->open == 0) {
      round->end();
      return 0;
    }
    round->deadline = std::make_unique<net::steady_timer>(loop_, options.timeout);
    round->deadline->async_wait([this, links](const boost::system::error_code& failure) {
      if (failure) return;
      for (const auto& link : links) {
        if (rounds_.count(link) == 0) continue;
        link->leave("timed out");
        end_round(link, "timed out");  // its closing is not waited for
      }
      count_open();
    });
    count_open();
    return 0;
  });
  return future;
}

Federation::Federation(Core& core) : impl_(std::make_shared<Impl>(core)) {}
Federation::~Federation() = default;

std::string Federation::serve(const ServeOptions& options) { return impl_->serve(options); }
void Federation::connect(const std::string& endpoint) { impl_->connect(endpoint); }
std::future<SyncReport> Federation::sync(const SyncOptions& options) {
  return impl_->sync(options);
}
Subscription Federation::watch(std::vector<std::string> segments,
                               std::function<void(const Change&)> callback) {
  return impl_->watch(std::move(segments), std::move(callback), impl_);
}
void Federation::stop() { impl_->stop(); }
std::set<StoreId> Federation::linked() const { return impl_->linked(); }
std::vector<std::string> Federation::alarms() const { return impl_->alarms(); }

}  // namespace loam
