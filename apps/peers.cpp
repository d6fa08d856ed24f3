#include <boost/json/value.hpp>

#include "apps/look.hpp"
#include "apps/membership.hpp"
#include "apps/shapes.hpp"
#include "apps/text.hpp"
#include "apps/time_text.hpp"

namespace loam::cli {
namespace {

std::string refused_text(const PeerStatus& peer) {
  std::string list;
  for (const auto& [segment, records] : peer.refused) {
    list += (list.empty() ? "" : ", ") + std::to_string(records) + " of " + printable(segment);
  }
  return list.empty() ? "" : "refused from " + printable(peer.name) + ": " + list + "\n";
}

}  // namespace

std::string peers_text(const Status& status) {
  if (status.peers.empty()) return "no peers\n";
  std::vector<std::vector<std::string>> rows{{"peer", "endpoint", "linked", "last seen", "lag"}};
  for (const auto& peer : status.peers) {
    std::uint64_t lag = 0;
    for (const auto& [segment, changes] : peer.lag) lag += changes;
    rows.push_back({printable(peer.name), printable(peer.endpoint), peer.linked ? "yes" : "no",
                    peer.last_seen_ms == 0 ? "never" : print_time(peer.last_seen_ms),
                    std::to_string(lag)});
  }
  std::string out = table(rows);
  for (const auto& peer : status.peers) out += refused_text(peer);
  return out;
}

std::string voters_text(const VoterStatus& voters) {
  if (voters.voters.empty()) return "";
  std::string text = "voters: ";
  for (const std::string& name : voters.voters) text += (&name == &voters.voters.front() ? "" : ", ") + printable(name);
  text += "; epoch " + std::to_string(voters.epoch);
  if (voters.disputed) {
    text += "; several governors have changed them at once: grant one of them again";
  } else if (!voters.sealed) {
    text += "; a change is under way: a governor ends it with `loam sync --strong`";
  }
  for (const std::string& name : voters.lost) text += "; " + printable(name) + " has another store now, or is not active: it has no vote until it is granted again";
  return text + "\n";
}

namespace {

std::string held_text(const std::vector<HeldRemoval>& held) {
  std::string out;
  for (const HeldRemoval& removal : held) {
    out += printable(removal.peer) + " has removed " + std::to_string(removal.records) +
           " records of " + printable(removal.segment) + " without saying so (" +
           print_time(removal.at_ms) + "): kept until you confirm it: loam peers confirm-removal " +
           printable(removal.peer) + "\n";
  }
  return out;
}

int list(const Shell& shell) {
  const Memory memory = open_memory(shell);
  const Status status = memory.status();
  const std::vector<HeldRemoval> held = memory.held_removals();
  boost::json::array items;
  for (const PeerStatus& peer : status.peers) items.push_back(shape(peer));
  boost::json::array waiting;
  for (const HeldRemoval& removal : held) waiting.push_back(shape(removal));
  const std::vector<Member> members = memory.members();
  boost::json::array in_federation;
  for (const Member& member : members) in_federation.push_back(shape(member));
  answer(shell,
         {{"members", std::move(in_federation)}, {"items", std::move(items)}, {"held", std::move(waiting)},
          {"voters", shape(status.voters)}, {"next", nullptr}},
         members_text(members) + peers_text(status) + voters_text(status.voters) + held_text(held));
  return 0;
}

}  // namespace

int run(const command::Peers& peers, const Shell& shell) {
  if (peers.what == command::Peers::Do::list) return list(shell);
  if (peers.what != command::Peers::Do::confirm) return change_member(peers, shell);
  Memory memory = open_memory(shell);
  const std::uint64_t removed = memory.confirm_removal(peers.who);
  answer(shell, {{"peer", peers.who}, {"removed", removed}},
         "removed " + std::to_string(removed) + " records as " + printable(peers.who) + " had\n");
  return 0;
}

}  // namespace loam::cli
