// The strong calls of Memory: what a majority of the voters holds.
#include <algorithm>

#include "lib/membership.hpp"
#include "lib/memory_impl.hpp"
#include "lib/voting.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// However long somebody wants to wait: beyond this he would wait for ever.
constexpr std::chrono::hours longest{24 * 365};

// What governed segments mean depends on the registry, and rules on both segments of theirs.
void add_what_it_rests_on(std::vector<std::string>& segments, const SegmentTable& table) {
  const bool has_rules = std::any_of(segments.begin(), segments.end(), [](const std::string& name) {
    return name == rules_segment || name == meta_segment;
  });
  const bool has_governed = std::any_of(segments.begin(), segments.end(),
                                        [&](const std::string& name) { return table.find(name).governed; });
  if (has_rules) segments.insert(segments.end(), {std::string(rules_segment), std::string(meta_segment)});
  if (has_governed) segments.emplace_back(registry_name);
  std::sort(segments.begin(), segments.end());
  segments.erase(std::unique(segments.begin(), segments.end()), segments.end());
}

}  // namespace

std::chrono::steady_clock::time_point deadline_after(std::chrono::milliseconds timeout) {
  return std::chrono::steady_clock::now() + std::clamp<std::chrono::milliseconds>(timeout, std::chrono::milliseconds(0), longest);
}

std::vector<std::string> Memory::Impl::strong_ones(const std::vector<const Segment*>& segments,
                                                   const CallOptions& options) const {
  std::vector<std::string> strong;
  for (const Segment* segment : segments) {
    const Consistency wanted = options.consistency.value_or(segment->consistency);
    if (wanted == Consistency::eventual) continue;
    if (segment->scope != Scope::shared) {
      throw Error(ErrorCode::invalid, "segment " + segment->name + ": private, there is nobody to agree with");
    }
    strong.push_back(segment->name);
  }
  std::sort(strong.begin(), strong.end());
  strong.erase(std::unique(strong.begin(), strong.end()), strong.end());
  return strong;
}

std::any Memory::Impl::read_strongly(std::vector<std::string> segments, std::function<std::any()> body,
                                     const CallOptions& options) {
  process_.check("memory");
  for (std::string& name : segments) {
    const Segment& segment = core.segments.find(name);
    if (segment.scope != Scope::shared) {
      throw Error(ErrorCode::invalid, "segment " + segment.name + ": private, there is nobody to agree with");
    }
    name = segment.name;
  }
  add_what_it_rests_on(segments, core.segments);
  if (segments.empty()) throw Error(ErrorCode::invalid, "a strong read: of no segment");
  StrongOutcome outcome = federation().strong({.kind = StrongRequest::Kind::read, .segments = std::move(segments),
                                               .body = std::move(body),
                                               .deadline = deadline_after(options.timeout)}).get();
  if (options.report != nullptr) *options.report = outcome.report;
  if (!outcome.report.done) throw Error(ErrorCode::unavailable, outcome.report.error);
  return std::move(outcome.value);
}

// Nothing is written where nobody could acknowledge it.
void Memory::Impl::require_reached(SteadyTime deadline, StrongReport* report) {
  const auto outcome = federation().strong({.kind = StrongRequest::Kind::reach, .deadline = deadline}).get();
  if (report != nullptr) *report = outcome.report;
  if (!outcome.report.done) throw Error(ErrorCode::unavailable, outcome.report.error + "; nothing was written");
}

void Memory::Impl::confirm(const std::vector<std::string>& segments, bool removes, SteadyTime deadline,
                           StrongReport* told) {
  std::optional<ActorId> actor;
  Job job;
  job.shared = [&](SharedBatch& batch) { actor = batch.live_actor(); };
  run_job(core, std::move(job));
  std::vector<std::future<StrongOutcome>> outcomes;
  for (const std::string& segment : segments) {
    StrongRequest request{.kind = StrongRequest::Kind::read, .segments = {segment}, .deadline = deadline};
    // Under another actor by now, it is in the state all the same.
    Context dots = actor && !removes ? written_by(core.shared, segment, *actor) : Context();
    if (!dots.empty()) {
      request.kind = StrongRequest::Kind::write;
      request.segments.clear();
      request.segment = segment;
      request.dots = std::move(dots);
    }
    outcomes.push_back(federation().strong(std::move(request)));
  }
  for (auto& outcome : outcomes) {
    const StrongReport report = outcome.get().report;
    if (told != nullptr) *told = report;
    if (!report.done) throw UnknownOutcome(report.error + "; it is written here, and the outcome is unknown");
  }
}

SyncReport Memory::Impl::sync(const SyncOptions& options) {
  if (!options.strong) return federation().sync(options).get();
  std::vector<std::string> segments;
  bool is_all = true;
  core.require_registry();
  const auto registry = core.shared.registry();
  for (const Segment& segment : core.segments.all()) {
    if (segment.scope != Scope::shared) continue;
    const bool may_read = segment.name == registry_name || registry->may(core.identity.id, segment.name, Permissions::read);
    if (may_read) segments.push_back(segment.name);
    is_all = is_all && may_read;
  }
  // Beside the round, which may wait until the end for one that hangs.
  auto agreed = federation().strong({.kind = StrongRequest::Kind::read, .segments = std::move(segments),
                                     .endpoints = options.endpoints, .deadline = deadline_after(options.timeout)});
  SyncReport report = federation().sync(options).get();
  StrongOutcome outcome = agreed.get();
  report.strong = std::move(outcome.report);
  // What it may not read it cannot make sure of.
  if (report.strong->done && !outcome.view.is_sealed() && is_all) report.strong->sealed = seal_voters(core, outcome.view);
  return report;
}

std::any Memory::read_any(const std::vector<std::string>& segments, const std::function<std::any()>& body,
                          const CallOptions& options) const {
  return impl_->read_strongly(segments, body, options);
}

VoterStatus Memory::voters() const { return voter_status(impl_->core.shared); }

Rules Memory::rules(const CallOptions& options) const {
  const Segment& segment = impl_->core.segments.find(rules_segment);
  const bool is_strong = options.consistency.value_or(segment.consistency) == Consistency::strong;
  return impl_->read_as(segment, options, [&] {
    const Rules now = impl_->core.rules.now();
    return is_strong ? now.heard_now() : now;
  });
}

SyncReport Memory::sync_shared_segments(const SyncOptions& options) { return impl_->sync(options); }

std::future<SyncReport> Memory::sync_shared_segments_async(const SyncOptions& options) {
  if (!options.strong) return impl_->federation().sync(options);
  return std::async(std::launch::async, [impl = impl_.get(), options] { return impl->sync(options); });
}

}  // namespace loam
