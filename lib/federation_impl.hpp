#pragma once

#include <any>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "crdt/invitation.hpp"
#include "lib/apply_job.hpp"
#include "lib/federation.hpp"
#include "lib/own_process.hpp"
#include "lib/peers.hpp"
#include "lib/registry_gate.hpp"
#include "lib/store_source.hpp"
#include "lib/voting.hpp"
#include "lib/waiting_jobs.hpp"
#include "lib/watch.hpp"
#include "lib/work_pool.hpp"
#include "transport/endpoint.hpp"
#include "transport/tls.hpp"

namespace loam {

/// What stands behind Federation: the loop thread and everything that lives on it. Loop thread
/// only, but for what carries itself there by `on_loop` and what says otherwise.
class Federation::Impl final : public LinkHost {
 public:
  explicit Impl(Core& core);
  ~Impl() override;

  // Of Federation; any thread.
  Address serve(const ServeOptions& options);
  void connect(const std::string& endpoint);
  /// `host` of its links; null: this.
  std::future<SyncReport> sync(const SyncOptions& options, std::shared_ptr<LinkHost> host = nullptr);
  std::future<SyncReport> join(const Invitation& invitation, std::chrono::milliseconds timeout);
  Subscription watch(std::vector<std::string> segments, std::function<void(const Change&)> callback,
                     const std::weak_ptr<Impl>& self);
  std::future<StrongOutcome> strong(StrongRequest request);
  void stop();
  std::set<StoreId> linked();

  // Of LinkHost.
  void apply(const Hello& peer, loam::Apply change,
             std::function<void(ApplyOutcome)> done) override;
  void established(const std::shared_ptr<Link>& link) override;
  void closed(const std::shared_ptr<Link>& link, const SessionReport& report) override;
  void hold(const Hello& peer, Hold removal) override;
  void admit(Admit stranger, std::function<void(std::optional<std::string>)> done) override;
  void voted(const Hello& peer, const VotedFrame& vote) override;
  void alarm(const std::string& text) override;
  std::shared_ptr<const Tls> tls() override;
  bool is_expected(const PublicKey& key) override { return !gate_.refusal(key); }
  SessionConfig session_config(Role role) override;
  const Source& source() override { return source_; }

 private:
  struct Round;
  struct Strong;
  class JoiningHost;

  /// Carries `body` out on the loop thread and returns what it returns. Any thread.
  template <class Body>
  auto on_loop(Body&& body) {
    using Result = decltype(body());
    if (std::this_thread::get_id() == thread_.get_id()) return body();  // from a callback
    const auto task = std::make_shared<std::packaged_task<Result()>>(std::forward<Body>(body));
    auto result = task->get_future();
    boost::asio::post(loop_, [task] { (*task)(); });
    return result.get();
  }

  void run();

  // Changes of the store.
  void wake();  ///< any thread
  void notify();
  void poll();
  void keep_heard(std::chrono::steady_clock::time_point time);
  void unwatch(std::uint64_t id);  ///< any thread

  // Links.
  void store(const Hello& peer, std::vector<CheckedApply> pieces, const std::shared_ptr<StreamGaps>& gaps,
             const std::function<void(ApplyOutcome)>& ended);
  WriteQuota::Time wait_of(const Hello& peer, std::span<const CheckedApply> pieces, WriteQuota::Time now);
  void release();
  void dial(const Address& address);
  void dial_known();
  void count_open();
  void begin_round(const std::shared_ptr<Round>& round, std::size_t index,
                   const std::string& endpoint, const std::shared_ptr<LinkHost>& given);
  void end_round(const std::shared_ptr<Link>& link, const SessionReport& report);
  void end_round(const std::shared_ptr<Link>& link, const std::string& why);
  void remember_peer(const std::shared_ptr<Link>& link, const SessionReport& report);
  std::map<SegmentNumber, std::uint64_t> new_refusals(const std::shared_ptr<Link>& link,
                                                      const SessionReport& report) const;

  // Strong calls.
  enum class StrongEnd { done, timed_out, failed, closed };
  void dial_voters(const std::vector<std::string>& given);
  void ask_voters(const StrongCall& call, const VoteFrame& question);
  std::set<Voter> reached() const;
  void refresh_strong(std::uint64_t id);
  void refresh_strongs();
  void ask_again(std::uint64_t id);
  void ask_strongs(const std::shared_ptr<Link>& link);
  void end_strong(std::uint64_t id, StrongEnd end);
  std::string why_not(const StrongReport& report, const VoterView& view) const;

  Core& core_;
  StoreSource source_;
  StoreVoting voting_;
  RegistryGate gate_;
  std::shared_ptr<const Tls> tls_;  ///< made when it is first asked for
  boost::asio::io_context loop_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer poll_;
  std::unique_ptr<Listener> listener_;
  std::map<std::string, std::unique_ptr<Dialler>> diallers_;
  std::set<std::shared_ptr<Link>> links_;
  std::map<std::shared_ptr<Link>, std::function<void(const SessionReport&)>> rounds_;
  std::map<std::shared_ptr<Link>, Tallies> noted_;  ///< as they were when the peer was noted
  bool has_refused_ = false;  ///< anything of anybody since links were asked for it
  Refusals refusals_;
  WorkPool pool_{verifying_threads()};
  WriteQuota quota_;
  WaitingJobs waiting_;  ///< for their authors' quota
  boost::asio::steady_timer released_;
  std::map<std::uint64_t, std::shared_ptr<Watch>> watches_;
  std::map<std::uint64_t, std::shared_ptr<Strong>> strongs_;
  std::atomic<std::uint64_t> strong_id_{0};
  std::set<std::string> bad_endpoints_;
  std::set<std::string> unreached_;
  std::uint64_t watch_id_ = 0;
  std::uint64_t last_transaction_ = 0;
  std::chrono::steady_clock::time_point next_heard_{};
  std::chrono::steady_clock::time_point polled_news_{};  ///< when polling found a commit of whoever
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

}  // namespace loam
