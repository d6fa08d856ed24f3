#pragma once

#include <set>
#include <vector>

#include "lib/lmdb_format.hpp"

namespace loam::lmdb {

/// Which pages of a file are used, and which are listed as free: two bits a page.
class PageMap {
 public:
  /// Of a state that spans `pages` pages, in a file that has `in_file`: it may end early.
  PageMap(std::uint64_t pages, std::uint64_t in_file);

  /// Enters pages that a tree uses. Throws PageFault unless they are in the file and were not met
  /// before.
  void use(format::PageNumber first, std::uint64_t count);

  /// Enters a page that the free list names. It may stand beyond the end of the file: LMDB does not
  /// write a page that was new and free again in one transaction. Throws PageFault.
  void list_free(format::PageNumber page);

  /// By page, those in the file.
  const std::vector<bool>& used_pages() const noexcept { return used_; }

  std::uint64_t used() const noexcept { return used_count_; }
  std::uint64_t free() const noexcept { return free_count_; }
  std::uint64_t free_beyond() const noexcept { return free_beyond_.size(); }

 private:
  std::uint64_t pages_;
  std::vector<bool> used_;
  std::vector<bool> free_;
  std::set<format::PageNumber> free_beyond_;
  std::uint64_t used_count_ = 0;
  std::uint64_t free_count_ = 0;
};

}  // namespace loam::lmdb
