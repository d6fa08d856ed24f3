#include <fcntl.h>
#include <signal.h>

#include <boost/json/value.hpp>
#include <new>

#include "apps/backup.hpp"
#include "apps/care.hpp"
#include "apps/command_line.hpp"
#include "apps/entries.hpp"
#include "apps/exchange.hpp"
#include "apps/look.hpp"
#include "apps/membership.hpp"
#include "apps/network.hpp"
#include "apps/records.hpp"
#include "apps/rules.hpp"
#include "apps/text.hpp"

namespace loam::cli {
namespace {

/// A descriptor from 0 to 2 that is closed would be given to the next file that is opened, and what
/// we print would go into it. What stands there instead cannot be written to.
void hold_standard_descriptors() noexcept {
  for (int descriptor = 0; descriptor <= 2; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) >= 0) continue;
    [[maybe_unused]] const int held = ::open("/dev/null", O_RDONLY);
  }
}

boost::json::object error_object(const Error& error) {
  boost::json::object out{{"error", error_shape(error)}};
  if (dynamic_cast<const UnknownOutcome*>(&error) != nullptr) out["outcome"] = "unknown";
  return out;
}

/// The error to people and, with --json, on standard output; its exit code.
int fail(const Error& error, Output& out, bool json) {
  complain(error);
  if (json) out.write_line(error_object(error));
  out.flush();
  return exit_code(error.code());
}

int answer_to(const Answer& answer, Output& out, bool json) {
  const std::string text = answer.text.substr(0, answer.text.find_last_not_of('\n') + 1);
  if (json) {
    out.write_line(boost::json::object{{"text", text}});
  } else {
    out.write(text + "\n");
  }
  out.flush();
  return 0;
}

int run_command(const CommandLine& line, Output& out) {
  const Shell shell{.dir = instance_dir(line.dir), .json = line.json, .out = out};
  const int code =
      std::visit([&shell](const auto& wanted) { return run(wanted, shell); }, line.command);
  out.flush();
  return code;
}

int run_program(int count, const char* const* arguments) {
  Output out;
  const bool json = wants_json(count, arguments);
  try {
    try {
      const auto parsed = parse_command_line(count, arguments);
      if (const auto* text = std::get_if<Answer>(&parsed)) return answer_to(*text, out, json);
      return run_command(std::get<CommandLine>(parsed), out);
    } catch (const Error& error) {
      return fail(error, out, json);
    } catch (const OutputClosed&) {
      return exit_code(ErrorCode::failed);
    } catch (const std::bad_alloc&) {
      return fail(Error(ErrorCode::failed, "memory: the system has no more"), out, json);
    } catch (const std::exception& error) {
      return fail(Error(ErrorCode::failed, error.what()), out, json);
    }
  } catch (const std::exception&) {  // not even the error could be printed
    return exit_code(ErrorCode::failed);
  }
}

}  // namespace
}  // namespace loam::cli

int main(int count, char** arguments) {
  loam::cli::hold_standard_descriptors();
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit of a file is an error, not an end
  return loam::cli::run_program(count, arguments);
}
