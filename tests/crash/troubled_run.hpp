#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/crash/script.hpp"
#include "tests/crash/stores.hpp"

namespace loam::test {

/// What a call on the stores ended with.
struct Outcome {
  bool is_done = true;
  std::optional<ErrorCode> code = {};  ///< of an Error; absent when there was too little memory
  std::string what = {};
};

/// Runs a script on stores that may refuse any call, and keeps every state that they may be in: a
/// commit that was refused may be there or not, one that was acknowledged is. Which ids a store
/// draws at random is left out of account. One thread.
class TroubledRun {
 public:
  enum class Doing : std::uint8_t { opening, writing };

  /// Something that runs a call of the library, to make it fail.
  using Around = std::function<void(Doing, const std::function<void()>&)>;

  TroubledRun(const std::filesystem::path& dir, std::uint64_t seed, Around around = {});

  /// A mistake on purpose: from now on a commit that was refused counts as acknowledged.
  void believe_refused() noexcept { believes_refused_ = true; }

  /// Opens the stores, or makes them. They are closed.
  Outcome open();
  void close() { stores_.reset(); }
  bool is_open() const noexcept { return stores_ != nullptr; }

  /// One step of the script: at most one commit of each environment. Stops at the first that fails.
  Outcome step();

  /// A removal of everything that is there in the set segment, as one commit that may use the space
  /// kept for removals.
  Outcome remove_everything();

  /// Empty when the open stores are in one state that they may be in, and every derived row agrees
  /// with it; else what is wrong.
  std::string verify();

 private:
  Outcome attempt(Doing doing, const std::function<void()>& call) const;
  Outcome commit_shared(const std::function<void()>& call,
                        const std::function<void(SharedModel&)>& change);
  Outcome commit_private(const Step& step);
  Outcome own_work(const Step& step);
  template <class Model>
  void may_be(std::vector<Model>& models, bool is_done,
              const std::function<void(Model&)>& change) const;

  std::filesystem::path dir_;
  Around around_;
  Gen gen_;
  Script script_;
  std::vector<SharedModel> shared_;
  std::vector<PrivateModel> private_;
  std::unique_ptr<Stores> stores_;
  bool believes_refused_ = false;
};

}  // namespace loam::test
