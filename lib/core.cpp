#include "lib/core.hpp"

#include <sodium.h>

#include <chrono>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/federation_text.hpp"
#include "lib/membership.hpp"
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

bool has_key(const std::filesystem::path& dir) { return std::filesystem::exists(dir / "identity.key"); }

void make_key(const std::filesystem::path& dir) {
  write_default_config(dir);
  make_instance_key(dir);
}

// Makes what a new instance needs, in an order in which a crash leaves something that the next try
// completes: the directory, the configuration, the key; the stores follow.
Config prepare(const Options& options) {
  if (options.name.empty() && !has_key(options.dir)) {
    throw Error(ErrorCode::not_found, "no instance in " + options.dir.string());
  }
  secure_directory(options.dir);
  if (!options.name.empty() && !has_key(options.dir)) make_key(options.dir);
  return load_config(options.dir);
}

std::optional<StoreIdentity> fresh_identity(const Options& options, const SigningKey& key) {
  if (options.name.empty()) return std::nullopt;
  FederationRoot root;
  std::optional<StoreId> store;
  if (options.federation) {
    root = parse_federation_text(*options.federation).root;
  } else {
    root.founder = key.public_key();
    randombytes_buf(root.nonce.data(), root.nonce.size());
    store = StoreId{root.nonce};
  }
  return StoreIdentity{options.name, federation_of(root), root, store};
}

}  // namespace

std::string instance_key(const std::filesystem::path& dir) {
  secure_directory(dir);
  if (!has_key(dir)) make_key(dir);
  return load_instance_key(dir).public_key;
}

Core::Core(const Options& given)
    : options(with_defaults(given)),
      config(prepare(options)),
      segments(config.segments, config.strong_segments),
      key(load_instance_key(options.dir)),
      shared(options.dir / "shared", segments, config, key.id, fresh_identity(options, key.signing), key.signing),
      priv(options.dir / "private", segments, config),
      identity{shared.identity().name, key.id, shared.identity().federation, key.public_key},
      rules(*this),
      queue(shared, priv, options.now_ms, [this] {
        const std::lock_guard lock(on_commit_mutex);
        if (on_commit) on_commit();
      }) {
  shared.damage().listen([this] { put_under_quarantine(); });
  priv.remember_identity(shared.identity());
  if (options.federation) learn_registry();
  enter_founder(*this);
}

// What a new instance was given of the registry: it comes in like anything else.
void Core::learn_registry() {
  const FederationText federation = parse_federation_text(*options.federation);
  if (!shared.identity().root || federation_of(federation.root) != shared.identity().federation) {
    throw Error(ErrorCode::invalid, "this instance is in federation " + shared.identity().federation.text() +
                                        " already: join in another directory, and import there what `export` says here");
  }
  if (federation.registry.empty()) return;
  const SegmentNumber registry = shared.number(std::string(registry_name));
  Job job;
  job.shared = [&](SharedBatch& batch) {
    // A part may rest on one that follows it.
    for (std::size_t pass = 0, parked = 1; parked > 0 && pass < federation.registry.size(); ++pass) {
      parked = 0;
      for (const DeltaFrame& part : federation.registry) {
        (void)batch.join(registry, part.delta, part.authors, part.batches, {});
        parked += batch.take_left_out().parked;
      }
    }
  };
  run_job(*this, std::move(job));
}

void Core::require_registry() const {
  if (shared.identity().root) return;
  throw Error(ErrorCode::denied,
              "this instance belongs to a federation of before there were signed registries: export its records, and "
              "import them into one of a new federation");
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
