#pragma once

#include <filesystem>

#include "bench/child.hpp"

namespace bench {

/// Agents that live in one process: each an instance with a store and links of its own. Made by a
/// parent that orders them about, a line each:
///   open NUMBER RECORDS   opens one and writes as many records offline; answers "opened"
///   serve NUMBER          answers the endpoint
///   connect NUMBER URL    keeps a link; no answer
///   wait COUNT            answers "all" when every agent here has that many records
///   write NUMBER          writes one record, durably; answers its id and when that began (ns)
///   seen ID               answers when each agent here has seen the record (ns), then "end"
///   digest                answers the state's hash of each agent here, then "end"
///   memory                answers the anonymous octets of the process
/// Ends when it hears nothing more.
void host_agents(const std::filesystem::path& dir, Lines& lines);

}  // namespace bench
