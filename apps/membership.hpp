#pragma once

#include "apps/commands.hpp"
#include "apps/shell.hpp"

/// Who is in the federation: letting instances in, and changing what they may.
namespace loam::cli {

int run(const command::Invite& invite, const Shell& shell);
int run(const command::Join& join, const Shell& shell);
int run(const command::Admit& admit, const Shell& shell);

/// A change of a member, and nothing else of what `peers` does.
int change_member(const command::Peers& peers, const Shell& shell);

std::string members_text(const std::vector<Member>& members);

}  // namespace loam::cli
