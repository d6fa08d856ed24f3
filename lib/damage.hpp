#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <set>
#include <string>

namespace loam {

/// Records of the shared environment that a read met and could not read, by local sequence, until
/// the writer has put them under quarantine. Any thread.
class DamageLog {
 public:
  /// Takes note of one. Whoever listens is told when it is news.
  void note(std::uint64_t sequence);

  /// What was noted since the last call.
  std::set<std::uint64_t> take();

  /// Calls back, on the thread that met the damage, when there is news. Empty: nobody.
  void listen(std::function<void()> told);

 private:
  std::mutex mutex_;
  std::set<std::uint64_t> noted_;
  std::function<void()> told_;
};

/// What one answer had to leave out. One thread.
struct DamageMet {
  std::set<std::uint64_t> shared;  ///< sequences
  std::set<std::string> priv;      ///< ids, or segments with keys

  std::uint64_t count() const noexcept { return shared.size() + priv.size(); }
};

}  // namespace loam
