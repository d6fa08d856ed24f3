#include "tests/transport/simulation.hpp"

#include <algorithm>

namespace test {
namespace {

using loam::Delta;
using loam::Dot;

const std::vector<Declared> declared{{"registry", loam::Kind::map},
                                     {"lessons", loam::Kind::set},
                                     {"notes", loam::Kind::set},
                                     {"goals", loam::Kind::map}};
const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};

constexpr std::size_t links_at_once = 6;

}  // namespace

Simulation::Simulation(Gen& gen, const SimulationRules& rules, Coverage& coverage)
    : gen_(gen), rules_(rules), coverage_(coverage) {
  actors_in_order_ = gen_.coin();
  refuses_ = gen_.one_in(3);
  writes_slowly_ = gen_.coin();
  choose_topology();
  choose_components();
  heard_.resize(peers_.size());
  backups_.resize(peers_.size());
  net_.keeps_frames = false;
  net_.watch = [this](const Sent& sent) { count(sent); };
  net_.before_apply = [this](const Peer& peer, const loam::Apply& change) {
    check_claims(peer, change);
    hear(index_of(peer), change.segment, change.delta);
  };
  net_.refuse = [this](const Peer&, const loam::Apply&) -> std::optional<std::string> {
    if (!refuses_ || !gen_.one_in(12)) return std::nullopt;
    ++coverage_["apply refused"];
    return "refused by the test";
  };
}

void Simulation::choose_topology() {
  const std::size_t count = 2 + gen_.index(4);
  const std::uint64_t shape = gen_.below(3);
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<Declared> segments;
    for (const Declared& segment : declared) {
      if (segments.empty() || !gen_.one_in(4)) segments.push_back(segment);
    }
    peers_.emplace_back(static_cast<unsigned>(i), i, segments);
    peers_.back().broken = rules_.broken;
    peers_.back().slices_overshoot = gen_.coin();
    peers_.back().become(fresh_actor());
    for (std::size_t j = 0; j < i; ++j) {
      const bool is_edge = shape == 0 ? j == 0 : shape == 1 ? j + 1 == i : true;
      if (is_edge) edges_.emplace_back(j, i);
    }
  }
}

void Simulation::choose_components() {
  for (const Declared& segment : declared) {
    std::vector<std::size_t>& component = component_[segment.name];
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      component.push_back(peers_[i].has(segment.name) ? i : no_component);
    }
    for (std::size_t pass = 0; pass < peers_.size(); ++pass) {
      for (const auto& [left, right] : edges_) {
        if (component[left] == no_component || component[right] == no_component) continue;
        component[left] = component[right] = std::min(component[left], component[right]);
      }
    }
  }
}

Truth& Simulation::truth(std::size_t peer, const std::string& segment) {
  return truth_[{segment, component_.at(segment)[peer]}];
}

