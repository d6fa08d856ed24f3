#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/transport/net.hpp"

namespace test {

/// What a run may do beside writing, exchanging, cutting links and truncating journals.
struct SimulationRules {
  bool restores = false;
  bool may_alarm =
      false;  ///< states may differ for a while, as long as the peers notice and mend it
  Broken broken;
};

/// The component of a peer that does not have the segment.
inline constexpr std::size_t no_component = ~std::size_t{0};

/// How often each path ran, over many runs.
using Coverage = std::map<std::string, std::uint64_t>;

/// What the oracle knows of one segment among the peers that can exchange it: every write with its
/// content, and every dot that some write removed. Shares no code with the join or the session.
struct Truth {
  std::map<loam::Dot, loam::Bytes> written;
  std::set<loam::Dot> removed;
};

/// What one peer has heard of one segment: two sets that only grow.
struct Heard {
  std::set<loam::Dot> live;
  std::set<loam::Dot> dead;
};

/// Two to five peers on a hub, a chain or a mesh, with partial sets of segments, that write,
/// exchange, lose links, crash, drop journals and restore backups at random; then everything heals.
/// One seed, one run. Every step is held against the oracle.
class Simulation {
 public:
  Simulation(Gen& gen, const SimulationRules& rules, Coverage& coverage);

  /// The first rule that was broken; empty when all held.
  std::string run();

 private:
  struct Backup {
    Peer peer;
    std::map<std::string, Heard> heard;
  };

  // The peers and who may exchange what.
  void choose_topology();
  void choose_components();
  Truth& truth(std::size_t peer, const std::string& segment);
  loam::SessionLimits choose_limits();
  loam::ActorId fresh_actor();
  std::size_t index_of(const Peer& peer) const;

  // Phase 1: random events.
  void step();
  void write();
  loam::Delta write_set(Peer& peer, const std::string& segment);
  loam::Delta write_map(Peer& peer, const std::string& segment);
  void connect();
  std::size_t meet(std::size_t dialler, std::size_t listener, Meeting meeting);
  void travel();
  void lose_link();
  void shorten_journal();
  void back_up_or_restore();

  // Phase 2: everything is mended.
  void heal();
  void heal_by_rounds();
  void heal_by_links();
  bool is_equal(const Peer& left, const Peer& right) const;
  bool all_equal() const;
  void check_end();
  void check_survival(const std::string& segment, std::size_t component,
                      const std::set<loam::Dot>& expected);
  std::set<loam::Dot> merged(const std::string& segment, std::size_t component) const;

  // The oracle.
  void hear(std::size_t peer, const std::string& segment, const loam::Delta& delta);
  void check_claims(const Peer& peer, const loam::Apply& change);
  void check_peer(std::size_t peer);
  void check_closes();
  void count(const Sent& sent);
  void expect(bool holds, const std::string& what);

  Gen& gen_;
  SimulationRules rules_;
  Coverage& coverage_;
  Net net_;
  std::vector<Peer> peers_;
  std::vector<std::map<std::string, Heard>> heard_;
  std::vector<std::optional<Backup>> backups_;
  std::vector<std::pair<std::size_t, std::size_t>> edges_;
  std::map<std::string, std::vector<std::size_t>> component_;  ///< by segment, of each peer
  std::map<std::pair<std::string, std::size_t>, Truth> truth_;
  std::vector<std::pair<std::size_t, std::size_t>> open_links_;        ///< link, edge
  std::vector<std::uint64_t> windows_;                                 ///< by link
  std::map<std::pair<std::size_t, int>, std::uint64_t> chunk_octets_;  ///< by link and side
  std::map<std::pair<std::size_t, int>, std::uint64_t> acked_octets_;
  std::uint64_t minted_ = 1'000;
  std::int64_t clock_ms_ = 0;
  bool actors_in_order_ = false;
  bool refuses_ = false;
  bool writes_slowly_ = false;
  std::string failure_;
};

/// Calls `visit` with every dot of a context.
template <class Visit>
void each_dot(const loam::Context& context, Visit&& visit) {
  for (const auto& [actor, ranges] : context) {
    for (const loam::Range& range : ranges) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter) {
        visit(loam::Dot{actor, counter});
      }
    }
  }
}

/// One run; the answer is the first rule that was broken, empty when all held.
std::string simulate(Gen& gen, const SimulationRules& rules, Coverage& coverage);

}  // namespace test
