#include "lib/identity.hpp"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "crdt/error.hpp"
#include "lib/descriptor.hpp"

namespace loam {
namespace {

// The file: this line, then the seed as one line of hexadecimal digits.
constexpr std::string_view header = "loam ed25519 seed 1\n";
constexpr std::size_t seed_digits = 2 * crypto_sign_SEEDBYTES;
constexpr std::size_t file_octets = header.size() + seed_digits + 1;
constexpr unsigned others = S_IRWXG | S_IRWXO;

[[noreturn]] void deny(const std::filesystem::path& path, const std::string& why) {
  throw Error(ErrorCode::denied, path.string() + ": " + why);
}

void start_sodium() {
  if (sodium_init() < 0) throw Error(ErrorCode::failed, "libsodium: cannot start");
}

/// Octets that are wiped when they go. One thread at a time.
template <std::size_t size>
struct Secret {
  std::array<unsigned char, size> octets{};
  Secret() = default;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { sodium_memzero(octets.data(), size); }

  char* text() { return reinterpret_cast<char*>(octets.data()); }
  const char* text() const { return reinterpret_cast<const char*>(octets.data()); }
};

using Seed = Secret<crypto_sign_SEEDBYTES>;
using KeyFile = Secret<file_octets + 1>;  // one more, to see that a file is too long

InstanceKey key_of(const Seed& seed) {
  SigningKey signing(seed.octets);
  const PublicKey& key = signing.public_key();
  return {key.text(), instance_of(key), std::move(signing)};
}

std::filesystem::path key_path(const std::filesystem::path& dir) { return dir / "identity.key"; }

void check_key_file(const Descriptor& file, const std::filesystem::path& path) {
  struct stat status {};
  if (fstat(file.number(), &status) != 0) throw_errno(errno, path.string() + ": cannot look at it");
  if (!S_ISREG(status.st_mode)) deny(path, "not a file");
  if (status.st_uid != geteuid()) deny(path, "owned by somebody else");
  if ((status.st_mode & others) != 0) deny(path, "others have access to it; it must be mode 0600");
}

std::size_t read_all(const Descriptor& file, const std::filesystem::path& path, KeyFile& into) {
  std::size_t size = 0;
  while (size < into.octets.size()) {
    const auto got = read(file.number(), into.octets.data() + size, into.octets.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno(errno, path.string() + ": cannot read it");
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return size;
}

void write_all(const Descriptor& file, const std::filesystem::path& path, const KeyFile& from) {
  std::size_t done = 0;
  while (done < file_octets) {
    const auto put = write(file.number(), from.octets.data() + done, file_octets - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw_errno(errno, path.string() + ": cannot write it");
    done += static_cast<std::size_t>(put);
  }
}

bool parse(const KeyFile& file, std::size_t size, Seed& seed) {
  if (size != file_octets || std::memcmp(file.text(), header.data(), header.size()) != 0)
    return false;
  if (file.text()[file_octets - 1] != '\n') return false;
  std::size_t length = 0;
  const int code =
      sodium_hex2bin(seed.octets.data(), seed.octets.size(), file.text() + header.size(),
                     seed_digits, nullptr, &length, nullptr);
  return code == 0 && length == seed.octets.size();
}

void format(const Seed& seed, KeyFile& file) {
  Secret<seed_digits + 1> digits;
  sodium_bin2hex(digits.text(), digits.octets.size(), seed.octets.data(), seed.octets.size());
  std::memcpy(file.text(), header.data(), header.size());
  std::memcpy(file.text() + header.size(), digits.text(), seed_digits);
  file.text()[file_octets - 1] = '\n';
}

// A file beside the final one, gone unless it was linked into place.
struct Aside {
  std::string path;
  ~Aside() { (void)unlink(path.c_str()); }
};

}  // namespace

InstanceKey load_instance_key(const std::filesystem::path& dir) {
  start_sodium();
  const auto path = key_path(dir);
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (file.number() < 0) {
    if (errno == ENOENT) throw Error(ErrorCode::not_found, path.string() + ": no instance here");
    if (errno == ELOOP) deny(path, "a symlink");
    throw_errno(errno, path.string() + ": cannot open it");
  }
  check_key_file(file, path);
  KeyFile content;
  Seed seed;
  if (!parse(content, read_all(file, path, content), seed)) {
    throw Error(ErrorCode::damaged, path.string() + ": not a key file");
  }
  return key_of(seed);
}

InstanceKey make_instance_key(const std::filesystem::path& dir) {
  start_sodium();
  Seed seed;
  randombytes_buf(seed.octets.data(), seed.octets.size());
  KeyFile content;
  format(seed, content);

  // Written whole and durable before it has its name: a crash leaves a key or none, never half of
  // one.
  const auto path = key_path(dir);
  Aside aside{path.string() + ".XXXXXX"};
  const Descriptor file(mkostemp(aside.path.data(), O_CLOEXEC));  // O_EXCL, 0600
  if (file.number() < 0) throw_errno(errno, path.string() + ": cannot make it");
  if (fchmod(file.number(), S_IRUSR | S_IWUSR) != 0)
    throw_errno(errno, path.string() + ": cannot make it");
  write_all(file, path, content);
  sync(file, path);
  if (link(aside.path.c_str(), path.c_str()) != 0) {
    if (errno == EEXIST) throw Error(ErrorCode::failed, path.string() + ": there is one already");
    throw_errno(errno, path.string() + ": cannot make it");
  }
  sync_directory(dir);
  return key_of(seed);
}

std::string_view network_file_system(std::uint32_t type) noexcept {
  // linux/magic.h and statfs(2); memory maps and locks of these do not keep LMDB's promises.
  constexpr std::uint32_t nfs = 0x6969;
  constexpr std::uint32_t smb = 0x517B;
  constexpr std::uint32_t smb2 = 0xFE534D42;
  constexpr std::uint32_t cifs = 0xFF534D42;
  constexpr std::uint32_t fuse = 0x65735546;  // sshfs among them; which one it is cannot be seen
  constexpr std::uint32_t plan9 = 0x01021997;
  constexpr std::uint32_t afs = 0x5346414F;
  constexpr std::uint32_t kernel_afs = 0x6B414653;
  constexpr std::uint32_t coda = 0x73757245;
  constexpr std::uint32_t ceph = 0x00C36400;
  constexpr std::uint32_t lustre = 0x0BD00BD0;
  switch (type) {
    case nfs: return "NFS";
    case smb:
    case smb2:
    case cifs: return "SMB";
    case fuse: return "FUSE";
    case plan9: return "9P";
    case afs:
    case kernel_afs: return "AFS";
    case coda: return "Coda";
    case ceph: return "Ceph";
    case lustre: return "Lustre";
    default: return {};
  }
}

void secure_directory(const std::filesystem::path& dir) {
  if (dir.empty()) throw Error(ErrorCode::failed, "directory: no name given");
  // "link/" would be looked at through the link.
  const auto path = dir.has_filename() ? dir : dir.parent_path();
  if (const auto parent = path.parent_path(); !parent.empty()) {
    std::error_code code;
    std::filesystem::create_directories(parent, code);
    if (code) throw_errno(code.value(), parent.string() + ": cannot make it");
  }
  const bool is_new = mkdir(path.c_str(), S_IRWXU) == 0;
  if (!is_new && errno != EEXIST) throw_errno(errno, path.string() + ": cannot make it");
  struct stat status {};
  if (lstat(path.c_str(), &status) != 0) throw_errno(errno, path.string() + ": cannot look at it");
  if (S_ISLNK(status.st_mode)) deny(path, "a symlink");
  if (!S_ISDIR(status.st_mode)) throw_errno(ENOTDIR, path.string() + ": cannot use it");
  if (status.st_uid != geteuid()) deny(path, "owned by somebody else");
  if ((status.st_mode & others) != 0) deny(path, "others have access to it; make it mode 0700");
  struct statfs system {};
  if (statfs(path.c_str(), &system) != 0)
    throw_errno(errno, path.string() + ": cannot look at its file system");
  const auto network = network_file_system(static_cast<std::uint32_t>(system.f_type));
  if (!network.empty()) {
    deny(path, "on a " + std::string(network) + " file system; use a directory on a local disk");
  }
  if (is_new) sync_directory(std::filesystem::absolute(path).parent_path());
}

}  // namespace loam