loam::SessionLimits Simulation::choose_limits() {
  loam::SessionLimits limits;
  if (gen_.one_in(4)) return limits;
  limits.chunk_octets = gen_.between(1, 400);
  limits.chunk_records = gen_.between(1, 8);
  limits.part_actors = gen_.between(1, 4);
  limits.part_octets = gen_.between(1, 300);
  limits.journal_page_dots = gen_.between(1, 8);
  limits.frame_sets = gen_.between(1, 3);
  limits.listed_actors = gen_.below(6);
  limits.first_cells = gen_.between(1, 12);
  limits.many_actors = gen_.between(1, 4);
  limits.set_counters = gen_.between(1, 8);
  if (gen_.one_in(4)) limits.cells_max = gen_.between(1, 30);
  limits.frame_ranges = gen_.between(1, 3);
  limits.window_octets = gen_.between(1, 1'000);
  limits.burst_octets = gen_.between(1, 1'000);
  return limits;
}

loam::ActorId Simulation::fresh_actor() {
  loam::ActorId actor{loam::hash128("sim actor", {loam::bytes_of(std::to_string(++minted_))})};
  if (actors_in_order_) {
    actor.bytes[0] = static_cast<std::byte>(minted_ >> 8);
    actor.bytes[1] = static_cast<std::byte>(minted_ & 255);
  }
  return actor;
}

std::size_t Simulation::index_of(const Peer& peer) const {
  return static_cast<std::size_t>(&peer - peers_.data());
}

std::string Simulation::run() {
  for (std::uint64_t left = 20 + gen_.below(180); left > 0 && failure_.empty(); --left) step();
  if (failure_.empty()) heal();
  return failure_;
}

// ---------------------------------------------------------------- phase 1

void Simulation::step() {
  switch (gen_.below(16)) {
    case 0:
    case 1:
    case 2: return write();
    case 3: return connect();
    case 4: return gen_.one_in(3) ? lose_link() : travel();
    case 5: return gen_.one_in(2) ? shorten_journal() : travel();
    case 6: return gen_.one_in(2) ? back_up_or_restore() : travel();
    case 7:
      if (gen_.one_in(6)) net_.pass(std::chrono::seconds(gen_.between(1, 20)));
      return check_closes();
    case 8: {
      if (!gen_.one_in(3)) return travel();
      Peer& peer = peers_[gen_.index(peers_.size())];
      return peer.become(fresh_actor());
    }
    default: return travel();
  }
}

void Simulation::write() {
  const std::size_t index = gen_.index(peers_.size());
  Peer& peer = peers_[index];
  const std::string segment = gen_.pick(peer.segments());
  clock_ms_ += static_cast<std::int64_t>(gen_.below(3));
  const bool is_map = peer.store(segment).kind() == loam::Kind::map;
  const Delta delta = is_map ? write_map(peer, segment) : write_set(peer, segment);
  Truth& known = truth(index, segment);
  each_dot(delta.context, [&](const Dot& dot) {
    const auto live = delta.live.find(dot);
    if (live == delta.live.end()) {
      expect(known.written.contains(dot), "a write removes a dot that nobody wrote");
      known.removed.insert(dot);
    } else {
      expect(known.written.emplace(*live).second, "a dot was issued twice");
    }
  });
  hear(index, segment, delta);
  check_peer(index);
  if (gen_.one_in(4)) return;  // the sessions hear of it with the next change
  net_.changed(peer);
}

Delta Simulation::write_set(Peer& peer, const std::string& segment) {
  const Note note{gen_.pick(names), std::to_string(minted_++), clock_ms_};
  const std::string& other = gen_.pick(names);
  return peer.write(segment, [&](Replica& replica) {
    const std::uint64_t choice = gen_.below(16);
    if (choice < 3) return replica.remove(other);
    if (choice < 6) return replica.revise(other, note);
    if (choice == 6) return replica.clear();
    return replica.add(note);
  });
}

Delta Simulation::write_map(Peer& peer, const std::string& segment) {
  const Note note{gen_.pick(names), std::to_string(minted_++), clock_ms_};
  return peer.write(segment, [&](Replica& replica) {
    return gen_.one_in(4) ? replica.erase(note) : replica.put(note);
  });
}

void Simulation::connect() {
  std::erase_if(open_links_, [&](const auto& open) { return net_.is_over(open.first); });
  if (open_links_.size() >= links_at_once) return;
  const std::size_t edge = gen_.index(edges_.size());
  for (const auto& [link, other] : open_links_) {
    if (other == edge) ++coverage_["two links to one peer"];
  }
  auto [dialler, listener] = edges_[edge];
  if (gen_.coin()) std::swap(dialler, listener);
  Meeting meeting;
  meeting.once = {gen_.one_in(3), gen_.one_in(8)};
  open_links_.emplace_back(meet(dialler, listener, meeting), edge);
}

std::size_t Simulation::meet(std::size_t dialler, std::size_t listener, Meeting meeting) {
  meeting.limits = choose_limits();
  windows_.push_back(meeting.limits.window_octets);
  return net_.connect(peers_[dialler], peers_[listener], meeting);
}

void Simulation::travel() {
  if (open_links_.empty()) return connect();
  if (gen_.one_in(12)) {
    net_.run();
  } else {
    const std::size_t link = gen_.pick(open_links_).first;
    for (std::uint64_t left = gen_.between(1, 6); left > 0; --left) {
      const int side = gen_.coin() ? 1 : 0;
      if (gen_.one_in(writes_slowly_ ? 12 : 3)) {
        net_.commit(link, side);
      } else if (!net_.deliver(link, side)) {
        net_.wake(link, side);
      }
    }
  }
  check_closes();
}

void Simulation::lose_link() {
  if (open_links_.empty()) return;
  const std::size_t link = gen_.pick(open_links_).first;
  if (gen_.one_in(5) && net_.is_up(link)) {
    ++coverage_["link left"];
    const int side = net_.end(link, 0).is_up() ? 0 : 1;
    return net_.leave(link, side, "enough");
  }
  const bool loses = gen_.coin();
  if (loses && !net_.end(link, 0).applies.empty()) ++coverage_["applies lost"];
  net_.cut(link, loses);
  ++coverage_["link cut"];
}

void Simulation::shorten_journal() {
  Peer& peer = peers_[gen_.index(peers_.size())];
  const std::string segment = gen_.pick(peer.segments());
  if (gen_.one_in(5)) {
    ++coverage_["journal dropped"];
    return peer.drop_journal(segment, journal_id_of(++minted_));
  }
  const loam::SegmentState state = peer.state(segment);
  if (state.floor == state.head) return;
  ++coverage_["journal truncated"];
  peer.truncate(segment, gen_.between(state.floor + 1, state.head));
}

void Simulation::back_up_or_restore() {
  const std::size_t index = gen_.index(peers_.size());
  if (!backups_[index] || gen_.coin()) {
    backups_[index] = Backup{peers_[index], heard_[index]};
    return;
  }
  if (!rules_.restores) return;
  for (std::size_t link = 0; link < net_.links(); ++link) {  // that process has ended
    for (int side = 0; side < 2; ++side) {
      if (net_.end(link, side).peer != &peers_[index]) continue;
      net_.cut(link);
      net_.end(link, side).applies.clear();
    }
  }
  peers_[index] = backups_[index]->peer;
  heard_[index] = backups_[index]->heard;
  peers_[index].become(fresh_actor());
  const bool is_new = gen_.coin();
  if (is_new) peers_[index].become_store(store_id_of(++minted_));
  ++coverage_[is_new ? "restored as a new store" : "restored as the same store"];
}

}  // namespace test
