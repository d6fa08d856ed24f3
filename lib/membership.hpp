#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crdt/invitation.hpp"
#include "crdt/registry_entry.hpp"
#include "lib/core.hpp"
#include "lib/router.hpp"

namespace loam {

// What governors do to the registry, and what leads to it. Every call that writes is durable on return, and throws
// Error(denied) where this instance is no governor.

/// Enters what the founder of a federation is, where it is not there yet: a governor with every right, and with every
/// right in segments that were declared since.
void enter_founder(Core& core);

/// Admits an instance, or changes what it may. Throws Error(untrusted) for a key that is not sound, Error(denied) for
/// one that was revoked.
void admit(Core& core, const Member& member);

/// Changes what a member may, and where it listens. A change of voters is begun by it, and ends with `seal_voters`, or at
/// once if it is forced. Throws Error(unavailable) when another one is under way, or the new voter has not been met.
void grant(Core& core, std::string_view who, const MemberChange& change);

/// Ends the change of voters that is under way, if it is the one of that view, and this instance is a governor. Whoever
/// calls it has made sure of a majority of each open set. Says whether it has.
bool seal_voters(Core& core, const VoterView& view);

/// Changes the status of an instance: by its name, its id or its key. A revocation fences what was seen of it. Throws
/// Error(not_found), Error(invalid) where a name is that of several.
void set_status(Core& core, std::string_view who, InstanceStatus status);

/// What an instance is given to come in without a network.
std::string federation_text(const Core& core);

/// Makes an invitation that works once, until it expires.
std::string invite(Core& core, const InviteOptions& options);

/// Admits the holder of a key by the secret of an open invitation, which is used up. Absent: done; else why not.
std::optional<std::string> admit_invited(Core& core, SharedBatch& batch, const PublicKey& key,
                                         const std::array<std::byte, 16>& secret);

/// Forgets all invitations: of a backup nobody knows which were used since.
void forget_invitations(Core& core);

/// Whether there is an open invitation.
bool has_invitations(const SharedReader& reader, std::int64_t now_ms);

/// What the instances of that name may do with a segment: what all of them may. Absent: the segment is not shared, or
/// there is no registry.
std::optional<RouteRights> route_rights(const Core& core, std::string_view segment, const std::string& name);

/// All members, by name.
std::vector<Member> members(const Core& core);

}  // namespace loam
