#include "crdt/rules/glob.hpp"

#include <algorithm>

namespace loam {
namespace {

// The part of a text that begins there, without the slash that ends it.
std::string_view part_at(std::string_view text, std::size_t begin) noexcept {
  return text.substr(begin, text.find('/', begin) - begin);
}

}  // namespace

std::optional<Glob> Glob::parse(std::string_view text) {
  if (text.empty()) return std::nullopt;
  Glob glob;
  glob.text_ = text;
  const std::size_t star = text.find('*');
  if (star != std::string_view::npos) {
    const bool is_only = text.find('*', star + 1) == std::string_view::npos;
    glob.form_ = !is_only ? Form::parts : star + 1 == text.size() ? Form::beginning : star == 0 ? Form::end : Form::parts;
  }
  for (std::size_t begin = 0;; begin = text.find('/', begin) + 1) {
    std::string_view part = part_at(text, begin);
    const bool is_last = begin + part.size() == text.size();
    Part made;
    made.is_open_before = part.starts_with('*');
    if (made.is_open_before) part.remove_prefix(1);
    made.is_open_after = part.ends_with('*');
    if (made.is_open_after) part.remove_suffix(1);
    if (part.find('*') != std::string_view::npos) return std::nullopt;
    // One that is nothing but a star is open on both sides.
    if (part.empty() && (made.is_open_before || made.is_open_after)) made.is_open_before = made.is_open_after = true;
    made.literal = part;
    glob.parts_.push_back(std::move(made));
    if (is_last) return glob;
  }
}

bool Glob::Part::matches(std::string_view text) const noexcept {
  if (is_open_before && is_open_after) return text.find(literal) != std::string_view::npos;
  if (is_open_before) return text.ends_with(literal);
  if (is_open_after) return text.starts_with(literal);
  return text == literal;
}

bool Glob::Part::covers(const Part& other) const noexcept {
  if (other.is_open_before && !is_open_before) return false;
  if (other.is_open_after && !is_open_after) return false;
  return matches(other.literal);
}

// A star within a part never reaches over a slash, and one at an end of the pattern swallows whole parts or the rest of
// one: so all that is to be found is which part of the text the first part of the pattern stands on.
bool Glob::matches(std::string_view text) const noexcept {
  const std::string_view own = text_;
  if (form_ == Form::literal) return text == own;
  if (form_ == Form::beginning) return text.starts_with(own.substr(0, own.size() - 1));
  if (form_ == Form::end) return text.ends_with(own.substr(1));
  const auto there = static_cast<std::size_t>(std::count(text.begin(), text.end(), '/')) + 1;
  if (there < parts_.size()) return false;
  const std::size_t spare = there - parts_.size();
  const std::size_t first = parts_.back().is_open_after ? 0 : spare;
  const std::size_t last = parts_.front().is_open_before ? spare : 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= last; ++at, begin = text.find('/', begin) + 1) {
    if (at < first) continue;
    std::size_t next = begin;
    const bool is_match = std::all_of(parts_.begin(), parts_.end(), [&](const Part& part) {
      const std::string_view found = part_at(text, next);
      next += found.size() + 1;
      return part.matches(found);
    });
    if (is_match) return true;
  }
  return false;
}

bool Glob::covers(const Glob& other) const noexcept {
  const bool is_open_before = parts_.front().is_open_before;
  const bool is_open_after = parts_.back().is_open_after;
  if (other.parts_.front().is_open_before && !is_open_before) return false;
  if (other.parts_.back().is_open_after && !is_open_after) return false;
  if (other.parts_.size() < parts_.size()) return false;
  const std::size_t spare = other.parts_.size() - parts_.size();
  const std::size_t last = is_open_before ? spare : 0;
  for (std::size_t at = is_open_after ? 0 : spare; at <= last; ++at) {
    const auto begin = other.parts_.begin() + static_cast<std::ptrdiff_t>(at);
    if (std::equal(parts_.begin(), parts_.end(), begin,
                   [](const Part& mine, const Part& theirs) { return mine.covers(theirs); })) {
      return true;
    }
  }
  return false;
}

}  // namespace loam
