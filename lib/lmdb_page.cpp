#include "lib/lmdb_page.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace loam::lmdb {
namespace {

using format::NodeHead;
using format::PageHead;

template <class Plain>
Plain read(const std::byte* at) noexcept {
  Plain value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

PageHead read_head(BytesView octets, format::PageNumber number) {
  const auto head = read<PageHead>(octets.data());
  if (head.number != number) {
    throw PageFault("says that it is page " + std::to_string(head.number));
  }
  return head;
}

struct Extent {
  std::size_t first;
  std::size_t end;
};

void check_apart(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end(),
            [](const Extent& left, const Extent& right) { return left.first < right.first; });
  for (std::size_t i = 1; i < extents.size(); ++i) {
    if (extents[i].first < extents[i - 1].end) throw PageFault("two of its nodes overlap");
  }
}

Node read_node(BytesView octets, std::size_t at, PageKind kind, Extent& extent) {
  const auto head = read<NodeHead>(octets.data() + at);
  const std::size_t key_at = at + sizeof(NodeHead);
  if (octets.size() - key_at < head.key_octets) throw PageFault("a key ends outside");
  Node node;
  node.key = octets.subspan(key_at, head.key_octets);
  const std::size_t data_at = key_at + head.key_octets;
  extent = {at, data_at};
  const std::uint64_t low = head.low | (std::uint64_t{head.high} << 16U);
  if (kind == PageKind::branch) {
    node.child = low | (std::uint64_t{head.flags} << 32U);
    return node;
  }
  node.flags = head.flags;
  node.data_octets = low;
  const bool is_outside = (head.flags & format::in_overflow) != 0;
  const std::size_t inside = is_outside ? sizeof(format::PageNumber) : low;
  if (octets.size() - data_at < inside) throw PageFault("a value ends outside");
  extent.end += inside;
  if (is_outside) {
    node.child = read<format::PageNumber>(octets.data() + data_at);
  } else {
    node.data = octets.subspan(data_at, inside);
  }
  return node;
}

// The first key of a branch is never looked at.
void check_keys(const Page& page, KeyOrder order) {
  const std::size_t first = page.kind == PageKind::branch ? 1 : 0;
  for (std::size_t i = first; i < page.nodes.size(); ++i) {
    const BytesView key = page.nodes[i].key;
    const bool has_size = order == KeyOrder::integers
                              ? key.size() == sizeof(std::uint64_t)
                              : !key.empty() && key.size() <= format::key_octets_max;
    if (!has_size) throw PageFault("a key has " + std::to_string(key.size()) + " octets");
    if (i > first && !is_before(page.nodes[i - 1].key, key, order)) {
      throw PageFault("its keys do not ascend");
    }
  }
}

bool is_inside(const format::Tree& tree, format::PageNumber last_page) {
  return tree.root == format::no_page ||
         (tree.root >= format::first_page && tree.root <= last_page);
}

}  // namespace

format::MetaPage parse_meta(BytesView octets) {
  if (octets.size() < sizeof(format::MetaPage)) throw PageFault("a meta page is cut");
  const auto page = read<format::MetaPage>(octets.data());
  if (page.magic != format::magic) throw PageFault("no LMDB file");
  if (page.version != format::version) {
    throw PageFault("LMDB format " + std::to_string(page.version) + ", this build reads format 1");
  }
  const auto size = page.free.page_octets;
  const bool is_sound = (page.flags & format::meta_page) != 0 && std::has_single_bit(size) &&
                        size >= format::page_octets_min && size <= format::page_octets_max &&
                        page.last_page >= 1 && page.last_page <= format::last_page_max &&
                        page.free.flags == format::integer_keys && page.main.flags == 0;
  if (!is_sound) throw PageFault("a meta page does not make sense");
  return page;
}

void check_roots(const format::MetaPage& meta) {
  if (!is_inside(meta.free, meta.last_page) || !is_inside(meta.main, meta.last_page)) {
    throw PageFault("its meta page points outside");
  }
}

bool is_before(BytesView left, BytesView right, KeyOrder order) noexcept {
  if (order == KeyOrder::integers) {
    return read<std::uint64_t>(left.data()) < read<std::uint64_t>(right.data());
  }
  const int sign = std::memcmp(left.data(), right.data(), std::min(left.size(), right.size()));
  return sign != 0 ? sign < 0 : left.size() < right.size();
}

Page parse_page(BytesView octets, format::PageNumber number, KeyOrder order) {
  const PageHead head = read_head(octets, number);
  Page page;
  if (head.flags == format::branch_page) {
    page.kind = PageKind::branch;
  } else if (head.flags != format::leaf_page) {
    throw PageFault("is neither branch nor leaf: flags " + std::to_string(head.flags));
  }
  const bool has_bounds = head.lower >= sizeof(PageHead) && head.lower % 2 == 0 &&
                          head.lower <= head.upper && head.upper <= octets.size();
  if (!has_bounds) throw PageFault("its bounds do not make sense");
  const std::size_t count = (head.lower - sizeof(PageHead)) / 2;
  const std::size_t least = page.kind == PageKind::branch && order == KeyOrder::octets ? 2 : 1;
  if (count < least) throw PageFault("has " + std::to_string(count) + " nodes");
  std::vector<Extent> extents(count);
  page.nodes.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = read<std::uint16_t>(octets.data() + sizeof(PageHead) + 2 * i);
    if (at < head.upper || at % 2 != 0 || at + sizeof(NodeHead) > octets.size()) {
      throw PageFault("a node begins outside");
    }
    page.nodes.push_back(read_node(octets, at, page.kind, extents[i]));
  }
  check_apart(std::move(extents));
  check_keys(page, order);
  return page;
}

std::uint64_t parse_overflow(BytesView octets, format::PageNumber number, std::uint64_t data_octets,
                             std::size_t page_octets) {
  const PageHead head = read_head(octets, number);
  if (head.flags != format::overflow_page) {
    throw PageFault("is no overflow page: flags " + std::to_string(head.flags));
  }
  const std::uint64_t pages = head.lower | (std::uint64_t{head.upper} << 16U);
  const std::uint64_t needed = (sizeof(PageHead) - 1 + data_octets) / page_octets + 1;
  if (pages < needed) {
    throw PageFault("begins an overflow of " + std::to_string(pages) + " pages, its value needs " +
                    std::to_string(needed));
  }
  return pages;
}

}  // namespace loam::lmdb
