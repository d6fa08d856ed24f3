#include "lib/set_aside.hpp"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <ctime>
#include <map>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/content.hpp"
#include "lib/descriptor.hpp"
#include "lib/export_line.hpp"
#include "lib/lmdb_check.hpp"
#include "lib/rule_rows.hpp"
#include "lib/rows.hpp"

namespace loam {
namespace {

// 2026-01-31T120000Z: no colons, which some file systems do not take.
std::string time_name(std::int64_t now_ms) {
  const std::time_t seconds = now_ms / 1'000;
  std::tm parts{};
  (void)::gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H%M%SZ", &parts);
  return {text.data(), size};
}

/// A file of lines that is written whole or not at all.
class LineFile {
 public:
  explicit LineFile(std::filesystem::path path)
      : path_(std::move(path)),
        file_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)) {
    if (file_.number() < 0) throw_errno(errno, path_.string() + ": cannot make it");
  }

  void line(const std::string& text) {
    waiting_ += text;
    waiting_ += '\n';
    if (waiting_.size() > (std::size_t{1} << 20)) flush();
  }

  void close() {
    flush();
    sync(file_, path_);
  }

 private:
  void flush() {
    for (std::size_t done = 0; done < waiting_.size();) {
      const auto wrote = ::write(file_.number(), waiting_.data() + done, waiting_.size() - done);
      if (wrote < 0 && errno == EINTR) continue;
      if (wrote < 0) throw_errno(errno, path_.string() + ": cannot write it");
      done += static_cast<std::size_t>(wrote);
    }
    waiting_.clear();
  }

  std::filesystem::path path_;
  Descriptor file_;
  std::string waiting_;
};

/// What the small tables of a damaged file say: which segment and which author a number is.
struct Names {
  std::map<SegmentNumber, std::string> segments;
  std::map<ActorIndex, InstanceId> authors;
};

Names read_names(const std::filesystem::path& file, const std::string& store) {
  Names names;
  lmdb::CheckOptions options;
  options.each = [&](const std::string& table, BytesView key, BytesView value) {
    try {
      if (store == "private") {
        if (table == "segs" && value.size() == 3) {
          names.segments[load_u16(value.data())] = std::string(text_of(key));
        }
      } else if (table == "segs" && key.size() == 2) {
        names.segments[load_u16(key.data())] = decode_segment_row(value).name;
      } else if (table == "actors" && key.size() == 4) {
        names.authors[load_u32(key.data())] = decode_actor_row(value).author;
      }
    } catch (const Error&) {
    }
  };
  (void)lmdb::check_still_file(file, options);
  return names;
}

}  // namespace

int user_of(const std::filesystem::path& store) {
  const auto path = store / "lock.mdb";
  const Descriptor file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (file.number() < 0) return 0;
  // LMDB: whoever has the environment open holds a lock on the first octet.
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_len = 1;
  if (::fcntl(file.number(), F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

std::filesystem::path set_aside(const std::filesystem::path& dir, const std::string& store,
                                std::int64_t now_ms) {
  const auto from = dir / store;
  if (const int user = user_of(from); user != 0) {
    throw Error(ErrorCode::failed, from.string() + ": process " + std::to_string(user) +
                                       " has it open; stop it first");
  }
  const std::string base = store + ".damaged-" + time_name(now_ms);
  for (int attempt = 1; attempt < 1'000; ++attempt) {
    const auto to = dir / (attempt == 1 ? base : base + "-" + std::to_string(attempt));
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) {
      sync_directory(dir);
      return to;
    }
    if (errno != EEXIST) throw_errno(errno, from.string() + ": cannot be set aside");
  }
  throw Error(ErrorCode::failed, from.string() + ": no free name to set it aside under");
}

std::uint64_t salvage(const std::filesystem::path& data_file, const std::string& store,
                      const SegmentTable& segments, const std::string& author,
                      const std::filesystem::path& into) {
  const Names names = read_names(data_file, store);
  const bool is_private = store == "private";
  LineFile out(into);
  std::uint64_t count = 0;
  std::map<std::pair<std::string, std::string>, std::pair<Hlc, Entry>> newest;  // of what keeps its history
  const auto write = [&](SegmentNumber number, const std::string& id, BytesView record,
                         const std::string& by) {
    const auto name = names.segments.find(number);
    if (name == names.segments.end()) return;
    const Segment& segment = segments.find(name->second);
    if (segment.name == "instance_registry") return;  // a new store enters itself
    if (segment.kind == Kind::set) {
      check_record(Kind::set, record);
      const RecordSource source{by, {}, record};
      out.line(export_line(merge_record(segment.name, id, {&source, 1}), segment.scope));
    } else {
      const MapRecord entry = decode_map_record(record);
      std::optional<Value> value;
      if (entry.value) value = decode(*entry.value);
      if (entry.value && holds_rules(segment)) {
        if (auto assignment = decode_rule_assignment(*entry.value)) value = std::move(assignment->value);
      }
      // Whose rules these are, and whether they had the right to loosen, is not known here: who imports them would.
      if (segment.name == rules_segment && value && read_rule(*value).lifts()) return;
      Entry made{segment.name, entry.key, std::move(value), by, entry.stamp.ms()};
      if (segment.governed) {
        const auto [at, is_new] = newest.try_emplace({segment.name, entry.key}, entry.stamp, made);
        if (!is_new && at->second.first < entry.stamp) at->second = {entry.stamp, std::move(made)};
        return;
      }
      if (!made.value) return;
      out.line(export_line(made));
    }
    ++count;
  };
  lmdb::CheckOptions options;
  options.each = [&](const std::string& table, BytesView key, BytesView value) {
    try {
      if (is_private && table == "rec" && key.size() == 18) {
        write(load_u16(key.data()), PacketId::from(key.subspan(2))->text(), value, author);
      } else if (is_private && table == "reg" && key.size() > 2) {
        write(load_u16(key.data()), {}, value, author);
      } else if (!is_private && table == "rec") {
        const RecordRow row = decode_record_row(value);
        const auto by = names.authors.find(row.actor);
        write(row.segment, row.element.text(), row.record,
              by == names.authors.end() ? author : by->second.text());
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::out_of_space || error.code() == ErrorCode::denied) throw;
    }
  };
  (void)lmdb::check_still_file(data_file, options);
  for (const auto& [key, entry] : newest) {
    if (!entry.second.value) continue;
    out.line(export_line(entry.second));
    ++count;
  }
  out.close();
  sync_directory(into.parent_path());
  return count;
}

}  // namespace loam
