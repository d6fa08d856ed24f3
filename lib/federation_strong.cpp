// Strong calls: questions to the voters that this process has links with, until a majority has said yes or the time is up.
#include <algorithm>

#include "lib/federation_impl.hpp"
#include "lib/peers.hpp"
#include "transport/address.hpp"

namespace loam {
namespace {

namespace net = boost::asio;

// A question is asked again so often, in case the voter has let go of it.
constexpr std::chrono::milliseconds ask_again_after{500};

// How often it is tried to read at one moment while somebody writes; the next commit begins anew.
constexpr int tries_max = 8;

// Of an established link.
Voter voter_at(const Link& link) { return {link.peer()->instance, link.peer()->store}; }

}  // namespace

struct Federation::Impl::Strong {
  StrongRequest request;
  std::promise<StrongOutcome> promise;
  StrongCall call;
  std::map<std::uint64_t, std::any> values;  ///< of a read, by question
  VoterView view;
  net::steady_timer deadline;
  net::steady_timer again;

  Strong(StrongRequest asked, StrongCall made, net::io_context& loop)
      : request(std::move(asked)), call(std::move(made)), deadline(loop), again(loop) {}
};

std::future<StrongOutcome> Federation::Impl::strong(StrongRequest request) {
  core_.require_registry();
  if (std::this_thread::get_id() == thread_.get_id()) {
    throw Error(ErrorCode::invalid, "a strong call waits for the network: not from a callback");
  }
  const auto self = voter_of(core_.shared);
  const std::uint64_t id = ++strong_id_;
  StrongCall call = request.kind == StrongRequest::Kind::write ? StrongCall(id, self, request.segment, request.dots)
                                                              : StrongCall(id, self);
  const auto strong = std::make_shared<Strong>(std::move(request), std::move(call), loop_);
  auto future = strong->promise.get_future();
  on_loop([&] {
    strongs_.emplace(id, strong);
    strong->deadline.expires_at(strong->request.deadline);
    strong->deadline.async_wait([this, id](const boost::system::error_code& failure) {
      if (!failure) end_strong(id, StrongEnd::timed_out);
    });
    dial_voters(strong->request.endpoints);
    refresh_strong(id);
    ask_again(id);
    return 0;
  });
  return future;
}

// Those voters that are not linked yet and say where they listen, and whoever is behind the other endpoints.
void Federation::Impl::dial_voters(const std::vector<std::string>& given) {
  std::vector<std::string> endpoints = core_.config.endpoints;
  endpoints.insert(endpoints.end(), given.begin(), given.end());
  if (const auto registry = core_.shared.registry()) {
    const auto linked = reached();
    for (const VoterSet& set : registry->voters().open) {
      for (const Voter& voter : set) {
        const auto entry = registry->find(voter.instance);
        if (!entry || linked.contains(voter) || entry->status != InstanceStatus::active) continue;
        endpoints.insert(endpoints.end(), entry->endpoints.begin(), entry->endpoints.end());
      }
    }
  }
  for (const std::string& endpoint : endpoints) {
    try {
      dial(parse_address(endpoint));
    } catch (const Error& error) {
      if (bad_endpoints_.insert(endpoint).second) core_.log(LogLevel::warning, "endpoint " + endpoint + ": " + error.what());
    }
  }
}

// Over every link that there is: one of several with a voter may hang.
void Federation::Impl::ask_voters(const StrongCall& call, const VoteFrame& question) {
  const auto links = links_;
  for (const auto& link : links) {
    if (link->established() && call.is_asked(voter_at(*link))) link->ask(question);
  }
}

std::set<Voter> Federation::Impl::reached() const {
  std::set<Voter> found{voter_of(core_.shared)};
  for (const auto& link : links_) {
    if (link->established()) found.insert(voter_at(*link));
  }
  return found;
}

// What was committed may be what is asked for.
void Federation::Impl::refresh_strong(std::uint64_t id) {
  const auto at = strongs_.find(id);
  if (at == strongs_.end()) return;
  Strong& strong = *at->second;
  try {
    std::any value;
    auto state = strong_state(core_.shared, strong.request.segments);
    for (int i = 0; i < tries_max && strong.request.body && state; ++i) {
      value = strong.request.body();
      auto after = strong_state(core_.shared, strong.request.segments);
      if (after == state) break;
      state = std::move(after);
      if (i + 1 == tries_max) return;
    }
    if (!state) return end_strong(id, StrongEnd::timed_out);
    strong.view = state->view;
    if (strong.request.kind == StrongRequest::Kind::reach) {
      if (strong.view.is_quorum(reached())) end_strong(id, StrongEnd::done);
      return;
    }
    const auto question = strong.call.refreshed(std::move(*state));
    if (!question) return;
    strong.values[question->number] = std::move(value);
    strong.values.erase(strong.values.begin(), strong.values.lower_bound(strong.call.oldest()));
    if (strong.call.decided()) return end_strong(id, StrongEnd::done);
    ask_voters(strong.call, *question);
  } catch (...) {
    strong.request.failure = std::current_exception();
    end_strong(id, StrongEnd::failed);
  }
}

void Federation::Impl::refresh_strongs() {
  std::vector<std::uint64_t> ids;
  for (const auto& each : strongs_) ids.push_back(each.first);
  for (const std::uint64_t id : ids) refresh_strong(id);
}

void Federation::Impl::ask_again(std::uint64_t id) {
  const auto at = strongs_.find(id);
  if (at == strongs_.end()) return;
  at->second->again.expires_after(ask_again_after);
  at->second->again.async_wait([this, id](const boost::system::error_code& failure) {
    const auto strong = strongs_.find(id);
    if (failure || strong == strongs_.end()) return;
    if (strong->second->request.kind == StrongRequest::Kind::reach) {
      refresh_strong(id);
    } else if (const auto& question = strong->second->call.question()) {
      ask_voters(strong->second->call, *question);
    }
    ask_again(id);
  });
}

// A link is there now: its peer has not heard the questions yet.
void Federation::Impl::ask_strongs(const std::shared_ptr<Link>& link) {
  const Voter voter = voter_at(*link);
  std::vector<std::uint64_t> waiting;
  for (const auto& [id, strong] : strongs_) {
    if (strong->request.kind == StrongRequest::Kind::reach) {
      waiting.push_back(id);
    } else if (strong->call.is_asked(voter)) {
      link->ask(*strong->call.question());
    }
  }
  for (const std::uint64_t id : waiting) refresh_strong(id);
}

void Federation::Impl::voted(const Hello& peer, const VotedFrame& vote) {
  const auto at = strongs_.find(vote.call);
  if (at == strongs_.end()) return;
  at->second->call.answered({peer.instance, peer.store}, vote);
  if (at->second->call.decided()) end_strong(vote.call, StrongEnd::done);
}

void Federation::Impl::end_strong(std::uint64_t id, StrongEnd end) {
  const auto at = strongs_.find(id);
  if (at == strongs_.end()) return;
  const auto strong = at->second;
  strongs_.erase(at);
  strong->deadline.cancel();
  strong->again.cancel();
  if (strong->request.failure) return strong->promise.set_exception(strong->request.failure);
  StrongOutcome outcome;
  outcome.report.done = end == StrongEnd::done;
  outcome.report.rounds = strong->call.rounds();
  outcome.report.epoch = strong->view.epoch;
  outcome.view = strong->call.decided_view();
  const auto registry = core_.shared.registry();
  const auto voters_reached = reached();
  const bool is_asked = strong->request.kind != StrongRequest::Kind::reach;
  for (const VoterSet& set : strong->view.open) {
    for (const Voter& voter : set) {
      const auto votes = strong->call.votes();
      const auto vote = votes.find(voter);
      const bool is_reached = voters_reached.contains(voter);
      outcome.report.votes[registry ? name_of(*registry, voter) : voter.instance.text()] =
          is_asked && vote != votes.end() && vote->second ? text_of(*vote->second)
          : is_reached                                    ? is_asked ? "no answer" : "reached"
                                                          : "not reached";
    }
  }
  if (end == StrongEnd::done && strong->call.decided()) {
    const auto value = strong->values.find(*strong->call.decided());
    if (value != strong->values.end()) outcome.value = std::move(value->second);
  }
  if (end == StrongEnd::closed) {
    outcome.report.error = "the memory was closed";
  } else if (end != StrongEnd::done) {
    outcome.report.error = why_not(outcome.report, strong->view);
  }
  if (strong->call.question() && end != StrongEnd::closed) ask_voters(strong->call, strong->call.withdrawal());
  strong->promise.set_value(std::move(outcome));
}

std::string Federation::Impl::why_not(const StrongReport& report, const VoterView& view) const {
  std::string text = view.is_sealed() ? "no majority of the voters in time" : "no majority of all voters in time, while they change";
  std::string separator = ": ";
  for (const auto& [name, vote] : report.votes) {
    text += separator + name + " " + vote;
    separator = ", ";
  }
  return text;
}

}  // namespace loam
