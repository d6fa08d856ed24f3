#include <sodium.h>

#include <algorithm>

#include "crdt/error.hpp"
#include "lib/apply_pieces.hpp"
#include "lib/federation_impl.hpp"
#include "lib/membership.hpp"
#include "lib/peers.hpp"
#include "lib/removals.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

namespace net = boost::asio;

WriteQuota::Time steady_now() {
  return std::chrono::duration_cast<WriteQuota::Time>(std::chrono::steady_clock::now().time_since_epoch());
}

/// What a peer brings at once, being verified piece by piece; then the loop thread goes on with it.
class Verification final : public SlicedWork {
 public:
  using Then = std::function<void(std::vector<CheckedApply>)>;

  Verification(const SharedStore& store, net::io_context& loop, std::vector<Apply> pieces, Then then)
      : store_(store), loop_(loop), then_(std::move(then)) {
    for (Apply& piece : pieces) pieces_.push_back({std::move(piece), std::nullopt});
  }

  std::size_t slices() const override { return pieces_.size(); }
  void slice(std::size_t index) override { pieces_[index] = check_apply(store_, std::move(pieces_[index].change)); }
  void end() override {
    net::post(loop_, [then = std::move(then_), pieces = std::move(pieces_)]() mutable { then(std::move(pieces)); });
  }

 private:
  const SharedStore& store_;
  net::io_context& loop_;
  std::vector<CheckedApply> pieces_;
  Then then_;
};

}  // namespace

/// One call of `sync`: a link to each endpoint, and the promise that waits for all of them.
struct Federation::Impl::Round {
  std::promise<SyncReport> promise;
  SyncReport report;
  std::vector<std::shared_ptr<Link>> links;
  std::size_t open = 0;
  std::unique_ptr<net::steady_timer> deadline;

  void end() {
    deadline.reset();
    links.clear();
    report.converged =
        !report.peers.empty() && std::all_of(report.peers.begin(), report.peers.end(),
                                             [](const PeerReport& peer) { return peer.converged; });
    promise.set_value(std::move(report));
  }
};

std::set<StoreId> Federation::Impl::linked() {
  return on_loop([&] {
    std::set<StoreId> stores;
    for (const auto& link : links_) {
      const SessionReport report = link->report();
      if (report.peer) stores.insert(report.peer->store);
    }
    return stores;
  });
}

// ---------------------------------------------------------------- LinkHost

void Federation::Impl::apply(const Hello& peer, loam::Apply change,
                             std::function<void(ApplyOutcome)> done) {
  auto ended = [this, segment = change.segment, name = peer.name,
                done = std::move(done)](const ApplyOutcome& outcome) {
    net::post(loop_, [this, segment, name, done, outcome] {
      if (const auto text = clone_alarm(segment, outcome)) alarm(*text);
      if (outcome.left_out + outcome.parked > 0) {
        core_.log(LogLevel::warning, "segment " + segment + ": " + std::to_string(outcome.left_out + outcome.parked) +
                                         " records of " + name + " are not admitted: " + outcome.reason);
      }
      if (outcome.left_out > 0) has_refused_ = true;
      done(outcome);
    });
  };
  const auto verified = [this, peer, gaps = refusals_.of(peer.nonce), ended](std::vector<CheckedApply> pieces) {
    store(peer, std::move(pieces), gaps, ended);
  };
  pool_.add(peer.instance, std::make_shared<Verification>(core_.shared, loop_, pieces_of(std::move(change)), verified));
}

// Stores what has been verified, unless it has to wait for its authors' quota.
void Federation::Impl::store(const Hello& peer, std::vector<CheckedApply> pieces,
                             const std::shared_ptr<StreamGaps>& gaps,
                             const std::function<void(ApplyOutcome)>& ended) {
  const WaitingJobs::Line line{peer.nonce, core_.shared.number(pieces.front().change.segment)};
  const auto now = steady_now();
  const auto until = wait_of(peer, pieces, now);
  std::vector<Job> jobs = apply_jobs(core_.shared, peer.store, peer.instance, std::move(pieces), gaps, ended);
  if (until <= now && !waiting_.has(line)) {
    for (Job& job : jobs) core_.queue.submit(std::move(job), CommitQueue::Full::accept);
    return;
  }
  if (!waiting_.has(line)) {
    core_.log(LogLevel::warning, "segment " + core_.shared.name(line.second) + ": " + peer.name +
                                     " brings more of an author than sync.author_batches_per_second: it waits");
  }
  for (Job& job : jobs) waiting_.add(line, until, std::move(job));
  release();
}

// Until when a change waits, for its authors' sake. What governors write never waits.
WriteQuota::Time Federation::Impl::wait_of(const Hello& peer, std::span<const CheckedApply> pieces,
                                           WriteQuota::Time now) {
  WriteQuota::Time until = now;
  const std::string& name = pieces.front().change.segment;
  if (name == registry_name) return until;
  for (const auto& [author, batches] : signed_batches(pieces)) {
    until = std::max(until, quota_.take(peer.instance, core_.shared.number(name), author, batches, now));
  }
  return until;
}

