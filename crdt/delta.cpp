#include "crdt/delta.hpp"

#include "crdt/error.hpp"

namespace loam {

void check_delta(Kind kind, const Delta& delta) {
  for (const auto& [actor, ranges] : delta.context) {
    if (ranges.highest() > counter_max) {
      throw Error(ErrorCode::invalid, "delta: counter " + std::to_string(ranges.highest()) +
                                          " of actor " + actor.text() + " is out of range");
    }
  }
  for (const auto& [dot, record] : delta.live) {
    if (!delta.context.contains(dot)) {
      throw Error(ErrorCode::invalid, "delta: live dot " + std::to_string(dot.counter) + " of " +
                                          dot.actor.text() + " is outside its context");
    }
    check_record(kind, record);
  }
}

}  // namespace loam
