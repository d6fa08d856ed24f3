// A Session that hears frames of a real conversation, whole, changed, out of order, and frames that
// nobody would send, while its store changes and time passes. It answers everything, never throws,
// and ends in a Close at most once; what it applies keeps its store sound.
#include "tests/fuzz/require.hpp"
#include "tests/transport/any_frame.hpp"
#include "tests/transport/script.hpp"

namespace {

using loam::Action;
using test::Gen;
using test::Net;
using test::Peer;
using test::operator""s;

constexpr int events_max = 128;

/// Votes by what the store in memory has: so an answer may become another one when something is committed.
class MemoryVoting final : public loam::Voting {
 public:
  explicit MemoryVoting(const Peer& peer) : peer_(peer) {}

  loam::VoteMoment look(const loam::VoteFrame& question) const override {
    test::require(!question.is_withdrawal(), "a withdrawal is voted on");
    std::uint64_t records = question.number;
    for (const std::string& segment : peer_.segments()) records += peer_.store(segment).live().size();
    return {question.view, records % 4 != 0, loam::all_of(records % 4 == 1 ? question.states : std::vector<loam::SaidDigest>()), records % 4 != 2};
  }

 private:
  const Peer& peer_;
};

/// Two peers with something to add, to remove and to ask on both sides.
struct Peers {
  Peer own{1, 1, test::two_segments};
  Peer other{2, 2, test::two_segments};

  Peers() {
    for (int i = 0; i < 4; ++i) own.add("lessons", "own " + std::to_string(i));
    Net net;
    net.connect(own, other, {.once = {true, false}});
    net.pass(1s);
    own.become(test::actor_of(1, 50));
    other.remove("lessons", "own 1");
    own.remove("lessons", "own 2");
    own.put("registry", "key", "own");
    for (int i = 0; i < 3; ++i) other.add("lessons", "other " + std::to_string(i));
    own.drop_journal("lessons", test::journal_id_of(70));
    other.truncate("lessons", other.state("lessons").head);
  }
};

const Peers& peers() {
  static const Peers made;
  return made;
}

constexpr loam::SessionLimits small_limits{.window_octets = 500,
                                           .burst_octets = 200,
                                           .chunk_octets = 100,
                                           .chunk_records = 2,
                                           .part_octets = 60,
                                           .part_actors = 2,
                                           .journal_page_dots = 2,
                                           .frame_sets = 1,
                                           .listed_actors = 1,
                                           .first_cells = 3,
                                           .many_actors = 1,
                                           .set_counters = 2,
                                           .frame_ranges = 2};

/// How a conversation is held: the frames of one are good in no other.
struct Manner {
  bool dials = false;
  bool is_small = false;

  loam::SessionLimits limits() const { return is_small ? small_limits : loam::SessionLimits{}; }
  auto operator<=>(const Manner&) const = default;
};

/// The frames that the other side sends in a whole conversation.
const std::vector<loam::Bytes>& real_frames(const Manner& manner) {
  static std::map<Manner, std::vector<loam::Bytes>> known;
  const auto [at, is_new] = known.try_emplace(manner);
  if (!is_new) return at->second;
  Peers made = peers();
  Net net;
  net.connect(manner.dials ? made.own : made.other, manner.dials ? made.other : made.own,
              {.limits = manner.limits()});
  net.pass(40s);
  for (const test::Sent& sent : net.sent()) {
    if (sent.from == (manner.dials ? 1 : 0)) at->second.push_back(sent.bytes);
  }
  return at->second;
}

class Conversation {
 public:
  explicit Conversation(Gen& gen)
      : gen_(gen),
        own_(peers().own),
        manner_{.dials = gen.coin(), .is_small = gen.coin()},
        frames_(real_frames(manner_)),
        session_(make()) {
    perform(session_.connected(now_));
  }