// Stores what has waited long enough.
void Federation::Impl::release() {
  const auto now = steady_now();
  for (Job& job : waiting_.take_due(now)) core_.queue.submit(std::move(job), CommitQueue::Full::accept);
  const auto next = waiting_.next();
  if (!next) return;
  released_.expires_at(std::chrono::steady_clock::time_point(*next));
  released_.async_wait([this](const boost::system::error_code& error) {
    if (!error) release();
  });
}

void Federation::Impl::established(const std::shared_ptr<Link>& link) {
  links_.insert(link);
  count_open();
  const SessionReport report = link->report();
  unreached_.erase(link->endpoint());
  core_.log(LogLevel::info, "linked with " + report.peer->name + " at " + link->endpoint());
  remember_peer(link, report);
  ask_strongs(link);
}

void Federation::Impl::closed(const std::shared_ptr<Link>& link, const SessionReport& report) {
  if (report.peer) {
    refusals_.forget(report.peer->nonce);
    waiting_.forget(report.peer->nonce);
  }
  if (links_.erase(link) > 0) remember_peer(link, report);
  noted_.erase(link);
  // An endpoint that cannot be reached is named once, not at every attempt.
  const bool is_unreached = link->role() == Role::dialler && !report.peer;
  const bool is_news = !is_unreached || unreached_.insert(link->endpoint()).second;
  if (!report.problem.empty() && is_news) {
    core_.log(LogLevel::warning, "link " + link->endpoint() + ": " + report.problem);
  }
  end_round(link, report);
  count_open();
}

void Federation::Impl::hold(const Hello& peer, Hold removal) {
  alarm("segment " + removal.segment + ": " + peer.name + " has removed " +
        std::to_string(removal.dots.count()) +
        " records without saying so: they are kept until confirmed (loam peers confirm-removal " +
        peer.name + ")");
  Job job = hold_job(core_.shared, peer.store, std::move(removal));
  job.peer = peer.instance;
  core_.queue.submit(std::move(job), CommitQueue::Full::accept);
}

void Federation::Impl::admit(Admit stranger, std::function<void(std::optional<std::string>)> done) {
  const auto refusal = std::make_shared<std::optional<std::string>>();
  Job job;
  job.shared = [this, stranger, refusal](SharedBatch& batch) {
    *refusal = admit_invited(core_, batch, stranger.key, stranger.secret);
  };
  const auto end = [this, refusal, done = std::move(done)](bool has_failed) {
    if (has_failed) *refusal = "it could not be admitted";
    net::post(loop_, [refusal, done] { done(*refusal); });
  };
  job.done = [end](const std::exception_ptr& failure) { end(failure != nullptr); };
  try {
    core_.queue.submit(std::move(job), CommitQueue::Full::accept);
  } catch (const Error& error) {
    core_.log(LogLevel::warning, std::string("invitation: ") + error.what());
    end(true);
  }
}

void Federation::Impl::alarm(const std::string& text) {
  core_.log(LogLevel::error, "alarm: " + text);
  try {
    Job job;
    job.shared = [text](SharedBatch& batch) { batch.raise_alarm(text); };
    core_.queue.submit(std::move(job), CommitQueue::Full::accept);
  } catch (const Error& error) {  // it stands in the log
    core_.log(LogLevel::warning, "an alarm could not be kept: " + std::string(error.what()));
  }
}

std::shared_ptr<const Tls> Federation::Impl::tls() {
  const SigningKey& key = core_.key.signing;
  if (!tls_) {
    tls_ = std::make_shared<const Tls>(key.public_key(), [&](std::string_view domain, BytesView message) {
      return key.sign(domain, message);
    });
  }
  return tls_;
}

SessionConfig Federation::Impl::session_config(Role role) {
  SessionConfig config;
  config.role = role;
  config.hello.federation = core_.identity.federation;
  config.hello.instance = core_.identity.id;
  config.hello.store = core_.shared.id();
  config.hello.name = core_.identity.name;
  config.limits.removals_min = core_.config.silent_removals_max;
  config.limits.removals_percent = core_.config.silent_removals_percent_max;
  randombytes_buf(config.hello.nonce.data(), config.hello.nonce.size());
  config.hello.key = core_.key.signing.public_key();
  config.gate = &gate_;
  config.voting = &voting_;
  return config;
}

void Federation::Impl::remember_peer(const std::shared_ptr<Link>& link,
                                     const SessionReport& report) {
  if (!report.peer) return;
  const std::string endpoint = link->role() == Role::dialler ? link->endpoint() : "";
  try {
    PeerRow row = peer_row(core_, *report.peer, endpoint, report);
    row.refused = new_refusals(link, report);
    Job job;
    job.lazy = true;
    job.shared = [store = report.peer->store, row = std::move(row)](SharedBatch& batch) { batch.set_peer(store, row); };
    core_.queue.submit(std::move(job), CommitQueue::Full::accept);
    noted_[link] = report.segments;
  } catch (const Error& error) {  // not worth the link
    core_.log(LogLevel::warning, std::string("peer ") + report.peer->name + ": " + error.what());
  }
}

