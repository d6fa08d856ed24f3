#include "lib/lmdb_file.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "crdt/error.hpp"
#include "lib/lmdb_state.hpp"

namespace loam::lmdb {
namespace {

// The meta page of LMDB 0.9 (mdb.c: MDB_page, MDB_meta, MDB_db), in the byte order of the host.
struct Tree {
  std::uint32_t page_octets;  // of the first tree: the page size of the file
  std::uint16_t flags;
  std::uint16_t depth;
  std::uint64_t branch_pages;
  std::uint64_t leaf_pages;
  std::uint64_t overflow_pages;
  std::uint64_t entries;
  std::uint64_t root;
};
struct MetaPage {
  std::uint64_t number;
  std::uint16_t pad;
  std::uint16_t flags;
  std::uint32_t bounds;
  std::uint32_t magic;
  std::uint32_t version;
  std::uint64_t address;
  std::uint64_t map_octets;
  Tree free;
  Tree main;
  std::uint64_t last_page;
  std::uint64_t transaction;
};
static_assert(sizeof(MetaPage) == 152 && sizeof(std::size_t) == 8);

constexpr std::uint32_t magic = 0xBEEFC0DE;
constexpr std::uint32_t version = 1;
constexpr std::uint16_t meta_flag = 0x08;
constexpr std::uint64_t no_root = ~std::uint64_t{0};
constexpr std::uint32_t page_octets_min = 512;
constexpr std::uint32_t page_octets_max = 65'536;

[[noreturn]] void damaged(const std::filesystem::path& file, const std::string& why) {
  throw Error(ErrorCode::damaged, file.string() + ": " + why);
}

[[noreturn]] void too_short(const std::filesystem::path& file, std::uint64_t size,
                            const std::string& who, const std::string& needed) {
  damaged(file, std::to_string(size) + " octets, its " + who + " " + needed);
}

std::uint64_t size_of(const Descriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) throw_errno(errno, path.string() + ": cannot look at it");
  return static_cast<std::uint64_t>(status.st_size);
}

MetaPage read_meta(const Descriptor& file, const std::filesystem::path& path,
                   std::uint64_t offset) {
  MetaPage page{};
  const auto got = pread(file.number(), &page, sizeof page, static_cast<off_t>(offset));
  if (got < 0) throw_errno(errno, path.string() + ": cannot read a meta page");
  if (static_cast<std::size_t>(got) < sizeof page) {
    too_short(path, size_of(file, path), "two meta pages", "need more");
  }
  if (page.magic != magic) damaged(path, "no LMDB file");
  if (page.version != version) {
    damaged(path, "LMDB format " + std::to_string(page.version) + ", this build reads format 1");
  }
  const auto size = page.free.page_octets;
  const bool is_sound = (page.flags & meta_flag) != 0 && std::has_single_bit(size) &&
                        size >= page_octets_min && size <= page_octets_max && page.last_page >= 1;
  if (!is_sound) damaged(path, "a meta page does not make sense");
  return page;
}

bool is_inside(const Tree& tree, std::uint64_t last_page) {
  return tree.root == no_root || tree.root <= last_page;
}

DataFile check_once(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot open it");
  const MetaPage first = read_meta(file, path, 0);
  const MetaPage second = read_meta(file, path, first.free.page_octets);
  if (first.free.page_octets != second.free.page_octets) {
    damaged(path, "its meta pages disagree about the page size");
  }
  const MetaPage& newer = second.transaction > first.transaction ? second : first;
  if (!is_inside(newer.free, newer.last_page) || !is_inside(newer.main, newer.last_page)) {
    damaged(path, "its meta page points outside");
  }
  // The size is asked for last: a live writer extends the file before it writes a meta page.
  const std::uint64_t size = size_of(file, path);
  const std::uint64_t page = newer.free.page_octets;
  if (newer.last_page >= size / page) {
    too_short(path, size, "meta page",
              newer.last_page < (no_root / page) - 1
                  ? "needs " + std::to_string((newer.last_page + 1) * page)
                  : "needs more than there can be");
  }
  return {newer.map_octets};
}

// Removes what LMDB made in a directory, and the directory.
struct Scratch {
  std::filesystem::path dir;
  ~Scratch() {
    (void)unlink((dir / "data.mdb").c_str());
    (void)unlink((dir / "lock.mdb").c_str());
    (void)rmdir(dir.c_str());
  }
};

void make_empty_environment(const std::filesystem::path& dir, std::uint64_t map_octets) {
  MDB_env* env = nullptr;
  int code = mdb_env_create(&env);
  if (code == 0) code = mdb_env_set_mapsize(env, map_octets);
  if (code == 0) code = mdb_env_open(env, dir.c_str(), MDB_NOTLS, 0600);
  if (env != nullptr) mdb_env_close(env);
  if (code != 0) raise(code, dir.string() + ": cannot make an environment");
}

}  // namespace

Descriptor open_directory(const std::filesystem::path& dir, bool make) {
  if (make && mkdir(dir.c_str(), 0700) != 0 && errno != EEXIST) {
    throw_errno(errno, dir.string() + ": cannot make it");
  }
  Descriptor directory(open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (directory.number() < 0) {
    const int code = errno;
    // Linux says "not a directory" of a symlink to one.
    throw_errno(std::filesystem::is_symlink(dir) ? ELOOP : code, dir.string() + ": cannot open it");
  }
  return directory;
}

void make_data_file(const std::filesystem::path& dir, const Descriptor& directory,
                    std::uint64_t map_octets) {
  const auto target = dir / "data.mdb";
  struct stat status {};
  if (lstat(target.c_str(), &status) == 0) return;
  if (errno != ENOENT) throw_errno(errno, target.string() + ": cannot look at it");
  // The lock file is made after the data file, always: alone it means that data was taken away.
  if (lstat((dir / "lock.mdb").c_str(), &status) == 0) {
    damaged(target, "missing beside its lock file");
  }

  std::string aside = (dir / "new.XXXXXX").string();
  if (mkdtemp(aside.data()) == nullptr) throw_errno(errno, dir.string() + ": cannot write in it");
  const Scratch scratch{aside};
  make_empty_environment(scratch.dir, map_octets);
  const auto made = scratch.dir / "data.mdb";
  const Descriptor file(open(made.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() < 0) throw_errno(errno, made.string() + ": cannot open it");
  sync(file, made);
  // EEXIST: another process was faster, and its file is as good.
  if (link(made.c_str(), target.c_str()) != 0 && errno != EEXIST) {
    throw_errno(errno, target.string() + ": cannot make it");
  }
  sync(directory, dir);
  sync_directory(std::filesystem::absolute(dir).parent_path());
}

// An empty data file counts as damaged like any other short one: because new files are linked into
// place whole, no interrupted start leaves one, so it once held data that is gone.
DataFile check_data_file(const std::filesystem::path& dir) {
  const auto path = dir / "data.mdb";
  try {
    return check_once(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::damaged) throw;
  }
  // Another process may have been writing a meta page just then. Damage stays.
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  return check_once(path);
}

}  // namespace loam::lmdb
