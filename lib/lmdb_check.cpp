#include "lib/lmdb_check.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "crdt/big_endian.hpp"
#include "lib/descriptor.hpp"
#include "lib/lmdb_checksum.hpp"
#include "lib/lmdb_page.hpp"
#include "lib/lmdb_page_map.hpp"

namespace loam::lmdb {
namespace {

using format::MetaPage;
using format::PageHead;
using format::PageNumber;
using format::Tree;

constexpr std::uint64_t progress_pages = 4'096;
constexpr std::size_t chunk_octets = std::size_t{1} << 20;
constexpr std::size_t each_octets_max = std::size_t{16} << 20;

enum class Role { free, main, table };

/// One check of one file.
class Check {
 public:
  Check(const Descriptor& file, const CheckOptions& options) : file_(file), options_(options) {}

  /// Whether the state that was asked for is there.
  bool run() {
    try {
      if (!choose_meta()) return false;
    } catch (const PageFault& fault) {
      find({Severity::structure, {}, 0, {}, fault.what()});
      return true;
    }
    walk("free list", meta_.free, Role::free);
    walk("tables", meta_.main, Role::main);
    for (const auto& [name, tree] : std::map(tables_)) walk(name, tree, Role::table);
    look_beyond();
    report_.used = map_.used_pages();
    if (options_.progress) options_.progress(report_.pages, report_.pages);
    return true;
  }

  CheckReport report() && { return std::move(report_); }

 private:
  struct Counted {
    std::uint64_t branch_pages = 0;
    std::uint64_t leaf_pages = 0;
    std::uint64_t overflow_pages = 0;
    std::uint64_t entries = 0;
  };

  /// The tree that is being walked.
  struct Walk {
    std::string name;
    Role role = Role::table;
    Counted counted;
    bool is_faulty = false;
    KeyOrder order() const { return role == Role::free ? KeyOrder::integers : KeyOrder::octets; }
  };

  /// The keys of a subtree: not less than `low`, less than `high`; absent: no bound.
  struct Bounds {
    std::optional<BytesView> low;
    std::optional<BytesView> high;
  };

  void find(Finding finding) {
    ++(finding.severity == Severity::structure ? report_.structure_faults : report_.value_faults);
    if (report_.findings.size() < options_.findings_max) {
      report_.findings.push_back(std::move(finding));
    }
  }

  void fault(Walk& walk, PageNumber page, const std::string& text) {
    walk.is_faulty = true;
    find({Severity::structure, walk.name, page, {}, "page " + std::to_string(page) + " " + text});
  }

  // ------------------------------------------------------------ reading

