#include "lib/segment.hpp"

#include <algorithm>

#include "crdt/error.hpp"
#include "crdt/registry.hpp"

namespace loam {
namespace {

std::vector<Segment> built_in() {
  return {
      {std::string(registry_name), Scope::shared, Kind::map, true, {}},
      {"approval_rules", Scope::shared, Kind::map, true, {}},
      {"common_failures", Scope::shared, Kind::set, false, {}},
      {"governance_meta", Scope::shared, Kind::map, true, {}},
      {"instance_config", Scope::priv, Kind::map, false, {}},
      {"lessons_learned", Scope::shared, Kind::set, false, {}},
      {"org_patterns", Scope::shared, Kind::set, false, {}},
      {"project_history", Scope::priv, Kind::set, false, {}},
      {"session_context", Scope::priv, Kind::map, false, {}},
      {"task_traces", Scope::priv, Kind::set, false, {}},
  };
}

// Hyphens are accepted on input, names have underscores.
std::string canonical(std::string_view name) {
  std::string text(name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text;
}

// The registry first, then by name.
bool comes_before(const Segment& left, const Segment& right) {
  const bool left_later = left.name != registry_name;
  const bool right_later = right.name != registry_name;
  return left_later != right_later ? !left_later : left.name < right.name;
}

std::string listed(const std::vector<Segment>& segments) {
  std::string names;
  for (const Segment& segment : segments) names += (names.empty() ? "" : ", ") + segment.name;
  return names;
}

Segment checked(Segment segment) {
  if (!is_name(segment.name)) {
    throw Error(
        ErrorCode::invalid,
        "segment: a name is 1 to 63 of a-z, 0-9, _ and -, and begins with a letter or digit");
  }
  segment.name = canonical(segment.name);
  if (segment.governed && (segment.scope != Scope::shared || segment.kind != Kind::map)) {
    throw Error(ErrorCode::invalid, "segment " + segment.name + ": governed, but a " +
                                        std::string(scope_name(segment.scope)) + " " +
                                        std::string(kind_name(segment.kind)) +
                                        "; only a shared map can be");
  }
  return segment;
}

}  // namespace

std::string_view scope_name(Scope scope) noexcept {
  return scope == Scope::shared ? "shared" : "private";
}

std::string_view consistency_name(Consistency consistency) noexcept {
  return consistency == Consistency::strong ? "strong" : "eventual";
}

std::string_view kind_name(Kind kind) noexcept { return kind == Kind::set ? "set" : "map"; }

SegmentTable::SegmentTable() : segments_(built_in()) {}

SegmentTable::SegmentTable(const std::vector<Segment>& declared, const std::vector<std::string>& strong)
    : segments_(built_in()) {
  if (declared.size() > segments_max - segments_.size()) {
    throw Error(ErrorCode::limit,
                "segments: " + std::to_string(declared.size() + segments_.size()) +
                    " with the built-in ones, limit " + std::to_string(segments_max));
  }
  for (const Segment& segment : declared) segments_.push_back(checked(segment));
  std::sort(segments_.begin(), segments_.end(), comes_before);
  const auto twice = std::adjacent_find(
      segments_.begin(), segments_.end(),
      [](const Segment& left, const Segment& right) { return left.name == right.name; });
  if (twice != segments_.end()) {
    throw Error(ErrorCode::invalid, "segment " + twice->name + ": declared twice");
  }
  for (const std::string& name : strong) {
    const auto at = std::find_if(segments_.begin(), segments_.end(),
                                 [&](const Segment& segment) { return segment.name == find(name).name; });
    if (at->scope != Scope::shared) {
      throw Error(ErrorCode::invalid, "segment " + at->name + ": private, there is nobody to agree with");
    }
    at->consistency = Consistency::strong;
  }
}

const Segment& SegmentTable::find(std::string_view name) const {
  // What is no name is not repeated in the message: it may hold anything.
  if (!is_name(name)) throw Error(ErrorCode::unknown_segment, "segment: not a segment name");
  const std::string wanted = canonical(name);
  const auto found = std::find_if(segments_.begin(), segments_.end(),
                                  [&](const Segment& segment) { return segment.name == wanted; });
  if (found == segments_.end()) {
    throw Error(ErrorCode::unknown_segment,
                "segment " + wanted + ": not declared; there are " + listed(segments_));
  }
  return *found;
}

}  // namespace loam
