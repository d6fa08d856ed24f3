#pragma once

#include "tests/support/gen.hpp"
#include "tests/support/naive.hpp"
#include "tests/support/replica.hpp"

namespace test {

/// What one delta says, for the engine and for the reference model.
struct Message {
  loam::Delta delta;
  Naive news;
};

/// Cuts a state into one delta for each piece of its context.
using Chunks = std::function<std::vector<loam::Delta>(const loam::MemoryStore&,
                                                      const std::vector<loam::Context>& pieces)>;

/// The dot that a reader at this replica takes for the value of a key; absent when there is none.
using Winner = std::function<std::optional<loam::Dot>(const Replica&, std::string_view key)>;

std::vector<loam::Delta> exact_chunks(const loam::MemoryStore& from,
                                      const std::vector<loam::Context>& pieces);
std::optional<loam::Dot> real_winner(const Replica& replica, std::string_view key);

/// What a negative control replaces, one at a time.
struct Rules {
  Join join = real_join;
  Chunks chunks = exact_chunks;
  Winner winner = real_winner;
  bool new_actor_after_restore = true;
};

/// Cuts the dots of a context into pieces of at most `dots` each, in order.
std::vector<loam::Context> pieces_of(const loam::Context& context, std::size_t dots);

/// Three replicas of one segment that write, exchange and restore at random, each beside a
/// reference model that hears the same. Reachable states only: nothing is made up. A value.
class World {
 public:
  struct Node {
    Replica replica;
    Naive model;
  };

  explicit World(loam::Kind kind, Rules rules = {});

  /// One random event. Everything written so far may still be delivered later, again or never.
  void step(Gen& gen);
  void steps(Gen& gen, int count) {
    for (; count > 0; --count) step(gen);
  }

  /// Lets two replicas write as one actor, as clones of a directory would. The model does not
  /// follow: one dot then has two contents.
  void clone_actor() { nodes_[1].replica.become(nodes_[0].replica.actor()); }

  /// Every replica catches up with every other.
  void settle();

  /// The first thing that was not as the reference model has it; empty when all was.
  const std::string& failure() const noexcept { return failure_; }

  const std::vector<Node>& nodes() const noexcept { return nodes_; }
  const std::vector<Message>& sent() const noexcept { return sent_; }
  const loam::MemoryStore& store(std::size_t node) const { return nodes_.at(node).replica.store(); }

  /// A slice of a random part of a state's context.
  static loam::Context selection(Gen& gen, const loam::Context& context);

 private:
  void write(Node& node, Gen& gen);
  void write_set(Node& node, Gen& gen, const Note& note);
  void write_map(Node& node, Gen& gen, const Note& note);
  void went(Node& node, loam::Delta delta, Naive news);
  void take(Node& node, const loam::Delta& delta, const Naive& news);
  void catch_up(Gen& gen, const Node& from, Node& to, std::size_t dots);
  void restore(std::size_t index, Gen& gen);
  void compare(const Node& node);
  void compare_records(const Node& node);
  void compare_names(const Node& node);
  void expect(bool holds, const char* what);

  loam::Kind kind_;
  Rules rules_;
  std::vector<Node> nodes_;
  std::vector<std::optional<Node>> backups_;
  std::vector<Message> sent_;
  std::string failure_;
};

/// Runs a world beside its model and answers the first difference; empty when there was none.
std::string lock_step(Gen& gen, loam::Kind kind, const Rules& rules = {});

}  // namespace test
