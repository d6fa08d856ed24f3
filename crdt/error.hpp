#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace loam {

/// What kind of thing went wrong. Every kind has one word in messages and one exit code.
enum class ErrorCode {
  failed,            ///< the environment: a file, a socket, an operating system call
  invalid,           ///< the caller's input is malformed
  unknown_segment,   ///< no segment of that name is declared
  not_found,         ///< no such record, key or instance
  denied,            ///< no permission, or an unsafe directory
  approval_required, ///< a rule asks for a person
  unavailable,       ///< no peer or no majority in time
  damaged,           ///< stored data does not verify
  limit,             ///< over a named limit
  out_of_space,      ///< the store is at its configured size
  untrusted,         ///< another federation, an unknown key, a bad signature
  wrong_process,     ///< a handle that was opened before fork()
};

/// The word that starts a message: `failed`, `invalid`, `unknown_segment`, …
std::string_view code_name(ErrorCode code) noexcept;

/// The process exit code that belongs to a kind of error: 1 to 9.
int exit_code(ErrorCode code) noexcept;

/// The one exception of loam, for the environment and the caller. `what()` reads
/// "code: which thing: why, with the numbers".
class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message);

  ErrorCode code() const noexcept { return code_; }

  /// `what()` without the leading code.
  std::string_view message() const noexcept;

 private:
  ErrorCode code_;
};

}  // namespace loam
