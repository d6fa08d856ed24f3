#include "bench/federation.hpp"

#include <algorithm>
#include <thread>

#include "bench/child.hpp"
#include "bench/harness.hpp"
#include "lib/loam.hpp"

namespace bench {

namespace {

using Named = std::pair<std::filesystem::path, std::string>;

loam::Memory open(const Named& member, const std::optional<std::string>& federation) {
  return loam::Memory::open(
      {.dir = member.first, .name = member.second, .federation = federation, .log = {}, .now_ms = {}});
}

// Returns what the others are given.
std::string admit_all(const std::vector<Named>& members) {
  loam::Memory founder = open(members.front(), std::nullopt);
  for (std::size_t i = 1; i < members.size(); ++i) {
    loam::Member member{.name = members[i].second, .public_key = loam::instance_key(members[i].first)};
    for (const loam::Segment& segment : founder.segments().all()) {
      const bool has_rights = segment.scope == loam::Scope::shared && segment.name != "instance_registry";
      if (has_rights) member.permissions[segment.name] = segment.governed ? "rwtl" : "rw";
    }
    founder.admit(member);
  }
  return founder.federation();
}

}  // namespace

void found(const std::vector<std::pair<std::filesystem::path, std::string>>& members) {
  const std::string federation = admit_all(members);
  if (members.size() < 16) {
    for (std::size_t i = 1; i < members.size(); ++i) (void)open(members[i], federation);
    return;
  }
  // Each looks at every signature of the registry: so on all processors.
  const std::size_t processes = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 16);
  std::vector<Child> opening;
  for (std::size_t process = 0; process < processes; ++process) {
    opening.emplace_back([&](Lines& lines) {
      for (std::size_t i = 1 + process; i < members.size(); i += processes) (void)open(members[i], federation);
      lines.say("opened");
    });
  }
  for (Child& each : opening) require(each.lines().hear() == "opened", "a member cannot be opened");
}

}  // namespace bench
