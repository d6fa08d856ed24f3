#pragma once

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "transport/link.hpp"

namespace test {

/// A loop that runs until something is so.
class Loop {
 public:
  boost::asio::io_context& context() { return context_; }

  /// Whether it became so; gives up after ten seconds without.
  template <class Predicate>
  bool until(Predicate&& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      context_.run_one_for(std::chrono::milliseconds(1));
    }
    return true;
  }

  /// Handles whatever is ready now.
  void settle() {
    while (context_.poll() != 0) continue;
  }

 private:
  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      context_.get_executor()};
};

/// Storage that holds no records in the given segments.
class EmptySource final : public loam::Source {
 public:
  std::vector<std::string> names;

  std::vector<std::string> segments() const override { return names; }
  loam::SegmentState state(const std::string&) const override { return {.journal = 1}; }
  loam::Position position(const std::string&, const loam::StoreId&) const override { return {}; }
  loam::JournalPage journal(const std::string&, std::uint64_t after, const loam::StoreId&,
                            std::size_t) const override {
    return {{}, after};
  }
  std::vector<loam::ActorState> actors(const std::string&, const std::optional<loam::ActorId>&,
                                       std::size_t) const override {
    return {};
  }
  loam::Slice slice(const std::string&, const loam::ActorId&, const loam::RangeSet&, std::size_t,
                    std::size_t) const override {
    return {};
  }
  loam::RangeSet live_counters(const std::string&, const loam::ActorId&,
                               const loam::RangeSet&) const override {
    return {};
  }
  loam::Fingerprint live_fingerprint(const std::string&, const loam::ActorId&,
                                     const loam::RangeSet&) const override {
    return {};
  }
};

inline loam::Hello hello_of(unsigned instance) {
  loam::Hello hello;
  hello.federation.bytes.fill(std::byte{0xfe});
  hello.instance.bytes.fill(std::byte(instance));
  hello.store.bytes.fill(std::byte(instance));
  hello.nonce.fill(std::byte(instance));
  hello.name = "instance-" + std::to_string(instance);
  return hello;
}

/// A house that writes down what its links tell it.
class FakeHost : public loam::LinkHost {
 public:
  struct Applying {
    loam::Hello peer;
    loam::Apply change;
    std::function<void(loam::ApplyOutcome)> done;
  };

  explicit FakeHost(unsigned instance) : hello(hello_of(instance)) {}

  loam::Hello hello;
  EmptySource storage;
  bool throws = false;   ///< `apply` fails
  bool answers = false;  ///< `apply` is done at once; otherwise it waits in `applying`
  std::vector<Applying> applying;
  std::vector<std::shared_ptr<loam::Link>> links;  ///< established, in that order
  std::map<const loam::Link*, int> closed_count;
  std::vector<std::shared_ptr<loam::Link>> ended;
  std::vector<loam::SessionReport> reports;  ///< of the ended ones
  std::vector<std::string> alarms;
  std::vector<loam::Hold> held;

  void apply(const loam::Hello& peer, loam::Apply change,
             std::function<void(loam::ApplyOutcome)> done) override {
    if (throws) throw std::runtime_error("the store is gone");
    if (answers) return done({.ticket = change.ticket});
    applying.push_back({peer, std::move(change), std::move(done)});
  }
  void established(const std::shared_ptr<loam::Link>& link) override { links.push_back(link); }
  void closed(const std::shared_ptr<loam::Link>& link, const loam::SessionReport& report) override {
    ++closed_count[link.get()];
    ended.push_back(link);
    reports.push_back(report);
  }
  void hold(const loam::Hello&, loam::Hold removal) override { held.push_back(std::move(removal)); }
  void admit(loam::Admit, std::function<void(std::optional<std::string>)> done) override { done("nobody is invited"); }
  void alarm(const std::string& text) override { alarms.push_back(text); }
  loam::SessionConfig session_config(loam::Role role) override { return {role, false, hello}; }
  const loam::Source& source() override { return storage; }

  /// Every link that ended was told of once.
  bool each_closed_once() const {
    return std::all_of(closed_count.begin(), closed_count.end(),
                       [](const auto& entry) { return entry.second == 1; });
  }
};

}  // namespace test
