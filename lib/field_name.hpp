#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace loam {

/// The name of a field for messages: `path.key`, or `key` without a path. A key that is long or not
/// plain ASCII is not repeated.
inline std::string field_name(std::string_view path, std::string_view key) {
  constexpr std::size_t longest = 64;
  const bool is_plain = key.size() <= longest && std::all_of(key.begin(), key.end(), [](char c) {
                          return c >= 0x20 && c < 0x7f;
                        });
  const std::string name = is_plain ? std::string(key) : "(a key)";
  return path.empty() ? name : std::string(path) + "." + name;
}

}  // namespace loam
