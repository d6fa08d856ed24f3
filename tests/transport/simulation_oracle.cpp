#include <algorithm>

#include "tests/transport/simulation.hpp"

namespace test {
namespace {

using loam::Delta;
using loam::Dot;

}  // namespace

// ---------------------------------------------------------------- phase 2

void Simulation::heal() {
  refuses_ = false;
  const bool loses = gen_.coin();
  for (std::size_t link = 0; link < net_.links(); ++link) {
    net_.cut(link, loses);
    for (int side = 0; side < 2; ++side) {
      while (net_.commit(link, side)) {
      }
    }
  }
  std::map<std::pair<std::string, std::size_t>, std::set<Dot>> expected;
  for (const auto& [segment, component] : component_) {
    for (const std::size_t one : component) {
      if (one != no_component) expected[{segment, one}] = merged(segment, one);
    }
  }
  gen_.coin() ? heal_by_rounds() : heal_by_links();
  for (const auto& [key, dots] : expected) check_survival(key.first, key.second, dots);
  check_end();
}

void Simulation::heal_by_rounds() {
  for (std::size_t pass = 0; pass <= peers_.size() && failure_.empty(); ++pass) {
    for (const auto& [left, right] : edges_) {
      const std::size_t link = meet(left, right, {.once = {true, gen_.one_in(4)}});
      net_.pass(std::chrono::seconds(9));
      expect(net_.is_over(link), "a round does not end");
      if (!failure_.empty()) return;
      const auto& report = net_.end(link, 0).session->report();
      expect(report.problem.empty(), "a round ends with a problem: " + report.problem);
      expect(report.converged, "a round ends without having converged");
      expect(net_.end(link, 1).session->report().converged, "the listener has not converged");
      expect(is_equal(peers_[left], peers_[right]), "a round leaves two peers different");
    }
    if (all_equal()) break;
  }
}

void Simulation::heal_by_links() {
  for (const auto& [left, right] : edges_) meet(left, right, {});
  net_.run();
  if (!rules_.restores && !rules_.may_alarm)
    expect(all_equal(), "live links leave peers different");
  for (int pass = 0; pass < 5; ++pass) net_.pass(std::chrono::seconds(16));
}

bool Simulation::is_equal(const Peer& left, const Peer& right) const {
  const auto segments = left.segments();
  return std::all_of(segments.begin(), segments.end(), [&](const std::string& segment) {
    return !right.has(segment) || left.store(segment).roots() == right.store(segment).roots();
  });
}

bool Simulation::all_equal() const {
  return std::all_of(edges_.begin(), edges_.end(), [&](const auto& edge) {
    return is_equal(peers_[edge.first], peers_[edge.second]);
  });
}

// What a merge of all states of a component holds, by sets alone.
std::set<Dot> Simulation::merged(const std::string& segment, std::size_t component) const {
  std::set<Dot> live;
  std::set<Dot> dead;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (component_.at(segment)[i] != component) continue;
    const loam::MemoryStore& store = peers_[i].store(segment);
    each_dot(store.context(),
             [&](const Dot& dot) { (store.live().contains(dot) ? live : dead).insert(dot); });
  }
  for (const Dot& dot : dead) live.erase(dot);
  return live;
}

void Simulation::check_survival(const std::string& segment, std::size_t component,
                                const std::set<Dot>& expected) {
  const Truth& known = truth_[{segment, component}];
  if (!rules_.restores) {
    std::set<Dot> wanted;
    for (const auto& [dot, record] : known.written) {
      if (!known.removed.contains(dot)) wanted.insert(dot);
    }
    expect(wanted == expected,
           segment + ": before healing the peers hold other dots than were written");
  }
  const Peer* first = nullptr;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    if (component_.at(segment)[i] != component) continue;
    const loam::MemoryStore& store = peers_[i].store(segment);
    std::set<Dot> live;
    for (const auto& [dot, record] : store.live()) live.insert(dot);
    expect(live == expected, segment + ": other dots are live than were written and not removed");
    if (first == nullptr) first = &peers_[i];
    expect(store.roots() == first->store(segment).roots(), segment + ": roots differ");
    expect(store.canonical() == first->store(segment).canonical(), segment + ": states differ");
  }
}

void Simulation::check_end() {
  for (std::size_t i = 0; i < peers_.size(); ++i) check_peer(i);
  check_closes();
  for (const std::string& alarm : net_.alarms()) {
    const bool is_differ = alarm.find("differ") != std::string::npos;
    if (is_differ) ++coverage_["alarm: differ"];
    expect(is_differ && (rules_.restores || rules_.may_alarm), "an alarm was raised: " + alarm);
  }
}

// ---------------------------------------------------------------- oracle

void Simulation::hear(std::size_t peer, const std::string& segment, const Delta& delta) {
  Heard& heard = heard_[peer][segment];
  each_dot(delta.context, [&](const Dot& dot) {
    (delta.live.contains(dot) ? heard.live : heard.dead).insert(dot);
  });
}