// What a link has refused since its peer was noted last.
std::map<SegmentNumber, std::uint64_t> Federation::Impl::new_refusals(const std::shared_ptr<Link>& link,
                                                                      const SessionReport& report) const {
  const auto noted = noted_.find(link);
  return refused_since(core_, noted == noted_.end() ? Tallies() : noted->second, report.segments);
}

// ---------------------------------------------------------------- dialling

void Federation::Impl::dial(const Address& address) {
  if (diallers_.count(address.text()) != 0) return;
  diallers_.emplace(address.text(), std::make_unique<Dialler>(loop_, address, *this, DialOptions{.link = core_.config.limits.link}));
}

void Federation::Impl::dial_known() {
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

void Federation::Impl::count_open() {
  const std::lock_guard lock(ended_mutex_);
  open_ = links_.size() + rounds_.size();
  ended_.notify_all();
}

// ---------------------------------------------------------------- one round

/// A host whose links ask to be admitted.
class Federation::Impl::JoiningHost final : public LinkHost {
 public:
  JoiningHost(Impl& host, const Invitation& invitation) : host_(host), invitation_(invitation) {}

  void apply(const Hello& peer, loam::Apply change, std::function<void(ApplyOutcome)> done) override {
    host_.apply(peer, std::move(change), std::move(done));
  }
  void established(const std::shared_ptr<Link>& link) override { host_.established(link); }
  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override { host_.closed(link, report); }
  void hold(const Hello& peer, Hold removal) override { host_.hold(peer, std::move(removal)); }
  void admit(Admit stranger, std::function<void(std::optional<std::string>)> done) override {
    host_.admit(std::move(stranger), std::move(done));
  }
  void voted(const Hello& peer, const VotedFrame& vote) override { host_.voted(peer, vote); }
  void alarm(const std::string& text) override { host_.alarm(text); }
  const Source& source() override { return host_.source(); }
  std::shared_ptr<const Tls> tls() override { return host_.tls(); }
  bool is_expected(const PublicKey& key) override { return key == invitation_.governor; }
  SessionConfig session_config(Role role) override {
    SessionConfig config = host_.session_config(role);
    config.hello.joins = true;
    config.expected = invitation_.governor;
    config.secret = invitation_.secret;
    return config;
  }

 private:
  Impl& host_;
  Invitation invitation_;
};

std::future<SyncReport> Federation::Impl::join(const Invitation& invitation, std::chrono::milliseconds timeout) {
  SyncOptions options{.endpoints = {invitation.endpoint}, .timeout = timeout};
  return sync(options, std::make_shared<JoiningHost>(*this, invitation));
}

std::future<SyncReport> Federation::Impl::sync(const SyncOptions& options, std::shared_ptr<LinkHost> host) {
  core_.require_registry();
  const auto round = std::make_shared<Round>();
  auto future = round->promise.get_future();
  on_loop([&] {
    const auto endpoints = options.endpoints.empty() ? known_endpoints(core_) : options.endpoints;
    for (std::size_t i = 0; i < endpoints.size(); ++i) begin_round(round, i, endpoints[i], host);
    if (round->open == 0) {
      round->end();
      return 0;
    }
    round->deadline = std::make_unique<net::steady_timer>(loop_, options.timeout);
    round->deadline->async_wait(
        [this, links = round->links](const boost::system::error_code& failure) {
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

void Federation::Impl::begin_round(const std::shared_ptr<Round>& round, std::size_t index,
                                   const std::string& endpoint, const std::shared_ptr<LinkHost>& given) {
  round->report.peers.push_back({});
  round->report.peers[index].endpoint = endpoint;
  try {
    const std::shared_ptr<LinkHost> host = given ? given : std::shared_ptr<LinkHost>(std::shared_ptr<void>(), this);
    const auto link = Link::dial(loop_, {.address = parse_address(endpoint), .once = true}, host, core_.config.limits.link);
    ++round->open;
    round->links.push_back(link);
    rounds_.emplace(link, [round, index, endpoint](const SessionReport& report) {
      round->report.peers[index] = report_of(endpoint, report);
      if (--round->open == 0) round->end();
    });
  } catch (const Error& error) {
    round->report.peers[index].error = error.what();
    round->report.peers[index].code = error.code();
  }
}

void Federation::Impl::end_round(const std::shared_ptr<Link>& link, const SessionReport& report) {
  const auto round = rounds_.find(link);
  if (round == rounds_.end()) return;
  const auto end = std::move(round->second);
  rounds_.erase(round);
  end(report);
}

// Ends the round of a link that has not closed yet.
void Federation::Impl::end_round(const std::shared_ptr<Link>& link, const std::string& why) {
  SessionReport report = link->report();
  if (!report.converged && report.problem.empty()) report.problem = why;
  end_round(link, report);
}

}  // namespace loam