  void read(std::uint64_t offset, std::span<std::byte> into) const {
    std::size_t done = 0;
    while (done < into.size()) {
      const auto got = ::pread(file_.number(), into.data() + done, into.size() - done,
                               static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw PageFault(std::string("cannot be read: ") + std::strerror(errno));
      if (got == 0) throw PageFault("stands beyond the end of the file");
      done += static_cast<std::size_t>(got);
    }
  }

  Bytes read_page(PageNumber number) const {
    Bytes octets(page_octets_);
    read(number * page_octets_, octets);
    return octets;
  }

  // Hands the data of a leaf's node out, in parts of whole words.
  template <class Take>
  void read_data(const Node& node, Take&& take) const {
    if ((node.flags & format::in_overflow) == 0) return take(node.data);
    Bytes part(std::min<std::uint64_t>(node.data_octets, chunk_octets));
    const std::uint64_t begin = node.child * page_octets_ + sizeof(PageHead);
    for (std::uint64_t at = 0; at < node.data_octets; at += part.size()) {
      part.resize(std::min<std::uint64_t>(node.data_octets - at, chunk_octets));
      read(begin + at, part);
      take(BytesView(part));
    }
  }

  // ------------------------------------------------------------ the meta pages

  MetaPage read_meta(std::uint64_t offset) const {
    Bytes octets(sizeof(MetaPage));
    read(offset, octets);
    return parse_meta(octets);
  }

  bool choose_meta() {
    const MetaPage first = read_meta(0);
    const MetaPage second = read_meta(first.free.page_octets);
    if (first.free.page_octets != second.free.page_octets) {
      throw PageFault("its meta pages disagree about the page size");
    }
    meta_ = second.transaction > first.transaction ? second : first;
    if (options_.transaction && meta_.transaction != *options_.transaction) {
      meta_ = second.transaction > first.transaction ? first : second;
      if (meta_.transaction != *options_.transaction) return false;
    }
    check_roots(meta_);
    check_turns(first.transaction, second.transaction);
    page_octets_ = meta_.free.page_octets;
    struct stat status {};
    if (::fstat(file_.number(), &status) != 0) throw PageFault("cannot be looked at");
    report_.pages_in_file = static_cast<std::uint64_t>(status.st_size) / page_octets_;
    report_.transaction = meta_.transaction;
    report_.page_octets = page_octets_;
    report_.pages = meta_.last_page + 1;
    map_ = PageMap(report_.pages, report_.pages_in_file);
    return true;
  }

  // Transactions take turns at the meta pages and are numbered without a gap. A gap is a commit
  // that was acknowledged and is not there.
  void check_turns(std::uint64_t even, std::uint64_t odd) {
    if (options_.transaction) return;  // a writer may be at it
    const bool is_new = even == 0 && odd == 0;
    const bool turns = even % 2 == 0 && odd % 2 == 1 && (even + 1 == odd || odd + 1 == even);
    if (is_new || turns) return;
    find({Severity::structure,
          {},
          0,
          {},
          "the meta pages name the transactions " + std::to_string(even) + " and " +
              std::to_string(odd) + ", which no two commits in a row have"});
  }

  // ------------------------------------------------------------ pages

  void claim(PageNumber first, std::uint64_t count) {
    const std::uint64_t before = map_.used();
    map_.use(first, count);
    const bool is_time = map_.used() / progress_pages != before / progress_pages;
    if (options_.progress && is_time) options_.progress(map_.used(), report_.pages);
  }

  // A file may end early, but only before pages that are free.
  void look_beyond() {
    report_.pages_used = map_.used();
    report_.pages_free = map_.free();
    report_.pages_free_beyond = map_.free_beyond();
    if (!report_.is_sound() || report_.pages <= report_.pages_in_file) return;
    const std::uint64_t missing = report_.pages - report_.pages_in_file;
    if (missing == report_.pages_free_beyond) return;
    find({Severity::structure,
          {},
          report_.pages_in_file,
          {},
          "the file ends " + std::to_string(missing) + " pages early, of which " +
              std::to_string(report_.pages_free_beyond) + " are free"});
  }

  // ------------------------------------------------------------ trees

  void walk(const std::string& name, const Tree& tree, Role role) {
    Walk walk{name, role, {}, false};
    if (tree.root == format::no_page) {
      if (tree.depth != 0) fault(walk, 0, "has a table without a root and with a depth");
    } else if (tree.depth == 0 || tree.depth > format::depth_max) {
      fault(walk, tree.root, "is the root of a tree of depth " + std::to_string(tree.depth));
    } else {
      visit(walk, tree.root, tree.depth, {});
    }
    if (walk.is_faulty) return;
    const Counted& counted = walk.counted;
    const bool agrees =
        counted.branch_pages == tree.branch_pages && counted.leaf_pages == tree.leaf_pages &&
        counted.overflow_pages == tree.overflow_pages && counted.entries == tree.entries;
    if (!agrees) {
      fault(walk, tree.root,
            "is the root of " + std::to_string(counted.entries) + " entries, " +
                std::to_string(tree.entries) + " are told, or of other pages than are told");
      return;
    }
    report_.entries[name] = counted.entries;
  }

  void visit(Walk& walk, PageNumber number, unsigned depth, const Bounds& bounds) {
    try {
      claim(number, 1);
      const Bytes octets = read_page(number);
      const Page page = parse_page(octets, number, walk.order());
      if ((page.kind == PageKind::leaf) != (depth == 1)) throw PageFault("stands at a wrong depth");
      check_bounds(walk, page, bounds);
      page.kind == PageKind::leaf ? visit_leaf(walk, number, page)
                                  : visit_branch(walk, page, depth, bounds);
    } catch (const PageFault& found) {
      fault(walk, number, found.what());
    }
  }

  static void check_bounds(const Walk& walk, const Page& page, const Bounds& bounds) {
    const std::size_t first = page.kind == PageKind::branch ? 1 : 0;
    if (first >= page.nodes.size()) return;
    if (bounds.low && is_before(page.nodes[first].key, *bounds.low, walk.order())) {
      throw PageFault("has a key below what its parent promises");
    }
    if (bounds.high && !is_before(page.nodes.back().key, *bounds.high, walk.order())) {
      throw PageFault("has a key beyond what its parent promises");
    }
  }

  void visit_branch(Walk& walk, const Page& page, unsigned depth, const Bounds& bounds) {
    ++walk.counted.branch_pages;
    for (std::size_t i = 0; i < page.nodes.size(); ++i) {
      Bounds inner = bounds;
      if (i > 0) inner.low = page.nodes[i].key;
      if (i + 1 < page.nodes.size()) inner.high = page.nodes[i + 1].key;
      visit(walk, page.nodes[i].child, depth - 1, inner);
    }
  }

  void visit_leaf(Walk& walk, PageNumber number, const Page& page) {
    ++walk.counted.leaf_pages;
    walk.counted.entries += page.nodes.size();
    for (const Node& node : page.nodes) {
      try {
        const std::uint16_t allowed =
            walk.role == Role::main ? format::is_tree : format::in_overflow;
        if ((node.flags & ~allowed) != 0) {
          throw PageFault("has a node with flags " + std::to_string(node.flags));
        }
        if ((node.flags & format::in_overflow) != 0) claim_overflow(walk, node);
        visit_node(walk, number, node);
      } catch (const PageFault& found) {
        fault(walk, number, found.what());
      }
    }
  }

  void claim_overflow(Walk& walk, const Node& node) {
    try {
      claim(node.child, 1);
      Bytes head(sizeof(PageHead));
      read(node.child * page_octets_, head);
      const std::uint64_t pages = parse_overflow(head, node.child, node.data_octets, page_octets_);
      if (pages > 1) claim(node.child + 1, pages - 1);
      walk.counted.overflow_pages += pages;
    } catch (const PageFault& found) {
      throw PageFault("has a value in page " + std::to_string(node.child) + ", which " +
                      found.what());
    }
  }

  void visit_node(Walk& walk, PageNumber number, const Node& node) {
    switch (walk.role) {
      case Role::free: return visit_free_list(node);
      case Role::main: return visit_table(node);
      case Role::table:
        if (options_.values) visit_value(walk, number, node);
    }
  }

  void visit_free_list(const Node& node) {
    std::uint64_t by = 0;
    std::memcpy(&by, node.key.data(), sizeof by);
    if (by == 0 || by > meta_.transaction) {
      throw PageFault("lists pages freed by transaction " + std::to_string(by));
    }
    if (node.data_octets < 8 || node.data_octets % 8 != 0) {
      throw PageFault("has a free list of " + std::to_string(node.data_octets) + " octets");
    }
    std::optional<std::uint64_t> left;
    PageNumber before = format::no_page;
    read_data(node, [&](BytesView part) {
      for (std::size_t at = 0; at < part.size(); at += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, part.data() + at, sizeof word);
        if (!left) {
          left = word;
          if (word > node.data_octets / 8 - 1) throw PageFault("has a free list that is cut");
        } else if (*left > 0) {
          if (word >= before) throw PageFault("has a free list out of order");
          map_.list_free(before = word);
          --*left;
        }
      }
    });
  }

