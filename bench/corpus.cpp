#include "bench/corpus.hpp"

#include <array>
#include <string_view>

namespace bench {
namespace {

constexpr std::array<std::string_view, 64> words{
    "retry",   "timeout",  "socket",  "buffer",  "index",   "thread", "lock",    "cache",
    "deploy",  "rollback", "schema",  "migrate", "token",   "header", "payload", "stream",
    "queue",   "worker",   "signal",  "handler", "parser",  "module", "linker",  "symbol",
    "memory",  "leak",     "pointer", "vector",  "branch",  "merge",  "commit",  "rebase",
    "cluster", "replica",  "leader",  "quorum",  "latency", "jitter", "backoff", "limit",
    "disk",    "inode",    "quota",   "journal", "kernel",  "driver", "packet",  "route",
    "after",   "before",   "because", "without", "always",  "never",  "when",    "until",
    "the",     "and",      "with",    "from",    "into",    "over",   "under",   "again"};

struct Random {
  std::uint64_t state;
  std::uint64_t next() {  // splitmix64 (Steele, Lea and Flood, 2014)
    state += 0x9e3779b97f4a7c15U;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }
  std::string_view word() { return words[next() % words.size()]; }
};

}  // namespace

loam::PacketEnvelope Corpus::packet(std::uint64_t index) const {
  Random random{seed_ * 0x2545f4914f6cdd1dU + index};
  std::string text = "note " + std::to_string(index) + ":";
  while (text.size() < 200) text.append(" ").append(random.word());
  loam::PacketEnvelope packet;
  packet.packet_type = "lesson";
  packet.payload["text"] = std::move(text);
  for (int i = 0; i < 3; ++i) packet.tags.emplace_back(random.word());
  packet.metadata["agent"] = "agent-" + std::to_string(random.next() % 16);
  return packet;
}

std::vector<loam::PacketEnvelope> Corpus::packets(std::uint64_t first, std::size_t count) const {
  std::vector<loam::PacketEnvelope> packets;
  packets.reserve(count);
  for (std::size_t i = 0; i < count; ++i) packets.push_back(packet(first + i));
  return packets;
}

}  // namespace bench
