#pragma once

#include "tests/transport/catch_up.hpp"

namespace test {

template <class Type>
std::size_t count(const Net& net, std::size_t link) {
  return net.frames<Type>(link, 0).size() + net.frames<Type>(link, 1).size();
}

inline std::size_t count(const Net& net, std::size_t link, loam::LiveFrame::Form form) {
  std::size_t found = 0;
  for (const int side : {0, 1}) {
    for (const loam::LiveFrame& frame : net.frames<loam::LiveFrame>(link, side)) {
      found += frame.form == form;
    }
  }
  return found;
}

inline void sync_without_journal(Net& net, Peer& left, Peer& right) {
  sync(net, left, right);
  for (Peer* each : {&left, &right}) each->truncate(lessons, each->state(lessons).head);
}

/// Writes one record under each of so many actors.
inline void write_as(Peer& to, unsigned first, unsigned actors) {
  for (unsigned i = first; i < first + actors; ++i) {
    to.become({loam::hash128("test many", {loam::bytes_of(std::to_string(i))})});
    to.add(lessons, "by " + std::to_string(i));
  }
}

}  // namespace test
