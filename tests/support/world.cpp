#include "tests/support/world.hpp"

namespace test {
namespace {

using loam::Context;
using loam::Delta;
using loam::Dot;
using loam::Kind;
using loam::MemoryStore;

const std::vector<std::string> names{"a", "b", "\u00e9"};
const std::vector<std::int64_t> odd_times{-5, 1'000'000'000'000'000, std::int64_t{1} << 47};
constexpr std::size_t all_dots = 1'000'000;
constexpr int steps_max = 24;

// What the engine holds under a dot, in the model's words.
NaiveWrite read_back(Kind kind, const loam::Bytes& record, unsigned author) {
  if (kind == Kind::map) {
    const loam::MapRecord entry = loam::decode_map_record(record);
    NaiveWrite write{entry.key, author, entry.stamp, std::nullopt};
    if (entry.value) write.value = loam::as_text(loam::decode(*entry.value), "value");
    return write;
  }
  const loam::SetRecord entry = loam::decode_set_record(record);
  return {std::string(loam::decode(entry.content).text("text")), author, entry.stamp,
          std::string(loam::decode(entry.meta).text("note"))};
}

std::set<Dot> inside(const std::set<Dot>& dots, const Context& context) {
  std::set<Dot> result;
  for (const Dot& dot : dots) {
    if (context.contains(dot)) result.insert(dot);
  }
  return result;
}

std::set<Dot> without(std::set<Dot> dots, const std::set<Dot>& other) {
  for (const Dot& dot : other) dots.erase(dot);
  return dots;
}

Context context_of(const std::set<Dot>& dots) {
  Context context;
  for (const Dot& dot : dots) context.insert(dot);
  return context;
}

}  // namespace

std::vector<Delta> exact_chunks(const MemoryStore& from, const std::vector<Context>& pieces) {
  std::vector<Delta> chunks;
  for (const Context& piece : pieces) chunks.push_back(from.slice(piece));
  return chunks;
}

std::optional<Dot> real_winner(const Replica& replica, std::string_view key) {
  const loam::Register held = replica.store().read(key);
  if (!held.winner) return std::nullopt;
  return held.winner->dot;
}

std::vector<Context> pieces_of(const Context& context, std::size_t dots) {
  std::vector<Context> pieces;
  std::size_t room = 0;
  for (const auto& [actor, ranges] : context) {
    for (const loam::Range& range : ranges) {
      for (std::uint64_t counter = range.first; counter <= range.last; ++counter, --room) {
        if (room == 0) {
          pieces.emplace_back();
          room = dots;
        }
        pieces.back().insert(Dot{actor, counter});
      }
    }
  }
  return pieces;
}

World::World(Kind kind, Rules rules) : kind_(kind), rules_(std::move(rules)), backups_(3) {
  for (unsigned author = 0; author < 3; ++author) {
    nodes_.push_back({Replica(kind, author, rules_.join), Naive{}});
  }
}

void World::step(Gen& gen) {
  const std::size_t to = gen.index(nodes_.size());
  const Node& from = gen.pick(nodes_);
  switch (gen.below(12)) {
    case 0: {
      if (sent_.empty()) return;
      const Message& message = gen.pick(sent_);
      take(nodes_[to], message.delta, message.news);
      break;
    }
    case 1: take(nodes_[to], from.replica.store().full_state(), Naive(from.model)); break;
    case 2: {
      const Context part = selection(gen, from.replica.store().context());
      take(nodes_[to], from.replica.store().slice(part),
           from.model.only(inside(from.model.known(), part)));
      break;
    }
    case 3: catch_up(gen, from, nodes_[to], 1 + gen.index(4)); break;
    case 4: restore(to, gen); break;
    default: write(nodes_[to], gen);
  }
  compare(nodes_[to]);
}

void World::write(Node& node, Gen& gen) {
  const auto now_ms =
      gen.one_in(16) ? gen.pick(odd_times) : static_cast<std::int64_t>(gen.below(3));
  const Note note{gen.pick(names), std::to_string(sent_.size()), now_ms};
  if (gen.one_in(12)) {
    Naive news;
    news.removed = node.model.alive_by(node.replica.author());
    return went(node, node.replica.clear(), std::move(news));
  }
  kind_ == Kind::set ? write_set(node, gen, note) : write_map(node, gen, note);
}

void World::write_set(Node& node, Gen& gen, const Note& note) {
  Naive news;
  const auto choice = gen.below(4);
  if (choice == 0) {
    news.removed = node.model.alive(note.name);
    return went(node, node.replica.remove(note.name), std::move(news));
  }
  if (choice == 1) {
    const std::string& old_text = gen.pick(names);
    news.removed = node.model.alive(old_text);
    return went(node, node.replica.revise(old_text, note), std::move(news));
  }
  for (const Dot& dot : node.model.alive(note.name)) {
    if (node.model.writes.at(dot).author == node.replica.author()) news.removed.insert(dot);
  }
  went(node, node.replica.add(note), std::move(news));
}

void World::write_map(Node& node, Gen& gen, const Note& note) {
  Naive news;
  news.removed = node.model.alive(note.name);
  const Delta delta = gen.below(4) == 0 ? node.replica.erase(note) : node.replica.put(note);
  const loam::Hlc stamp = loam::decode_map_record(delta.live.begin()->second).stamp;
  for (const Dot& dot : news.removed) {
    expect(node.model.writes.at(dot).stamp < stamp, "a stamp is not above one that was seen");
  }
  went(node, delta, std::move(news));
}

// A replica has written: the model hears of the same write under the same dot.
void World::went(Node& node, Delta delta, Naive news) {
  for (const auto& [dot, record] : delta.live) {
    expect(!node.model.known().contains(dot), "a dot is issued twice");
    news.writes.emplace(dot, read_back(kind_, record, node.replica.author()));
  }
  expect(delta.context == context_of(news.known()), "a delta accounts for other dots");
  node.model.merge(news);
  sent_.push_back({std::move(delta), std::move(news)});
}

void World::take(Node& node, const Delta& delta, const Naive& news) {
  const Naive before = node.model;
  const loam::Applied applied = node.replica.receive(delta);
  node.model.merge(news);
  const std::set<Dot> born = without(node.model.alive(), before.alive());
  const std::set<Dot> died = without(before.alive(), node.model.alive());
  std::set<Dot> changed = without(node.model.known(), before.known());
  changed.insert(died.begin(), died.end());
  expect(applied.equivocated.empty(), "a dot has two contents");
  expect(applied.inserted == born.size(), "the join reports another number of inserted records");
  expect(applied.dropped == died.size(), "the join reports another number of dropped records");
  expect(applied.changed == context_of(changed), "the join reports other changed dots");
}

void World::catch_up(Gen& gen, const Node& from, Node& to, std::size_t dots) {
  const std::vector<Context> pieces = pieces_of(from.replica.store().context(), dots);
  const std::vector<Delta> deltas = rules_.chunks(from.replica.store(), pieces);
  std::vector<Message> chunks;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    chunks.push_back({deltas[i], from.model.only(inside(from.model.known(), pieces[i]))});
  }
  chunks = gen.shuffled(std::move(chunks));
  if (gen.one_in(3)) chunks.resize(gen.index(chunks.size() + 1));  // the link breaks
  for (const Message& chunk : chunks) take(to, chunk.delta, chunk.news);
}

void World::restore(std::size_t index, Gen& gen) {
  Node& node = nodes_[index];
  std::optional<Node>& backup = backups_[index];
  if (!backup || gen.coin()) {
    backup = node;
    return;
  }
  node.replica.restore(backup->replica);
  node.model = backup->model;
  if (rules_.new_actor_after_restore) node.replica.restart();
}

void World::settle() {
  Gen in_order{loam::BytesView()};
  for (int round = 0; round < 2; ++round) {
    for (const Node& from : nodes_) {
      for (Node& to : nodes_) catch_up(in_order, Node(from), to, all_dots);
    }
  }
  for (const Node& node : nodes_) compare(node);
  const MemoryStore& first = store(0);
  for (const Node& node : nodes_) {
    const MemoryStore& other = node.replica.store();
    expect(other.canonical() == first.canonical(), "settled replicas differ");
    expect(other.roots() == first.roots(), "settled replicas have different roots");
    for (const std::string& name : names) {
      expect(rules_.winner(node.replica, name) == rules_.winner(nodes_[0].replica, name),
             "settled replicas read different values");
    }
  }
}

Context World::selection(Gen& gen, const Context& context) {
  Context selected;
  for (const auto& [actor, ranges] : context) {
    if (gen.one_in(3)) continue;
    const std::uint64_t first = gen.between(1, ranges.highest());
    selected.insert(actor, loam::Range{first, gen.between(first, ranges.highest() + 1)});
  }
  return selected;
}

void World::compare(const Node& node) {
  expect(node.replica.store().context() == context_of(node.model.known()), "other dots are known");
  compare_records(node);
  compare_names(node);
}

void World::compare_records(const Node& node) {
  const auto& live = node.replica.store().live();
  const std::set<Dot> alive = node.model.alive();
  expect(live.size() == alive.size(), "another number of records is live");
  for (const auto& [dot, record] : live) {
    if (!alive.contains(dot)) return expect(false, "a dead record is live");
    const NaiveWrite& write = node.model.writes.at(dot);
    expect(read_back(kind_, record, write.author) == write, "a record differs");
  }
}

void World::compare_names(const Node& node) {
  for (const std::string& name : names) {
    const std::set<Dot> alive = node.model.alive(name);
    expect(node.replica.dots(name) == std::vector<Dot>(alive.begin(), alive.end()),
           "a name has other dots");
    if (kind_ == Kind::set) continue;
    const loam::Register held = node.replica.store().read(name);
    std::vector<Dot> ranked;
    if (held.winner) ranked.push_back(held.winner->dot);
    for (const loam::Assignment& sibling : held.siblings) ranked.push_back(sibling.dot);
    expect(ranked == node.model.ranked(name), "a register ranks its assignments otherwise");
    const std::optional<Dot> winner = rules_.winner(node.replica, name);
    expect(winner.has_value() == !ranked.empty() && (!winner || *winner == ranked.front()),
           "a reader takes another value");
  }
}

void World::expect(bool holds, const char* what) {
  if (!holds && failure_.empty()) failure_ = what;
}

std::string lock_step(Gen& gen, Kind kind, const Rules& rules) {
  World world(kind, rules);
  for (int left = steps_max; left > 0 && world.failure().empty(); --left) world.step(gen);
  if (world.failure().empty()) world.settle();
  return world.failure();
}

}  // namespace test
