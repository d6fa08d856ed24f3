#include "lib/lmdb_page_map.hpp"

#include <algorithm>

#include "lib/lmdb_page.hpp"

namespace loam::lmdb {

PageMap::PageMap(std::uint64_t pages, std::uint64_t in_file)
    : pages_(pages), used_(std::min(pages, in_file)), free_(used_.size()) {}

void PageMap::use(format::PageNumber first, std::uint64_t count) {
  if (first < format::first_page || first >= pages_ || count > pages_ - first) {
    throw PageFault("stands outside");
  }
  if (first + count > used_.size()) throw PageFault("stands beyond the end of the file");
  for (format::PageNumber page = first; page < first + count; ++page) {
    if (used_[page]) throw PageFault("is used twice");
    if (free_[page]) throw PageFault("is used, and listed as free");
    used_[page] = true;
  }
  used_count_ += count;
}

void PageMap::list_free(format::PageNumber page) {
  const std::string what = "lists page " + std::to_string(page) + " as free, which is ";
  if (page < format::first_page || page >= pages_) throw PageFault(what + "outside");
  const bool is_inside = page < used_.size();
  if (is_inside && used_[page]) throw PageFault(what + "used");
  const bool is_new = is_inside ? !free_[page] : free_beyond_.insert(page).second;
  if (!is_new) throw PageFault(what + "so already");
  if (is_inside) free_[page] = true;
  ++free_count_;
}

}  // namespace loam::lmdb