  void run() {
    if (!gen_.one_in(8)) hear_next();  // the hello
    for (int left = events_max; left > 0 && !gen_.exhausted(); --left) event();
    while (!applies_.empty()) commit();
    perform(session_.leave("the end", now_));
    test::require(closed_, "a session has left and not closed");
    check_store();
  }

 private:
  loam::Session make() {
    loam::SessionConfig config;
    config.role = manner_.dials ? loam::Role::dialler : loam::Role::listener;
    config.once = gen_.one_in(4);
    config.hello = Net::hello_of(own_, manner_.dials ? 0 : 1);
    config.limits = manner_.limits();
    config.voting = &voting_;
    return loam::Session(std::move(config), own_);
  }

  void event() {
    switch (gen_.below(8)) {
      case 0: return commit();
      case 1: now_ += loam::Time(gen_.below(20'000)); return perform(session_.woke(now_));
      case 2:
        own_.add("lessons", "more " + std::to_string(now_.count()));
        return perform(session_.changed(now_));
      case 3: return hear(changed(gen_.pick(frames_)));
      case 4: return hear_or_ask(near(test::any_frame(gen_)));
      case 5: return hear(gen_.pick(frames_));
      default: return hear_next();
    }
  }

  void hear_next() {
    if (next_ < frames_.size()) hear(frames_[next_++]);
  }

  /// Some questions are our own.
  void hear_or_ask(const loam::Frame& frame) {
    const auto* question = std::get_if<loam::VoteFrame>(&frame);
    if (question != nullptr && question->call % 4 == 0) return perform(session_.ask(*question, now_));
    hear(loam::encode_frame(frame));
  }

  /// The frame about a segment and an actor that exist, and of one of few calls.
  loam::Frame near(loam::Frame frame) {
    std::visit(
        [&](auto& item) {
          if constexpr (requires { item.index; }) item.index = gen_.below(3);
          if constexpr (requires { item.actor; }) item.actor = test::actor_of(1, 1);
          if constexpr (requires { item.call; }) item.call %= 128;
        },
        frame);
    return frame;
  }

  loam::Bytes changed(loam::Bytes frame) {
    frame[gen_.index(frame.size())] = static_cast<std::byte>(gen_.below(256));
    if (gen_.one_in(4)) frame.resize(gen_.index(frame.size() + 1));
    return frame;
  }

  void hear(const loam::Bytes& frame) { perform(session_.received(frame, now_)); }

  void commit() {
    if (applies_.empty()) return;
    const loam::Apply change = std::move(applies_.front());
    applies_.erase(applies_.begin());
    perform(session_.applied(own_.apply(change, peers().other.id()), now_));
    perform(session_.changed(now_));
  }

  void perform(std::vector<Action> actions) {
    test::require(!closed_ || actions.empty(), "a closed session goes on");
    for (Action& action : actions) {
      test::require(!closed_, "something follows a close");
      if (auto* apply = std::get_if<loam::Apply>(&action)) applies_.push_back(std::move(*apply));
      if (std::holds_alternative<loam::Close>(action)) closed_ = true;
      if (const auto* send = std::get_if<loam::Send>(&action)) {
        test::require(loam::encode_frame(loam::decode_frame(send->frame)) == send->frame,
                      "a session sends what it would not read");
      }
    }
    (void)session_.report();
  }

  void check_store() const {
    for (const std::string& segment : own_.segments()) {
      const loam::MemoryStore& store = own_.store(segment);
      for (const auto& [dot, record] : store.live()) {
        test::require(store.context().contains(dot), "a live record outside the context");
        loam::check_record(store.kind(), record);
      }
    }
  }

  Gen& gen_;
  Peer own_;
  MemoryVoting voting_{own_};
  Manner manner_;
  const std::vector<loam::Bytes>& frames_;
  loam::Session session_;
  loam::Time now_{};
  std::vector<loam::Apply> applies_;
  std::size_t next_ = 0;  ///< of the frames in their order
  bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Gen gen{loam::BytesView{reinterpret_cast<const std::byte*>(data), size}};
  Conversation(gen).run();
  return 0;
}
