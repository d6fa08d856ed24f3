#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crdt/name.hpp"
#include "crdt/record.hpp"

namespace loam {

/// Whether a segment is replicated or stays in this instance.
enum class Scope : std::uint8_t { shared = 0, priv = 1 };

std::string_view scope_name(Scope scope) noexcept;  ///< "shared" or "private"
std::string_view kind_name(Kind kind) noexcept;     ///< "set" or "map"

/// Whether this replica alone answers, or a majority of the voters has to agree.
enum class Consistency : std::uint8_t { eventual = 0, strong = 1 };

std::string_view consistency_name(Consistency consistency) noexcept;  ///< "eventual" or "strong"

/// A named part of memory. Scope and kind decide everything that happens to it.
struct Segment {
  std::string name;
  Scope scope = Scope::priv;
  Kind kind = Kind::set;
  bool governed = false;
  Consistency consistency = Consistency::eventual;  ///< of calls that say nothing else

  bool operator==(const Segment&) const = default;
};

/// Greatest number of segments that one instance may declare, the built-in ones included.
inline constexpr std::size_t segments_max = 256;

/// Every segment of one instance: the ten built-in ones and those of the configuration.
/// Immutable after construction; safe to read from any thread.
class SegmentTable {
 public:
  /// The built-in ten.
  SegmentTable();

  /// The built-in ten and further ones. Throws Error(invalid) for a bad name, a name declared twice,
  /// or a governed segment that is not a shared map; Error(limit) beyond `segments_max`. `strong`: those of strong
  /// consistency; Error(unknown_segment), Error(invalid) for a private one.
  explicit SegmentTable(const std::vector<Segment>& declared, const std::vector<std::string>& strong = {});

  /// The segment of that name; hyphens count as underscores. Throws Error(unknown_segment).
  const Segment& find(std::string_view name) const;

  /// All segments: the registry first, then by name.
  const std::vector<Segment>& all() const noexcept { return segments_; }

 private:
  std::vector<Segment> segments_;
};

}  // namespace loam
