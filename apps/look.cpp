#include "apps/look.hpp"

#include <boost/json/value.hpp>

#include "apps/shapes.hpp"
#include "apps/signals.hpp"
#include "apps/text.hpp"
#include "apps/time_text.hpp"

namespace loam::cli {
namespace {

constexpr std::chrono::seconds look_every{1};

std::string identity_text(const Identity& identity) {
  return table({{"name", printable(identity.name)},
                {"id", identity.id.text()},
                {"federation", identity.federation.text()},
                {"public key", identity.public_key},
                {"fingerprint", fingerprint_of(identity)}});
}

std::string segments_text(const Status& status) {
  std::vector<std::vector<std::string>> rows{{"segment", "scope", "kind", "records", "bytes"}};
  for (const auto& [name, segment] : status.segments) {
    rows.push_back({name, std::string(scope_name(segment.scope)),
                    std::string(kind_name(segment.kind)), std::to_string(segment.records),
                    std::to_string(segment.bytes)});
  }
  return table(rows);
}

std::string status_text(const Status& status) {
  std::string out = table({{"name", printable(status.identity.name)},
                           {"id", status.identity.id.text()},
                           {"federation", status.identity.federation.text()}});
  out += "\n" + segments_text(status) + "\n" + peers_text(status) + voters_text(status.voters);
  for (const auto& alarm : status.alarms) {
    out += "alarm: " + printable(alarm.text) + " (" + std::to_string(alarm.count) +
           " times, last " + print_time(alarm.last_ms) + ")\n";
  }
  return out;
}

int watch_status(const Shell& shell) {
  StopSignals signals;
  Memory memory = open_memory(shell);
  const auto watching = memory.watch({}, [&signals](const Change&) { signals.wake(); });
  std::string last;
  do {
    const Status status = memory.status();
    std::string now = shell.json ? serialized(shape(status)) + "\n" : status_text(status) + "\n";
    if (now == last) continue;
    shell.out.write(now);
    shell.out.flush();
    last = std::move(now);
  } while (signals.wait(look_every) != StopSignals::Event::stop);
  return 0;
}

}  // namespace

int run(const command::Init& init, const Shell& shell) {
  const Memory memory = make_memory({.dir = shell.dir, .name = init.name, .federation = {}});
  boost::json::object out = shape(memory.identity());
  out["dir"] = as_utf8(shell.dir.string());
  answer(shell, out, identity_text(memory.identity()));
  return 0;
}

int run(const command::Id& id, const Shell& shell) {
  if (id.make) {
    const std::string key = instance_key(shell.dir);
    answer(shell, {{"public_key", key}}, key + "\n");
    return 0;
  }
  const Memory memory = open_memory(shell);
  answer(shell, shape(memory.identity()), identity_text(memory.identity()));
  return 0;
}

int run(const command::Status& wanted, const Shell& shell) {
  if (wanted.watch) return watch_status(shell);
  const Memory memory = open_memory(shell);
  const Status status = memory.status();
  answer(shell, shape(status), status_text(status));
  return 0;
}

int run(const command::Digest& digest, const Shell& shell) {
  const Memory memory = open_memory(shell);
  boost::json::object out;
  std::vector<std::vector<std::string>> rows;
  for (const auto& [segment, hash] : memory.digest(digest.segment)) {
    out[segment] = hash;
    rows.push_back({segment, hash});
  }
  answer(shell, out, table(rows));
  return 0;
}

int run(const command::Route& route, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const TargetBackend target =
      memory.route_memory_operation(route.operation, route.segment, route.instance);
  answer(shell, shape(target),
         std::string(target_name(target.kind)) + "  " + target.segment + "  " + target.instance +
             "\n");
  return 0;
}

}  // namespace loam::cli
