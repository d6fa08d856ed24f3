#pragma once

#include <cstdint>

#include "bench/corpus.hpp"
#include "crdt/delta.hpp"
#include "crdt/record.hpp"

namespace bench {

/// The time of every record that is made here, so that results are the same every time.
inline constexpr std::int64_t made_ms = 1'700'000'000'000;

/// An actor and an instance of that number.
loam::ActorId actor_of(std::uint64_t number);
loam::InstanceId instance_of(std::uint64_t number);

/// The federation of all instances that are made here.

/// The parts of the record of an index.
loam::Bytes content_of(const Corpus& corpus, std::uint64_t index);
loam::Bytes meta_of(const Corpus& corpus, std::uint64_t index);

/// The encoded record that a packet of the corpus becomes in a set segment.
loam::Bytes set_record(const Corpus& corpus, std::uint64_t index);

/// An encoded assignment.
loam::Bytes map_record(std::uint64_t time, const std::string& key, const std::string& text);

/// One dot with its record.
loam::Delta delta_of(const loam::Dot& dot, loam::Bytes record);

/// A state as the frames that would carry it: chunks of at most 64 KiB, each with what it claims.
std::vector<loam::Bytes> frames_of(const loam::Delta& state, const loam::Authors& authors);

}  // namespace bench
