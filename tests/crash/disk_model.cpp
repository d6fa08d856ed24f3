#include "tests/crash/disk_model.hpp"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace loam::test {
namespace {

constexpr std::size_t sector_octets = 512;
constexpr std::size_t page_octets = 4096;

// A page being written may read as anything, but not the two that tell the state: those are
// written within one sector, and a sector is written whole or not at all.
constexpr std::uint64_t meta_octets = 2 * page_octets;

void copy_into(Bytes& to, std::uint64_t offset, BytesView octets) {
  if (to.size() < offset + octets.size()) to.resize(offset + octets.size());
  std::memcpy(to.data() + offset, octets.data(), octets.size());
}

}  // namespace

DiskModel::DiskModel(const std::filesystem::path& dir)
    : file_(dir / "data.mdb"), aside_(dir.string() + ".aside") {
  descriptor_ = ::open(aside_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert(descriptor_ >= 0);
}

DiskModel::~DiskModel() { (void)::close(descriptor_); }

void DiskModel::follow(const DiskEvent& event) {
  using Kind = DiskEvent::Kind;
  switch (event.kind) {
    case Kind::write: return write(event, false);
    case Kind::flushed_write: return write(event, syncs_ == Syncs::all);
    case Kind::sync: return sync();
    case Kind::failed_sync:
      lost_ = pieces(page_octets);
      pending_.clear();
      return;
    case Kind::link: is_linked_ = true; return;
    case Kind::sync_directory: is_link_durable_ = is_linked_; return;
    case Kind::begun:
    case Kind::acknowledged: return;
  }
}

void DiskModel::write(const DiskEvent& event, bool flushes) {
  copy_into(cache_, event.offset, event.octets);
  Piece piece{event.offset, event.octets};
  flushes ? make_durable(piece) : pending_.push_back(std::move(piece));
}

void DiskModel::sync() {
  if (syncs_ == Syncs::none) return;
  for (const Piece& piece : pending_) make_durable(piece);
  pending_.clear();
}

// The system writes whole pages, as its cache has them.
void DiskModel::make_durable(const Piece& piece) {
  const std::uint64_t first = piece.offset / page_octets * page_octets;
  const std::uint64_t end = (piece.offset + piece.octets.size() + page_octets - 1) / page_octets;
  const std::uint64_t size = std::min<std::uint64_t>(end * page_octets, cache_.size()) - first;
  const BytesView pages(cache_.data() + first, size);
  copy_into(durable_, first, pages);
  put(first, pages);
  forget_lost({first, copy_of(pages)});
}

// What was lost does not matter any more where something newer is on the disk.
void DiskModel::forget_lost(const Piece& by) {
  std::erase_if(lost_, [&](const Piece& lost) {
    return lost.offset >= by.offset &&
           lost.offset + lost.octets.size() <= by.offset + by.octets.size();
  });
}

// Not through pwrite: a watch must not see it.
void DiskModel::put(std::uint64_t offset, BytesView octets) {
  [[maybe_unused]] const long written =
      syscall(SYS_pwrite64, descriptor_, octets.data(), octets.size(), offset);
  assert(written == static_cast<long>(octets.size()));
}

// What is written but not synced, cut where the disk may cut it.
std::vector<DiskModel::Piece> DiskModel::pieces(std::size_t octets) const {
  std::vector<Piece> cut;
  for (const std::vector<Piece>* const writes : {&lost_, &pending_}) {
    for (const Piece& piece : *writes) {
      for (std::size_t at = 0; at < piece.octets.size();) {
        const std::size_t room = octets - (piece.offset + at) % octets;
        const std::size_t size = std::min(room, piece.octets.size() - at);
        const auto from = piece.octets.begin() + static_cast<std::ptrdiff_t>(at);
        cut.push_back({piece.offset + at, Bytes(from, from + static_cast<std::ptrdiff_t>(size))});
        at += size;
      }
    }
  }
  return cut;
}

void DiskModel::apply(const Piece& piece) {
  put(piece.offset, piece.octets);
  touched_.push_back({piece.offset, Bytes(piece.octets.size())});
}

std::string DiskModel::fail(Gen& gen) {
  is_absent_ = !is_linked_ || (!is_link_durable_ && gen.coin());
  if (is_absent_) return "no file";
  std::filesystem::rename(aside_, file_);
  return apply_some(gen);
}

std::string DiskModel::apply_some(Gen& gen) {
  const bool by_page = gen.one_in(4);
  const std::vector<Piece> all = pieces(by_page ? page_octets : sector_octets);
  const std::string of = " of " + std::to_string(all.size()) + (by_page ? " pages" : " sectors") +
                         " that were not synced";
  if (all.empty()) return "everything is synced";
  // The size may be on the disk before what it makes room for.
  if (gen.one_in(4)) (void)ftruncate(descriptor_, static_cast<off_t>(cache_.size()));
  const std::size_t some = gen.index(all.size() + 1);
  switch (gen.below(7)) {
    case 0: return "none" + of;
    case 1:
      for (const Piece& piece : all) apply(piece);
      return "all" + of;
    case 2:
      for (std::size_t i = 0; i < some; ++i) apply(all[i]);
      return "the first " + std::to_string(some) + of;
    case 3:
      for (std::size_t i = some; i < all.size(); ++i) apply(all[i]);
      return "all from number " + std::to_string(some) + of;
    case 4: tear(gen, all); return "a torn page, and whole ones," + of;
    case 5: scramble(gen, all); return "garbage in some" + of;
    default: {
      const std::uint64_t tenths = gen.between(1, 9);
      for (const Piece& piece : all) {
        if (gen.below(10) < tenths) apply(piece);
      }
      return std::to_string(tenths) + " tenths" + of;
    }
  }
}

// Whole pages in any order, and one of which only some sectors are there.
void DiskModel::tear(Gen& gen, const std::vector<Piece>& all) {
  const std::uint64_t torn = gen.pick(all).offset / page_octets;
  const bool first_half = gen.coin();
  const std::uint64_t cut = gen.between(1, page_octets / sector_octets - 1) * sector_octets;
  std::map<std::uint64_t, bool> is_there;
  for (const Piece& piece : all) {
    const std::uint64_t page = piece.offset / page_octets;
    if (page == torn) {
      if ((piece.offset % page_octets < cut) == first_half) apply(piece);
    } else if (is_there.try_emplace(page, gen.coin()).first->second) {
      apply(piece);
    }
  }
}

// Sectors that were being written when the power went: old, new, or neither.
void DiskModel::scramble(Gen& gen, const std::vector<Piece>& all) {
  for (const Piece& piece : all) {
    const std::uint64_t choice = gen.below(3);
    if (choice == 0) continue;
    Piece applied = piece;
    if (choice == 1 && piece.offset >= meta_octets) {
      for (std::byte& octet : applied.octets) octet = static_cast<std::byte>(gen.below(256));
    }
    apply(applied);
  }
}

void DiskModel::restore(const std::vector<DiskEvent>& used) {
  const std::filesystem::path dir = file_.parent_path();
  if (is_absent_) {
    for (const auto& entry : std::filesystem::directory_iterator(dir)) {
      std::filesystem::remove_all(entry.path());
    }
    return;
  }
  std::filesystem::rename(file_, aside_);
  for (const DiskEvent& event : used) {
    if (!event.octets.empty()) touched_.push_back({event.offset, Bytes(event.octets.size())});
  }
  for (const Piece& piece : touched_) {
    if (piece.offset >= durable_.size()) continue;
    const std::uint64_t size =
        std::min<std::uint64_t>(piece.octets.size(), durable_.size() - piece.offset);
    put(piece.offset, BytesView(durable_).subspan(piece.offset, size));
  }
  touched_.clear();
  [[maybe_unused]] const int result = ftruncate(descriptor_, static_cast<off_t>(durable_.size()));
  assert(result == 0);
}

}  // namespace loam::test
