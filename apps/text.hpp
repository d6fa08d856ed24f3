#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace loam::cli {

/// The text on one line, safe to show on a terminal: control characters (C0, DEL, C1), line and
/// paragraph separators and everything that turns the writing direction become `\n`, `\t`,
/// `\u{1b}`; octets that are not UTF-8 become `\xff`. Strings of peers are hostile.
std::string printable(std::string_view text);

/// The same with its line breaks kept and every line indented by two columns, so that no line of it
/// can pass for one of ours.
std::string printable_block(std::string_view text);

/// `printable`, cut to that many characters with an ellipsis.
std::string printable_start(std::string_view text, std::size_t characters);

/// The text with octets that are not UTF-8 replaced by U+FFFD: what may go into JSON.
std::string as_utf8(std::string_view text);

/// `name  value` lines or a table: every column but the last padded to its widest cell, in
/// characters, two columns of blanks between. Cells are printed as they are.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace loam::cli
