#include "apps/batch.hpp"

#include <boost/json/value.hpp>

#include "apps/input.hpp"
#include "apps/shapes.hpp"

namespace loam::cli {
namespace {

/// Whether an error says that a packet is bad, not that the store is.
bool is_about_packet(ErrorCode code) noexcept {
  return code == ErrorCode::invalid || code == ErrorCode::unknown_segment ||
         code == ErrorCode::limit || code == ErrorCode::denied;
}

/// Packets on their way into the memory. One thread.
class Batch {
 public:
  Batch(Memory& memory, const Shell& shell) : memory_(memory), shell_(shell), items_(shell.out) {}

  /// Checks a line; a good packet joins the group, a bad one is refused.
  void take(const Line& line) {
    if (line.text.find_first_not_of(" \t\r") == std::string::npos) return;
    try {
      if (line.is_too_long) {
        throw Error(ErrorCode::limit, "line: longer than the limit of " +
                                          std::to_string(line_octets_max) + " octets");
      }
      PacketEnvelope packet = packet_from_json(line.text);
      check_packet(packet, segment_of(packet, memory_.segments()));
      packets_.push_back(std::move(packet));
      lines_.push_back(line.number);
      octets_ += line.text.size();
    } catch (const Error& error) {
      refuse(line.number, error);
    }
  }

  /// Writes the group in one commit. Throws when it is not written.
  void write_group() {
    if (packets_.empty()) return;
    take_receipts(memory_.write(std::span<const PacketEnvelope>(packets_)));
    clear();
  }

  /// As above; when a packet is bad in a way that only the memory sees, the others are written.
  void write_group_or_singles() {
    try {
      write_group();
    } catch (const Error& error) {
      if (!is_about_packet(error.code())) throw;
      write_singles();
    }
  }

  /// What has been done, and why it ended early if it did.
  void report(const Error* failure) {
    if (shell_.json) {
      boost::json::object rest{{"written", written_},
                               {"existing", existing_},
                               {"refused", refused_shape(refused_)},
                               {"refused_count", refused_count_}};
      if (failure != nullptr) rest["error"] = error_shape(*failure);
      items_.finish(rest);
    } else {
      shell_.out.write("wrote " + std::to_string(written_) + " (" + std::to_string(existing_) +
                       " existed), refused " + std::to_string(refused_count_) + "\n");
    }
    complain(refused_);
    if (failure != nullptr) complain(*failure);
  }

  std::size_t packets() const noexcept { return packets_.size(); }
  std::size_t octets() const noexcept { return octets_; }
  std::uint64_t written() const noexcept { return written_; }
  bool has_refused() const noexcept { return refused_count_ > 0; }

 private:
  void write_singles() {
    for (std::size_t i = 0; i < packets_.size(); ++i) {
      try {
        take_receipts({memory_.write(packets_[i])});
      } catch (const Error& error) {
        if (!is_about_packet(error.code())) throw;
        refuse(lines_[i], error);
      }
    }
    clear();
  }

  void take_receipts(const std::vector<Receipt>& receipts) {
    for (const Receipt& receipt : receipts) {
      ++written_;
      existing_ += receipt.existing ? 1 : 0;
      if (shell_.json) items_.add(serialized(shape(receipt)));
    }
  }

  void refuse(std::uint64_t line, const Error& error) {
    ++refused_count_;
    if (refused_.size() < refusals_listed_max) refused_.emplace_back(line, error.what());
  }

  void clear() {
    packets_.clear();
    lines_.clear();
    octets_ = 0;
  }

  Memory& memory_;
  const Shell& shell_;
  ItemStream items_;
  std::vector<PacketEnvelope> packets_;
  std::vector<std::uint64_t> lines_;  ///< where each packet stood
  std::size_t octets_ = 0;
  std::uint64_t written_ = 0;
  std::uint64_t existing_ = 0;
  std::uint64_t refused_count_ = 0;
  Refused refused_;
};

void write_in_groups(Batch& batch, LineReader& reader) {
  Progress progress("lines:");
  while (const auto line = reader.next()) {
    batch.take(*line);
    progress.at(line->number, reader.share());
    if (batch.packets() >= batch_group_packets || batch.octets() >= batch_group_octets) {
      batch.write_group_or_singles();
    }
  }
  batch.write_group_or_singles();
}

void write_as_one(Batch& batch, LineReader& reader) {
  Progress progress("lines:");
  while (const auto line = reader.next()) {
    batch.take(*line);
    progress.at(line->number, reader.share());
    if (batch.octets() <= atomic_octets_max) continue;
    throw Error(ErrorCode::limit,
                "batch: --atomic takes at most " + std::to_string(atomic_octets_max) + " octets");
  }
  if (!batch.has_refused()) batch.write_group();
}

}  // namespace

int run_batch(const command::Remember& remember, const Shell& shell) {
  Memory memory = open_memory(shell);
  LineReader reader(*remember.batch, line_octets_max);
  Batch batch(memory, shell);
  try {
    remember.atomic ? write_as_one(batch, reader) : write_in_groups(batch, reader);
  } catch (const Error& error) {
    if (batch.written() == 0) throw;
    batch.report(&error);
    return exit_code(error.code());
  }
  batch.report(nullptr);
  return batch.has_refused() ? exit_code(ErrorCode::failed) : 0;
}

}  // namespace loam::cli
