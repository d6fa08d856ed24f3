#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace loam {

/// A pattern for actions, resources, subjects and environments. Its parts lie between `/`; a `*` may stand at either
/// end of a part, or be all of it. At the beginning and at the end of the whole pattern it stands for anything, further
/// parts included; elsewhere for anything within one part. So `prod/*` matches `prod/eu` and `prod/eu/db`, `*/db` both
/// `eu/db` and `prod/eu/db`, `prod/*/db` only `prod/eu/db`, and `*` everything. Octets are compared as they are.
class Glob {
 public:
  /// Absent: empty, or with a `*` in the middle of a part.
  static std::optional<Glob> parse(std::string_view text);

  bool matches(std::string_view text) const noexcept;

  /// Whether it matches, provably by the two patterns alone, all that the other matches.
  bool covers(const Glob& other) const noexcept;

  const std::string& text() const noexcept { return text_; }

  /// Whether it matches one text only: itself.
  bool is_literal() const noexcept { return form_ == Form::literal; }

  bool operator==(const Glob& other) const noexcept { return text_ == other.text_; }

 private:
  struct Part {
    std::string literal;
    bool is_open_before = false;
    bool is_open_after = false;

    bool matches(std::string_view text) const noexcept;
    bool covers(const Part& other) const noexcept;
  };

  /// What is compared at once: all of a text, how it begins or ends; else part by part.
  enum class Form : std::uint8_t { literal, beginning, end, parts };

  std::string text_;
  std::vector<Part> parts_;
  Form form_ = Form::literal;
};

}  // namespace loam
