#pragma once

#include <string>
#include <vector>

#include "lib/lmdb.hpp"

namespace loam {

/// The tables of the private environment, in the order in which it is opened.
namespace private_table {
inline constexpr lmdb::Table meta{0};
inline constexpr lmdb::Table segs{1};  // name → number, kind
inline constexpr lmdb::Table counts{2};
inline constexpr lmdb::Table rec{3};
inline constexpr lmdb::Table reg{4};
inline constexpr lmdb::Table packets{5};
inline constexpr lmdb::Table packet_log{6};
}  // namespace private_table

/// Their names in the file.
inline std::vector<std::string> private_table_names() {
  return {"meta", "segs", "counts", "rec", "reg", "packets", "packet_log"};
}

}  // namespace loam
