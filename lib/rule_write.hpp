#pragma once

#include "lib/rule_rows.hpp"
#include "lib/shared_batch.hpp"

namespace loam {

/// Assigns a rule, or a key of `governance_meta`; absent: removes it. Says whether it had a value. The assignment names
/// what is in force here, so that it takes its place.
///
/// Throws Error(invalid) for what is no rule or no such value, Error(limit), Error(not_found) for removing what has no
/// value, Error(denied) for what this instance has no right to write, or what would loosen without the right to: it
/// would change no decision.
bool assign_rule(SharedBatch& batch, SegmentNumber number, const Segment& segment, const AdmissionPlace& place,
                 const InstanceId& self, std::string_view key, const std::optional<Value>& value);

}  // namespace loam
