#include "lib/lmdb_file.hpp"

#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "crdt/error.hpp"
#include "lib/lmdb_check.hpp"
#include "lib/lmdb_page.hpp"
#include "lib/lmdb_state.hpp"

namespace loam::lmdb {
namespace {

[[noreturn]] void damaged(const std::filesystem::path& file, const std::string& why) {
  throw Error(ErrorCode::damaged, file.string() + ": " + why);
}

[[noreturn]] void too_short(const std::filesystem::path& file, std::uint64_t size,
                            const std::string& who, const std::string& needed) {
  damaged(file, std::to_string(size) + " octets, its " + who + " " + needed);
}

std::uint64_t size_of(int file, const std::filesystem::path& path) {
  struct stat status {};
  if (fstat(file, &status) != 0) throw_errno(errno, path.string() + ": cannot look at it");
  return static_cast<std::uint64_t>(status.st_size);
}

Bytes read_meta_octets(int file, const std::filesystem::path& path, std::uint64_t offset) {
  Bytes page(sizeof(format::MetaPage));
  const auto got = pread(file, page.data(), page.size(), static_cast<off_t>(offset));
  if (got < 0) throw_errno(errno, path.string() + ": cannot read a meta page");
  page.resize(static_cast<std::size_t>(got));
  return page;
}

format::MetaPage read_meta(int file, const std::filesystem::path& path,
                           std::uint64_t offset) {
  const Bytes page = read_meta_octets(file, path, offset);
  if (page.size() < sizeof(format::MetaPage)) {
    too_short(path, size_of(file, path), "two meta pages", "need more");
  }
  try {
    return parse_meta(page);
  } catch (const PageFault& fault) {
    damaged(path, fault.what());
  }
}

// A file that ends before its last page: sound when nothing but free pages are missing. It is made
// longer then, which fallocate does without taking away what another process writes meanwhile;
// where that is not possible it stays short, and is looked at again.
void check_short_file(const std::filesystem::path& path, std::uint64_t size, std::uint64_t needed) {
  const CheckReport report = check_still_file(path, {.values = false, .findings_max = 1});
  if (!report.is_sound()) {
    too_short(path, size, "meta page",
              "needs " + std::to_string(needed) + "; " + report.findings.at(0).text);
  }
  const Descriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() >= 0) make_longer(file.number(), needed);
}

DataFile check_once(const std::filesystem::path& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot open it");
  const format::MetaPage first = read_meta(file.number(), path, 0);
  const format::MetaPage second = read_meta(file.number(), path, first.free.page_octets);
  if (first.free.page_octets != second.free.page_octets) {
    damaged(path, "its meta pages disagree about the page size");
  }
  const format::MetaPage& newer = second.transaction > first.transaction ? second : first;
  try {
    check_roots(newer);
  } catch (const PageFault& fault) {
    damaged(path, fault.what());
  }
  // The size is asked for last: a live writer extends the file before it writes a meta page.
  const std::uint64_t size = size_of(file.number(), path);
  const std::uint64_t page = newer.free.page_octets;
  if (newer.last_page >= size / page) check_short_file(path, size, (newer.last_page + 1) * page);
  return {newer.map_octets, newer.transaction};
}

// Removes what LMDB made in a directory, and the directory.
struct Scratch {
  // The paths are made here: the end must not need memory.
  explicit Scratch(std::filesystem::path path)
      : dir(std::move(path)), data(dir / "data.mdb"), lock(dir / "lock.mdb") {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    (void)unlink(data.c_str());
    (void)unlink(lock.c_str());
    (void)rmdir(dir.c_str());
  }

  std::filesystem::path dir;
  std::filesystem::path data;
  std::filesystem::path lock;
};

void make_empty_environment(const std::filesystem::path& dir, std::uint64_t map_octets) {
  MDB_env* env = nullptr;
  make_lock_file(dir);
  int code = mdb_env_create(&env);
  if (code == 0) code = mdb_env_set_mapsize(env, map_octets);
  if (code == 0) code = mdb_env_open(env, dir.c_str(), MDB_NOTLS, 0600);
  if (env != nullptr) mdb_env_close(env);
  if (code != 0) raise(code, dir.string() + ": cannot make an environment");
}

}  // namespace

// LMDB makes it sparse, maps it and writes through the map: on a full disk that ends the process. A
// file that is there keeps its size, which other processes rely on.
void make_lock_file(const std::filesystem::path& dir) {
  const auto path = dir / "lock.mdb";
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot open it");
  const std::uint64_t size = size_of(file.number(), path);
  const auto octets = static_cast<off_t>(size == 0 ? lock_file_octets : size);
  const int code = posix_fallocate(file.number(), 0, octets);
  if (code != 0 && code != EOPNOTSUPP && code != EINVAL) {
    throw_errno(code, path.string() + ": cannot keep room for it");
  }
}

void make_longer(int file, std::uint64_t octets) noexcept {
  struct stat status {};
  if (fstat(file, &status) != 0) return;
  const auto wanted = static_cast<off_t>(octets);
  if (status.st_size >= wanted) return;
  (void)fallocate(file, 0, status.st_size, wanted - status.st_size);
}

void forget_cached(const std::filesystem::path& file) noexcept {
  const Descriptor open_file(open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (open_file.number() < 0) return;
  (void)posix_fadvise(open_file.number(), 0, 0, POSIX_FADV_DONTNEED);
}

bool rewrite_meta_pages(int file, const std::filesystem::path& path, std::uint64_t page_octets,
                        std::uint64_t newest) {
  // LMDB takes the meta page of a transaction by its number, and looks at no other.
  if (read_meta(file, path, (newest % 2) * page_octets).transaction != newest) return false;
  for (const std::uint64_t offset : {std::uint64_t{0}, page_octets}) {
    const Bytes page = read_meta_octets(file, path, offset);
    const auto written = pwrite(file, page.data(), page.size(), static_cast<off_t>(offset));
    if (written == static_cast<ssize_t>(page.size())) continue;
    throw_errno(written < 0 ? errno : ENOSPC, path.string() + ": cannot write a meta page");
  }
  if (fdatasync(file) != 0) throw_errno(errno, path.string() + ": cannot sync it");
  return true;
}

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
  const Scratch scratch(aside);
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
