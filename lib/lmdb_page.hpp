#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "crdt/bytes.hpp"
#include "lib/lmdb_format.hpp"

namespace loam::lmdb {

/// Why a page cannot be what it is meant to be.
struct PageFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A node of a branch or a leaf, inside its page. Views into the page.
struct Node {
  BytesView key;
  format::PageNumber child = 0;   ///< of a branch; or of a leaf whose data stands in overflow pages
  std::uint64_t data_octets = 0;  ///< of a leaf
  std::uint16_t flags = 0;        ///< of a leaf
  BytesView data;                 ///< of a leaf, unless it stands in overflow pages
};

enum class PageKind { branch, leaf };

/// A branch or leaf page taken apart.
struct Page {
  PageKind kind = PageKind::leaf;
  std::vector<Node> nodes;
};

/// How a tree orders its keys.
enum class KeyOrder { octets, integers };

/// Takes one of the two meta pages apart: magic, version, page size, roots. Throws PageFault.
format::MetaPage parse_meta(BytesView octets);

/// Throws PageFault unless the trees begin inside the file. To be asked of the newer meta page
/// only: when a disk refuses one, LMDB puts the number of the older transaction back, and leaves
/// the new roots.
void check_roots(const format::MetaPage& meta);

/// Takes a page apart: number, flags, bounds, every node inside the page and beside the others,
/// keys of a legal size in ascending order. Throws PageFault.
Page parse_page(BytesView octets, format::PageNumber number, KeyOrder order);

/// How many pages the overflow that begins with `head` has. Throws PageFault unless it is one of
/// that number that can hold so many octets.
std::uint64_t parse_overflow(BytesView head, format::PageNumber number, std::uint64_t data_octets,
                             std::size_t page_octets);

/// Whether the left key stands before the right one.
bool is_before(BytesView left, BytesView right, KeyOrder order) noexcept;

}  // namespace loam::lmdb
