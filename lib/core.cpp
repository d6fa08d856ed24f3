#include "lib/core.hpp"

#include <sodium.h>

#include <chrono>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/write_plan.hpp"

namespace loam {
namespace {

std::int64_t system_now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

Options with_defaults(Options options) {
  if (!options.now_ms) options.now_ms = system_now_ms;
  if (options.dir.empty()) throw Error(ErrorCode::invalid, "options: dir is empty");
  if (!options.name.empty() && !is_name(options.name)) {
    throw Error(ErrorCode::invalid,
                "name " + options.name + ": not of the form [a-z0-9][a-z0-9_-]{0,62}");
  }
  return options;
}

// Makes what a new instance needs, in an order in which a crash leaves something that the next try
// completes: the directory, the configuration, the key; the stores follow.
Config prepare(const Options& options) {
  if (options.name.empty() && !std::filesystem::exists(options.dir / "identity.key")) {
    throw Error(ErrorCode::not_found, "no instance in " + options.dir.string());
  }
  secure_directory(options.dir);
  if (!options.name.empty() && !std::filesystem::exists(options.dir / "identity.key")) {
    write_default_config(options.dir);
    make_instance_key(options.dir);
  }
  return load_config(options.dir);
}

std::optional<StoreIdentity> fresh_identity(const Options& options) {
  if (options.name.empty()) return std::nullopt;
  FederationId federation;
  if (options.federation) {
    federation = *options.federation;
  } else {
    randombytes_buf(federation.bytes.data(), federation.bytes.size());
  }
  return StoreIdentity{options.name, federation};
}

}  // namespace

Core::Core(const Options& given)
    : options(with_defaults(given)),
      config(prepare(options)),
      segments(config.segments),
      key(load_instance_key(options.dir)),
      shared(options.dir / "shared", segments, config, key.id, fresh_identity(options), key.signing),
      priv(options.dir / "private", segments, config),
      identity{shared.identity().name, key.id, shared.identity().federation, key.public_key},
      queue(shared, priv, options.now_ms, [this] {
        const std::lock_guard lock(on_commit_mutex);
        if (on_commit) on_commit();
      }) {
  shared.damage().listen([this] { put_under_quarantine(); });
  priv.remember_identity(shared.identity());
  // The registry names every instance. Entering ourselves is the first write of a new one.
  const SegmentNumber registry = shared.number(std::string(registry_segment));
  const bool is_entered = shared.read(
      [&](const SharedReader& reader) { return !reader.dots_of(registry, key.id.text()).empty(); });
  if (is_entered) return;
  Job job;
  job.shared = [&](SharedBatch& batch) {
    batch.put(registry, key.id.text(),
              encode(Map{{"name", identity.name}, {"public_key", identity.public_key}}));
  };
  run_job(*this, std::move(job));
}

// What cannot be read is told once, and forgotten at the next opportunity. Not doing so does no
// harm: whoever meets it next tries again.
void Core::put_under_quarantine() {
  Job job;
  const auto count = std::make_shared<std::uint64_t>(0);
  const auto sequences = std::make_shared<std::set<std::uint64_t>>(shared.damage().take());
  job.shared = [count, sequences](SharedBatch& batch) { *count = batch.quarantine(*sequences); };
  job.done = [this, count](const std::exception_ptr& failure) {
    if (failure || *count == 0) return;
    log(LogLevel::error, std::to_string(*count) +
                             " damaged records were forgotten, to be fetched from a peer again");
  };
  try {
    queue.submit(std::move(job), CommitQueue::Full::accept);
  } catch (const Error&) {
  }
}

void Core::log(LogLevel level, std::string_view text) const {
  if (options.log) options.log(level, text);
}

const Segment& Core::segment(std::string_view name, Kind kind) const {
  const Segment& found = segments.find(name);
  if (found.kind != kind) {
    throw Error(ErrorCode::invalid, "segment " + found.name + ": is a " +
                                        std::string(kind_name(found.kind)) + ", this needs a " +
                                        std::string(kind_name(kind)));
  }
  return found;
}

}  // namespace loam