// What travels is true: nothing is invented, nothing dies that nobody removed.
void Simulation::check_claims(const Peer& peer, const loam::Apply& change) {
  const Truth& known = truth(index_of(peer), change.segment);
  each_dot(change.delta.context, [&](const Dot& dot) {
    const auto written = known.written.find(dot);
    expect(written != known.written.end(),
           change.segment + ": a chunk accounts for a dot that nobody wrote");
    if (written == known.written.end()) return;
    const auto live = change.delta.live.find(dot);
    if (live != change.delta.live.end()) {
      expect(live->second == written->second, change.segment + ": a record has changed on its way");
    } else {
      expect(known.removed.contains(dot), change.segment + ": a chunk kills what nobody removed");
    }
  });
}

// A peer is what it has heard: removed dots are dead for ever, the others are live.
void Simulation::check_peer(std::size_t index) {
  const Peer& peer = peers_[index];
  for (const std::string& segment : peer.segments()) {
    const Heard& heard = heard_[index][segment];
    const auto& live = peer.store(segment).live();
    std::size_t alive = 0;
    for (const Dot& dot : heard.live) {
      if (heard.dead.contains(dot)) continue;
      ++alive;
      expect(live.contains(dot), segment + ": a record was lost");
    }
    for (const auto& [dot, record] : live) {
      expect(!heard.dead.contains(dot), segment + ": a removed record is back");
    }
    expect(alive == live.size(), segment + ": a record is live that was never heard of");
  }
}

void Simulation::check_closes() {
  for (const auto& [link, edge] : open_links_) {
    for (int side = 0; side < 2; ++side) {
      const auto& end = net_.end(link, side);
      if (!end.close || end.close->code == 1000) continue;
      if (end.close->reason.starts_with("refused")) continue;
      expect(false,
             "a session closed with " + std::to_string(end.close->code) + " " + end.close->reason);
    }
  }
  for (std::size_t i = 0; i < peers_.size(); ++i) check_peer(i);
}

namespace {

bool is_listener(const Sent& sent) { return sent.from == 1; }

}  // namespace

void Simulation::count(const Sent& sent) {
  const loam::Frame frame = sent.frame();
  expect(loam::encode_frame(frame) == sent.bytes, "a frame is not encoded as it was decoded");
  if (const auto* delta = std::get_if<loam::DeltaFrame>(&frame)) {
    if (delta->delta.empty()) ++coverage_["delta: position only"];
    if (!delta->upto) ++coverage_["delta: without a position"];
    if (delta->delta.context.actors().size() > 1) ++coverage_["delta: several actors"];
    const std::uint64_t flying = chunk_octets_[{sent.link, sent.from}] += sent.bytes.size();
    if (flying - acked_octets_[{sent.link, sent.from}] >= windows_.at(sent.link))
      ++coverage_["window closed"];
  } else if (const auto* compare = std::get_if<loam::CompareFrame>(&frame)) {
    ++coverage_[compare->cells.empty() ? "compare: items" : "compare: sketch"];
    if (!compare->end) ++coverage_["compare: items with more to come"];
    if (!compare->cells.empty() && is_listener(sent)) ++coverage_["compare: sketch in answer"];
    if (compare->cells.empty() && is_listener(sent)) ++coverage_["compare: items in answer"];
  } else if (const auto* context = std::get_if<loam::ContextFrame>(&frame)) {
    if (!context->end) ++coverage_["context: a part with more to come"];
    if (!context->named.empty()) ++coverage_["context: names"];
    if (context->all) ++coverage_["context: all"];
    for (const loam::ContextEntry& entry : context->rows) {
      if (entry.common) ++coverage_["context: an entry of the common part"];
    }
  } else if (const auto* live = std::get_if<loam::LiveFrame>(&frame)) {
    const auto form = live->form;
    ++coverage_[form == loam::LiveFrame::Form::sets     ? "live: sets"
                : form == loam::LiveFrame::Form::sketch ? "live: sketch"
                : form == loam::LiveFrame::Form::all    ? "live: all"
                                                        : "live: all is wanted"];
    if (live->more) ++coverage_["live: with more to come"];
  } else if (const auto* dead = std::get_if<loam::DeadFrame>(&frame)) {
    if (dead->undecided) ++coverage_["dead: undecided"];
    if (!dead->items.empty()) ++coverage_["dead: items"];
    if (!dead->dots.empty()) ++coverage_["dead: dots"];
  } else if (std::holds_alternative<loam::AskFrame>(frame)) {
    ++coverage_["ask"];
  } else if (const auto* state = std::get_if<loam::StateFrame>(&frame)) {
    if (state->compare) ++coverage_["state: a comparison is asked for"];
    if (state->wanted) ++coverage_["state: asked for"];
  } else if (const auto* ack = std::get_if<loam::AckFrame>(&frame)) {
    acked_octets_[{sent.link, 1 - sent.from}] = ack->octets;
  } else if (std::holds_alternative<loam::Ping>(frame)) {
    ++coverage_["ping"];
  }
}

void Simulation::expect(bool holds, const std::string& what) {
  if (!holds && failure_.empty()) failure_ = what;
}

std::string simulate(Gen& gen, const SimulationRules& rules, Coverage& coverage) {
  return Simulation(gen, rules, coverage).run();
}

}  // namespace test
