#pragma once

#include <map>
#include <string>
#include <vector>

#include "lib/core.hpp"
#include "transport/session.hpp"

namespace loam {

/// Endpoints that the configuration and the registry name, without our own.
std::vector<std::string> known_endpoints(const Core& core);

/// A row of table `peers`.
struct KnownPeer {
  StoreId store;
  PeerRow row;
};

std::vector<KnownPeer> known_peers(const SharedReader& reader);

/// What a finished conversation was, for whoever asked for it.
PeerReport report_of(const std::string& endpoint, const SessionReport& report);

/// What each segment exchanged.
using Tallies = std::map<std::string, SegmentTally>;

/// What a conversation has refused since its tallies were those; without segments of which it has refused nothing.
std::map<SegmentNumber, std::uint64_t> refused_since(const Core& core, const Tallies& earlier, const Tallies& now);

/// What is kept of a peer. `endpoint` is empty when it dialled us.
PeerRow peer_row(const Core& core, const Hello& peer, const std::string& endpoint,
                 const SessionReport& report);

}  // namespace loam
