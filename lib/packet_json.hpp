#pragma once

#include "lib/packet.hpp"

namespace loam {

/// The envelope of a JSON object that has been read already, whatever its size. Throws Error(invalid) as
/// `packet_from_json` does.
PacketEnvelope packet_from_map(Map fields);

}  // namespace loam
