#pragma once

#include <cstddef>
#include <string_view>

namespace loam {

/// Greatest length of the name of a segment or an instance: `[a-z0-9][a-z0-9_-]{0,62}`.
inline constexpr std::size_t name_length_max = 63;

/// Whether the text is a name as above.
bool is_name(std::string_view text) noexcept;

}  // namespace loam
