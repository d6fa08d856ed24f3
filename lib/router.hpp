#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "crdt/id.hpp"
#include "lib/segment.hpp"

namespace loam {

/// What somebody wants to do with a segment.
enum class Operation { read, write, remove };

/// Throws Error(invalid) unless the text is `read`, `write` or `remove`.
Operation operation_of(std::string_view text);

enum class TargetKind { shared_replica, private_store };

std::string_view target_name(TargetKind kind) noexcept;  ///< "shared_replica" or "private_store"

/// Where an operation is carried out.
struct TargetBackend {
  TargetKind kind = TargetKind::private_store;
  std::string segment;
  std::string instance;  ///< the name of the instance whose backend it is

  bool operator==(const TargetBackend&) const = default;
};

/// What an instance may do with a shared segment, as the registry says.
struct RouteRights {
  bool read = false;
  bool write = false;  ///< and remove
};

/// Who asks, and whose backend it is about. Both are names of instances.
struct RouteParties {
  std::string owner;   ///< the instance that holds this memory
  std::string caller;  ///< the instance that asks; equal to the owner for local callers
  std::optional<RouteRights> rights = std::nullopt;  ///< the caller's; absent: no registry says anything
};

/// Where an operation on a segment goes. Pure, no I/O. Private segments are for their owner only; a
/// shared segment is read by those who may read it, and its own replica by everyone; it is written here by the
/// owner, if it may (others write to their own replica). Throws Error(unknown_segment), Error(denied) without
/// telling whether data exists.
TargetBackend route_memory_operation(const SegmentTable& segments, Operation operation,
                                     std::string_view segment, const RouteParties& parties);

}  // namespace loam
