// Replicas that speak another version of the wire, until they are upgraded or the others are.
#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "tests/sim/world.hpp"

namespace loam::sim {
namespace {

bool is_hello(const Bytes& frame) {
  try {
    return std::holds_alternative<Hello>(decode_frame(frame));
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

// The program is exchanged, and starts anew.
void World::change_version(Replica& replica) {
  if (replica.is_hostile) return;
  end_all(replica);
  replica.is_ahead = !replica.is_ahead;
  if (!replica.is_ahead) trace_.met("a replica was upgraded");
  trace_.line("r" + std::to_string(replica.index) +
              (replica.is_ahead ? " speaks another version" : " speaks as all do"));
  (void)reopened(replica);
}

// Of whoever is ahead only the hello differs: it names a later version alone, and says something
// that is not known here. To whoever is ahead, everybody else speaks only what is too old.
Bytes World::as_it_is_heard(const Link& link, int side, Bytes frame) const {
  if (!link.is_skewed || !is_hello(frame)) return frame;
  Value value = decode(frame);
  Array& hello = std::get<Array>(value.data);
  const bool hears_old = replicas_[link.ends[static_cast<std::size_t>(side)].replica]->is_ahead;
  const std::uint64_t version = hears_old ? wire_version_min - 1 : wire_version + 1;
  hello.at(1) = hello.at(2) = Value(static_cast<std::int64_t>(version));
  if (!hears_old) hello.emplace_back("something new");
  return encode(value);
}

// Nobody without a common version is talked to: the first hello ends the link, and says why.
void World::check_skewed(const Link& link, int side, const Bytes& heard) {
  const End& end = link.ends[static_cast<std::size_t>(side)];
  trace_.expect(!end.session->report().peer, "a peer of another version was accepted");
  if (!is_hello(heard) || is_tainted()) return;
  trace_.met("a peer spoke another version");
  const bool is_refused =
      end.close && end.close->code == 1002 && end.close->reason.starts_with("incompatible");
  trace_.expect(is_refused, "a peer of another version was not refused as such");
}

}  // namespace loam::sim
