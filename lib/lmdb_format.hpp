#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// The data file of LMDB 0.9 (mdb.c: MDB_page, MDB_meta, MDB_db, MDB_node), in the byte order of
/// the host. Plain data; what is read into it is not yet believed.
namespace loam::lmdb::format {

using PageNumber = std::uint64_t;

inline constexpr std::uint32_t magic = 0xBEEFC0DE;
inline constexpr std::uint32_t version = 1;
inline constexpr PageNumber no_page = ~PageNumber{0};
inline constexpr PageNumber first_page = 2;  ///< before it stand the two meta pages
inline constexpr PageNumber last_page_max = (PageNumber{1} << 47) - 1;  ///< of 64 KiB: 2^63 octets
inline constexpr std::uint32_t page_octets_min = 512;
inline constexpr std::uint32_t page_octets_max = 65'536;
inline constexpr std::size_t key_octets_max = 511;
inline constexpr std::uint16_t depth_max = 32;

/// The one entry of the main tree that is no table: our own.
inline constexpr std::string_view settle_key = "settled";

/// A B+ tree of pages.
struct Tree {
  std::uint32_t page_octets;  ///< of the free tree: the page size of the file
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  PageNumber root;
};
static_assert(sizeof(Tree) == 48);

/// Flags of a tree.
inline constexpr std::uint16_t integer_keys = 0x08;

/// The head of every page.
struct PageHead {
  PageNumber number;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint16_t lower;  ///< of a branch or a leaf: where its free room begins,
  std::uint16_t
      upper;  ///< and where it ends. Of an overflow: both together the number of its pages
};
static_assert(sizeof(PageHead) == 16);

/// Flags of a page: exactly one of them.
inline constexpr std::uint16_t branch_page = 0x01;
inline constexpr std::uint16_t leaf_page = 0x02;
inline constexpr std::uint16_t overflow_page = 0x04;
inline constexpr std::uint16_t meta_page = 0x08;

struct MetaPage {
  PageNumber number;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint32_t bounds;
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_octets;
  Tree free;
  Tree main;
  PageNumber last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(MetaPage) == 152 && sizeof(std::size_t) == 8);

/// The head of a node; its key follows, then its data.
struct NodeHead {
  std::uint16_t low;  ///< with `high`: the size of the data of a leaf's node; of a branch's the low
  std::uint16_t high;  ///< parts of its child's page number, of which `flags` is the highest
  std::uint16_t flags;
  std::uint16_t key_octets;
};
static_assert(sizeof(NodeHead) == 8);

/// Flags of a leaf's node.
inline constexpr std::uint16_t in_overflow = 0x01;  ///< its data is a page number
inline constexpr std::uint16_t is_tree = 0x02;      ///< its data is a Tree: a table of that name

}  // namespace loam::lmdb::format
