#include "bench/records.hpp"

#include "crdt/codec.hpp"
#include "transport/frame.hpp"

namespace bench {
namespace {

constexpr std::size_t chunk_octets = 60'000;

template <class Id>
Id id_of(std::uint64_t number) {
  Id id;
  for (std::size_t i = 0; i < 8; ++i) id.bytes[8 + i] = static_cast<std::byte>(number >> (8 * i));
  id.bytes[0] = std::byte{1};
  return id;
}

}  // namespace

loam::ActorId actor_of(std::uint64_t number) { return id_of<loam::ActorId>(number); }
loam::InstanceId instance_of(std::uint64_t number) { return id_of<loam::InstanceId>(number); }

loam::Bytes content_of(const Corpus& corpus, std::uint64_t index) {
  const loam::PacketEnvelope packet = corpus.packet(index);
  return loam::encode(loam::Map{{"payload", packet.payload}, {"type", packet.packet_type}});
}

loam::Bytes meta_of(const Corpus& corpus, std::uint64_t index) {
  const loam::PacketEnvelope packet = corpus.packet(index);
  loam::Array tags;
  for (const std::string& tag : packet.tags) tags.emplace_back(tag);
  return loam::encode(loam::Map{{"at", made_ms}, {"metadata", packet.metadata}, {"tags", std::move(tags)}});
}

loam::Bytes set_record(const Corpus& corpus, std::uint64_t index) {
  return loam::encode(loam::SetRecord{loam::Hlc::at_ms(made_ms), content_of(corpus, index), meta_of(corpus, index)});
}

loam::Bytes map_record(std::uint64_t time, const std::string& key, const std::string& text) {
  return loam::encode(loam::MapRecord{loam::Hlc{time}, key, loam::encode(loam::Value(text))});
}

loam::Delta delta_of(const loam::Dot& dot, loam::Bytes record) {
  loam::Delta delta;
  delta.context.insert(dot);
  delta.live.emplace(dot, std::move(record));
  return delta;
}

std::vector<loam::Bytes> frames_of(const loam::Delta& state, const loam::Authors& authors) {
  std::vector<loam::Bytes> frames;
  loam::DeltaFrame frame;
  std::size_t octets = 0;
  const auto end = [&] {
    if (frame.delta.empty()) return;
    frames.push_back(loam::encode_frame(frame));
    frame = {};
    octets = 0;
  };
  for (const auto& [dot, record] : state.live) {
    frame.delta.context.insert(dot);
    frame.delta.live.emplace(dot, record);
    frame.authors.emplace(dot.actor, authors.at(dot.actor));
    octets += record.size();
    if (octets > chunk_octets) end();
  }
  end();
  return frames;
}

}  // namespace bench
