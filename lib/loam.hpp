#pragma once

/// The whole of loam for a program that links it.
#include "crdt/error.hpp"
#include "crdt/value.hpp"
#include "lib/doctor.hpp"
#include "lib/memory.hpp"
#include "lib/options.hpp"
#include "lib/packet.hpp"
#include "lib/router.hpp"
#include "lib/segment.hpp"
#include "lib/verify.hpp"
