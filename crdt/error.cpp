#include "crdt/error.hpp"

namespace loam {

std::string_view code_name(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::failed: return "failed";
    case ErrorCode::invalid: return "invalid";
    case ErrorCode::unknown_segment: return "unknown_segment";
    case ErrorCode::not_found: return "not_found";
    case ErrorCode::denied: return "denied";
    case ErrorCode::approval_required: return "approval_required";
    case ErrorCode::unavailable: return "unavailable";
    case ErrorCode::damaged: return "damaged";
    case ErrorCode::limit: return "limit";
    case ErrorCode::out_of_space: return "out_of_space";
    case ErrorCode::untrusted: return "untrusted";
    case ErrorCode::wrong_process: return "wrong_process";
  }
  return "failed";
}

int exit_code(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::failed: return 1;
    case ErrorCode::invalid: return 2;
    case ErrorCode::unknown_segment: return 2;
    case ErrorCode::not_found: return 3;
    case ErrorCode::denied: return 4;
    case ErrorCode::approval_required: return 5;
    case ErrorCode::unavailable: return 6;
    case ErrorCode::damaged: return 7;
    case ErrorCode::limit: return 8;
    case ErrorCode::out_of_space: return 8;
    case ErrorCode::untrusted: return 9;
    case ErrorCode::wrong_process: return 1;
  }
  return 1;
}

Error::Error(ErrorCode code, const std::string& message)
    : std::runtime_error(std::string(code_name(code)) + ": " + message), code_(code) {}

std::string_view Error::message() const noexcept {
  return std::string_view(what()).substr(code_name(code_).size() + 2);
}

}  // namespace loam
