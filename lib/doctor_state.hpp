#pragma once

#include "lib/core.hpp"
#include "lib/doctor.hpp"

namespace loam {

/// What an operator should know of an instance that can be opened: what is kept aside, alarms,
/// room, peers. Throws Error(damaged).
void look_at_state(const Core& core, DoctorReport& report);

}  // namespace loam