  void visit_table(const Node& node) {
    if (node.flags == 0) {
      if (text_of(node.key) != format::settle_key) throw PageFault("has an entry that is no table");
      return;
    }
    Tree tree{};
    if (node.data.size() != sizeof tree) throw PageFault("has a table that does not make sense");
    std::memcpy(&tree, node.data.data(), sizeof tree);
    if (tree.flags != 0) throw PageFault("has a table with flags " + std::to_string(tree.flags));
    tables_.emplace(std::string(text_of(node.key)), tree);
  }

  void visit_value(Walk& walk, PageNumber number, const Node& node) {
    if (options_.each && node.data_octets <= each_octets_max) return hand_out(walk, number, node);
    if (!has_checksum(node)) {
      find({Severity::value, walk.name, number, copy_of(node.key),
            entry_name(node.key) + ": its checksum does not match"});
    }
  }

  void hand_out(Walk& walk, PageNumber number, const Node& node) {
    Bytes value;
    read_data(node, [&](BytesView part) { value.insert(value.end(), part.begin(), part.end()); });
    const BytesView whole(value);
    const bool is_sound = whole.size() >= checksum_octets &&
                          load_u32(whole.last(checksum_octets).data()) ==
                              checksum(node.key, whole.first(whole.size() - checksum_octets));
    if (is_sound) {
      options_.each(walk.name, node.key, whole.first(whole.size() - checksum_octets));
    } else {
      find({Severity::value, walk.name, number, copy_of(node.key),
            entry_name(node.key) + ": its checksum does not match"});
    }
  }

  // The last four octets may be spread over two parts.
  bool has_checksum(const Node& node) const {
    if (node.data_octets < checksum_octets) return false;
    Checksum sum(node.key);
    std::uint64_t left = node.data_octets - checksum_octets;
    std::uint32_t stored = 0;
    read_data(node, [&](BytesView part) {
      const BytesView value = part.first(std::min<std::uint64_t>(left, part.size()));
      sum.add(value);
      left -= value.size();
      for (const std::byte octet : part.subspan(value.size())) {
        stored = (stored << 8U) | std::to_integer<std::uint32_t>(octet);
      }
    });
    return stored == sum.value();
  }

  const Descriptor& file_;
  const CheckOptions& options_;
  CheckReport report_;
  MetaPage meta_{};
  std::uint64_t page_octets_ = 0;
  PageMap map_{0, 0};
  std::map<std::string, Tree> tables_;
};

}  // namespace

std::optional<CheckReport> check_file(const std::filesystem::path& path,
                                      const CheckOptions& options) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot open it");
  Check check(file, options);
  if (!check.run()) return std::nullopt;
  return std::move(check).report();
}

CheckReport check_still_file(const std::filesystem::path& path, CheckOptions options) {
  options.transaction.reset();
  return *check_file(path, options);
}

}  // namespace loam::lmdb
