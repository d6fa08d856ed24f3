#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

/// A store that is measured beside ours: octets under a key, durable when `put` returns, with the
/// settings that its makers recommend for that. One thread, but for `copies`.
class KeyValue {
 public:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  virtual ~KeyValue() = default;

  /// Stores them all, in one transaction where the store has such.
  virtual void put(const Pairs& pairs) = 0;
  virtual void remove(const std::vector<std::string>& keys) = 0;
  virtual bool get(const std::string& key) = 0;

  /// Reads every pair; returns how many.
  virtual std::size_t scan() = 0;

  /// Another handle of the same store for another thread; null: one writer is the rule here.
  virtual std::unique_ptr<KeyValue> another() { return nullptr; }
};

/// Opens the store in a directory, or makes it there.
using OpenKeyValue = std::function<std::unique_ptr<KeyValue>(const std::filesystem::path& dir)>;

/// The main function of such a peer: the parts of bench_store that it can do. Keys are numbers in
/// order, the easiest for all of them; values are the records that loam stores.
int run_key_value(int argc, char** argv, const std::string& implementation,
                  const OpenKeyValue& open);

}  // namespace bench
