#pragma once

#include <boost/json/fwd.hpp>

#include "lib/memory.hpp"

/// The JSON shapes of docs: what programs read. Fields may be added, none removed.
namespace loam::cli {

boost::json::object shape(const Identity& identity);
boost::json::object shape(const Member& member);
boost::json::object shape(const Receipt& receipt);
boost::json::object shape(const Record& record);
boost::json::object shape(const RecallResult& result);

/// `{"segment", "key", "value", "author", "at_ms"}`; as one of several heads without the first two.
boost::json::object shape(const Entry& entry);
boost::json::object head_shape(const Entry& entry);

boost::json::object shape(const KeyPage& page);
boost::json::object shape(const TargetBackend& target);
boost::json::object shape(const Status& status);
boost::json::object shape(const SyncReport& report);
boost::json::object shape(const Change& change);
boost::json::object shape(const HeldRemoval& removal);
boost::json::object shape(const PeerStatus& peer);
boost::json::object shape(const VoterStatus& voters);

boost::json::array to_json(const std::vector<std::string>& texts);

/// Null when there is none.
boost::json::value cursor_shape(const std::optional<std::string>& cursor);

/// The id of an instance as people compare it: hexadecimal digits in groups of four.
std::string fingerprint_of(const Identity& identity);

}  // namespace loam::cli
