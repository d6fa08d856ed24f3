#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "apps/commands.hpp"

/// The words of the grammar. CLI11 compiles slowly: included by command_line.cpp only.
namespace loam::cli {

inline constexpr const char* more_help =
    "Before or after the command: -C DIR, --json.\n"
    "Arguments that start with a dash stand after --.";

/// How a command is introduced.
struct Words {
  const char* name;
  const char* does;
  const char* example;
  const char* details = "";
};

/// An option is written "--name TYPE", a positional argument "NAME".
struct Term {
  explicit Term(const std::string& text)
      : name(text.substr(0, text.find(' '))),
        type(text.find(' ') == std::string::npos ? "" : text.substr(text.find(' ') + 1)) {}

  std::string name;
  std::string type;
};

/// A command of the grammar and the values that its arguments go to.
template <class Wanted>
class Verb {
 public:
  Verb(CLI::App& root, Command& chosen, const Words& words)
      : app_(root.add_subcommand(words.name, words.does)), wanted_(std::make_shared<Wanted>()) {
    app_->footer(std::string(words.details) + "Example:\n  " + words.example + "\n\n" + more_help);
    app_->group("Commands");
    app_->fallthrough();
    app_->callback([wanted = wanted_, &chosen] { chosen = *wanted; });
  }

  /// Lives until the parse is over.
  Wanted* operator->() const noexcept { return wanted_.get(); }

  CLI::Option* text(const char* term, std::string& into, const char* help) const {
    const Term parts(term);
    return app_->add_option(parts.name, into, help)->type_name(parts.type);
  }

  /// An option that may be given several times, one value each.
  CLI::Option* texts(const char* term, std::vector<std::string>& into, const char* help) const {
    const Term parts(term);
    return app_->add_option(parts.name, into, help)->type_name(parts.type)->allow_extra_args(false);
  }

  /// `take` turns the text of the argument into its value, or throws.
  template <class Take>
  CLI::Option* with(const char* term, const char* help, Take&& take) const {
    const Term parts(term);
    const auto call = [wanted = wanted_, take](const std::string& text) { take(*wanted, text); };
    return app_->add_option_function<std::string>(parts.name, call, help)->type_name(parts.type);
  }

  CLI::Option* flag(const char* name, bool& into, const char* help) const {
    return app_->add_flag(name, into, help);
  }

  CLI::App* app() const noexcept { return app_; }

 private:
  CLI::App* app_;
  std::shared_ptr<Wanted> wanted_;
};

}  // namespace loam::cli
