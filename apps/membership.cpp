#include "apps/membership.hpp"

#include <boost/json/value.hpp>
#include <fstream>

#include "apps/input.hpp"
#include "apps/instance.hpp"
#include "apps/look.hpp"
#include "apps/shapes.hpp"
#include "apps/text.hpp"

namespace loam::cli {
namespace {

// "all" stands for every shared segment; of letters that mean nothing in a set there are none there.
std::map<std::string, std::string> allowed(const Memory& memory, const command::Rights& rights) {
  std::map<std::string, std::string> letters;
  if (const auto all = rights.allow.find("all"); all != rights.allow.end()) {
    for (const Segment& segment : memory.segments().all()) {
      if (segment.scope == Scope::shared && segment.name != "instance_registry") letters[segment.name] = all->second;
    }
  }
  for (const auto& [segment, of] : rights.allow) {
    if (segment != "all") letters[memory.segments().find(segment).name] = of;
  }
  return letters;
}

Member member_of(const Memory& memory, const std::string& name, const command::Rights& rights) {
  Member member{.name = name, .permissions = allowed(memory, rights), .endpoints = rights.endpoints};
  member.role = rights.role.value_or(member.role);
  member.voter = rights.voter.value_or(false);
  return member;
}

std::string own_endpoint(const Memory& memory) {
  for (const Member& member : memory.members()) {
    if (member.id == memory.id().text() && !member.endpoints.empty()) return member.endpoints.front();
  }
  throw HintedError(Error(ErrorCode::invalid, "invite: where this instance listens is not known"),
                    "name it: --endpoint ws://HOST:PORT, or `loam serve` first");
}

std::string trimmed_line(const std::string& text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  const auto last = text.find_last_not_of(" \t\r\n");
  return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

// Makes it, or goes on with what an earlier attempt made.
Memory open_to_join(const Shell& shell, const std::string& name, const std::string& federation) {
  return Memory::open({.dir = shell.dir, .name = name, .federation = federation});
}

void answer_joined(const Shell& shell, const Memory& memory) {
  answer(shell, shape(memory.identity()),
         memory.name() + " is in federation " + memory.identity().federation.text() + "\n");
}

// It counts here and in what hears of it, but strong calls need the old voters too until it has ended.
void end_change_of_voters(Memory& memory, std::chrono::milliseconds timeout) {
  const SyncReport report = memory.sync_shared_segments({.timeout = timeout, .strong = true});
  if (report.strong && report.strong->sealed) return;
  const std::string why = report.strong ? report.strong->error : "nobody was asked";
  throw HintedError(Error(ErrorCode::unavailable, "voters: the change is begun and not ended: " + why),
                    "`loam sync --strong` on a governor ends it; --force does without them");
}

}  // namespace

std::string members_text(const std::vector<Member>& members) {
  std::vector<std::vector<std::string>> rows{{"member", "id", "role", "status", "rights"}};
  for (const Member& member : members) {
    std::string rights;
    for (const auto& [segment, letters] : member.permissions) {
      rights += (rights.empty() ? "" : ",") + segment + "=" + letters;
    }
    rows.push_back({printable(member.name), member.id, member.role + (member.voter ? ", voter" : ""), member.status,
                    printable(rights)});
  }
  return members.empty() ? std::string() : table(rows) + "\n";
}

int run(const command::Invite& invite, const Shell& shell) {
  Memory memory = open_memory(shell);
  const std::string endpoint = invite.endpoint.empty() ? own_endpoint(memory) : invite.endpoint;
  const std::string token = memory.invite(
      {.member = member_of(memory, invite.name, invite.rights), .endpoint = endpoint, .valid = invite.valid});
  answer(shell, {{"token", token}}, token + "\n");
  return 0;
}

int run(const command::Join& join, const Shell& shell) {
  if (join.token.empty() && join.file.empty()) throw Error(ErrorCode::invalid, "join: needs TOKEN or --federation");
  if (!join.file.empty()) {
    const Memory memory = open_to_join(shell, join.name, read_whole(join.file, federation_text_max));
    answer_joined(shell, memory);
    return 0;
  }
  const std::string token = trimmed_line(join.token == "-" ? read_whole("-", line_octets_max) : join.token);
  const TokenContents contents = contents_of_token(token);
  Memory memory = open_to_join(shell, join.name.empty() ? contents.name : join.name, contents.federation);
  const PeerReport report = memory.join(token, join.timeout);
  if (!report.ok) throw Error(report.code, "join: " + report.error);
  answer_joined(shell, memory);
  return 0;
}

int run(const command::Admit& admit, const Shell& shell) {
  Memory memory = open_memory(shell);
  Member member = member_of(memory, admit.name, admit.rights);
  member.public_key = admit.key;
  memory.admit(member);
  if (admit.out == "-") {
    shell.out.write(memory.federation());
    return 0;
  }
  if (!admit.out.empty()) {
    std::ofstream file(admit.out);
    file << memory.federation();
    file.close();
    if (!file) throw Error(ErrorCode::failed, admit.out + ": cannot be written");
  }
  answer(shell, {{"name", admit.name}, {"public_key", admit.key}}, admit.name + " is admitted\n");
  return 0;
}

int change_member(const command::Peers& peers, const Shell& shell) {
  using Do = command::Peers::Do;
  Memory memory = open_memory(shell);
  if (peers.what == Do::suspend) memory.suspend(peers.who);
  if (peers.what == Do::reinstate) memory.reinstate(peers.who);
  if (peers.what == Do::revoke) memory.revoke(peers.who);
  if (peers.what == Do::grant) {
    MemberChange change{.permissions = allowed(memory, peers.rights), .role = peers.rights.role,
                        .voter = peers.rights.voter, .force = peers.force};
    if (!peers.rights.endpoints.empty()) change.endpoints = peers.rights.endpoints;
    if (peers.force && !change.voter) throw Error(ErrorCode::invalid, "grant: --force is of --voter and --no-voter");
    memory.grant(peers.who, change);
    if (change.voter && !memory.voters().sealed) end_change_of_voters(memory, peers.timeout);
  }
  const std::vector<Member> members = memory.members();
  boost::json::array items;
  for (const Member& member : members) items.push_back(shape(member));
  const VoterStatus voters = memory.voters();
  answer(shell, {{"members", std::move(items)}, {"voters", shape(voters)}}, members_text(members) + voters_text(voters));
  return 0;
}

}  // namespace loam::cli
