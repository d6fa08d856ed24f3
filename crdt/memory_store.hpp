#pragma once

#include <set>

#include "crdt/join.hpp"
#include "crdt/lww.hpp"

namespace loam {

/// One shared segment in memory: the second implementation of the dot store, which the tests hold
/// against the LMDB store, and the replica of the simulations. Copyable; not shared between threads.
class MemoryStore final : public DotStore {
 public:
  MemoryStore(std::string segment, Kind kind) : segment_(std::move(segment)), kind_(kind) {}

  RangeSet covered(const ActorId& actor) const override;
  std::vector<LiveDot> live_in(const ActorId& actor, Range range) const override;
  void insert(const Dot& dot, BytesView record, const ContentHash& content) override;
  void drop(const Dot& dot) override;
  void replace(const Dot& dot, BytesView record, const ContentHash& content) override;
  void keep_aside(const Dot& dot, BytesView record) override;
  void cover(const ActorId& actor, const RangeSet& ranges) override;

  const std::string& segment() const noexcept { return segment_; }
  Kind kind() const noexcept { return kind_; }
  const Context& context() const noexcept { return context_; }
  const std::map<Dot, Bytes>& live() const noexcept { return live_; }
  const Roots& roots() const noexcept { return roots_; }

  /// Contents that dots had besides the live one. Not part of the state: replicas with equal states may
  /// have met different ones.
  const std::map<Dot, std::set<Bytes>>& aside() const noexcept { return aside_; }

  /// Live dots of an element of a set segment; empty when there are none.
  std::vector<Dot> dots_of(const ElementId& element) const;

  /// Live dots of a key of a map segment; empty when there are none.
  std::vector<Dot> dots_of(std::string_view key) const;

  Register read(std::string_view key) const;

  /// The whole state as one delta.
  Delta full_state() const { return {context_, live_}; }

  /// The slice of the state that a context selects: always a valid delta.
  Delta slice(const Context& selected) const;

  /// The canonical encoding of the whole state: equal states have equal bytes.
  Bytes canonical() const;

  bool operator==(const MemoryStore& other) const noexcept;

 private:
  void index(const Dot& dot, BytesView record, bool is_live);

  std::string segment_;
  Kind kind_;
  Context context_;
  std::map<Dot, Bytes> live_;
  std::map<ElementId, std::set<Dot>> elements_;
  std::map<std::string, std::set<Dot>, std::less<>> keys_;
  Roots roots_;
  std::map<Dot, std::set<Bytes>> aside_;
};

}  // namespace loam
