#pragma once

#include <boost/json/fwd.hpp>

#include "lib/memory.hpp"

/// The JSON shapes of decisions and rules, and words for them.
namespace loam::cli {

boost::json::object shape(const Decision& decision);
boost::json::object shape(const ConsideredRule& rule);

/// The rule of a version; null: removed.
boost::json::value rule_value(const RuleVersionInForce& version);

/// `[{"rule", "author", "at_ms", "void", "lifts", "version"}]`, the LWW winner first.
boost::json::array versions_shape(const RuleRegister& rule);
boost::json::array versions_shape(const MetaRegister& meta);

/// A rule in a list: `{"id", "rule", "author", "at_ms", "heads": how many, "defects"}`.
boost::json::object listed_shape(const RuleRegister& rule);

/// What all versions in force come to where they match: `{"effect", "requirement", "lifts"}`.
boost::json::object effective_shape(const RuleRegister& rule);

std::string globs_text(const std::vector<Glob>& globs);
std::string requirement_text(const RequiredApproval& requirement);
std::string_view truth_name(Truth truth) noexcept;

}  // namespace loam::cli
