#include "bench/federation.hpp"

#include "lib/loam.hpp"

namespace bench {

void found(const std::vector<std::pair<std::filesystem::path, std::string>>& members) {
  const auto open = [](const std::pair<std::filesystem::path, std::string>& member,
                       const std::optional<std::string>& federation) {
    return loam::Memory::open(
        {.dir = member.first, .name = member.second, .federation = federation, .log = {}, .now_ms = {}});
  };
  loam::Memory founder = open(members.front(), std::nullopt);
  for (std::size_t i = 1; i < members.size(); ++i) {
    loam::Member member{.name = members[i].second, .public_key = loam::instance_key(members[i].first)};
    for (const loam::Segment& segment : founder.segments().all()) {
      const bool has_rights = segment.scope == loam::Scope::shared && segment.name != "instance_registry";
      if (has_rights) member.permissions[segment.name] = segment.governed ? "rwtl" : "rw";
    }
    founder.admit(member);
  }
  const std::string federation = founder.federation();
  for (std::size_t i = 1; i < members.size(); ++i) (void)open(members[i], federation);
}

}  // namespace bench
