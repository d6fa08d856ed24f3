#include "lib/watch.hpp"

#include <algorithm>

#include "crdt/error.hpp"

namespace loam {
namespace {

constexpr std::size_t page_dots = 1'024;

}  // namespace

Watch::Watch(const Core& core, const StoreSource& source, std::vector<std::string> segments,
             std::function<void(const Change&)> callback)
    : core_(core), source_(source), callback_(std::move(callback)) {
  for (const std::string& name : segments.empty() ? source.segments() : segments) {
    const Segment& segment = core.segments.find(name);
    if (segment.scope != Scope::shared) {
      throw Error(ErrorCode::invalid, "watch: segment " + segment.name + " is private");
    }
    const SegmentState state = source.state(segment.name);
    positions_[segment.name] = {state.journal, state.head};
  }
}

void Watch::notify() {
  for (auto& [segment, position] : positions_) {
    SegmentState state = source_.state(segment);
    while (position.journal == state.journal && position.sequence < state.head) {
      if (position.sequence < state.floor) break;
      // Nothing is excluded: no entry's origin is this store itself.
      const JournalPage page =
          source_.journal(segment, position.sequence, core_.shared.id(), page_dots);
      position.sequence = page.upto;
      tell(change_of(segment, page.changed));
      if (ended_) return;
      state = source_.state(segment);
    }
    if (position == Position{state.journal, state.head}) continue;
    position = {state.journal, state.head};  // the journal was cut: what was missed is not known
    tell(Change{segment, {}, 0});
    if (ended_) return;
  }
}

void Watch::tell(const Change& change) const {
  try {
    callback_(change);
  } catch (const std::exception& error) {
    core_.log(LogLevel::error, std::string("watch: ") + error.what());
  }
}

Change Watch::change_of(const std::string& segment, const Context& changed) const {
  const SegmentNumber number = core_.shared.number(segment);
  const Kind kind = core_.segments.find(segment).kind;
  return core_.shared.read([&](const SharedReader& reader) {
    Change change{segment, {}, 0};
    std::uint64_t live = 0;
    for (const auto& [actor, ranges] : changed) {
      const auto index = reader.actor_index(actor);
      if (!index) continue;
      for (const Range& range : ranges) {
        for (const auto& found : reader.live_in(number, *index, range)) {
          ++live;
          const auto row = reader.sound_record(found.row.sequence);
          if (!row) continue;
          change.ids.push_back(kind == Kind::set ? row->element.text()
                                                 : decode_map_record(row->record).key);
        }
      }
    }
    change.removed = changed.count() - live;
    std::sort(change.ids.begin(), change.ids.end());
    change.ids.erase(std::unique(change.ids.begin(), change.ids.end()), change.ids.end());
    return change;
  });
}

}  // namespace loam
