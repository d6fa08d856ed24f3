#include "bench/harness.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <csignal>
#include <fstream>
#include <iostream>
#include <set>
#include <stdexcept>

namespace bench {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

struct Arguments {
  bool smoke = false;
  bool list = false;
  int rounds = 1;
  fs::path dir = fs::current_path();
  std::set<std::string> only;
};

constexpr int exit_usage = 2;

int usage(const char* program, std::ostream& out) {
  out << "Usage: " << program
      << " [--smoke] [--dir DIRECTORY] [--only PART]... [--rounds N] [--list]\n"
         "Runs every part once and prints a JSON object for each measurement.\n"
         "  --smoke   small sizes: whether it works at all\n"
         "  --dir     where its stores are made, and removed again (here)\n"
         "  --only    this part; may be given more than once\n"
         "  --rounds  how often each part runs, one after the other (1)\n"
         "  --list    the names of the parts\n";
  return &out == &std::cout ? 0 : exit_usage;
}

// As they are on a command line; -1: go on.
int parse(int argc, char** argv, Arguments& arguments) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool has_value = i + 1 < argc;
    if (argument == "--help") return usage(argv[0], std::cout);
    if (argument == "--smoke") {
      arguments.smoke = true;
    } else if (argument == "--list") {
      arguments.list = true;
    } else if (argument == "--dir" && has_value) {
      arguments.dir = argv[++i];
    } else if (argument == "--only" && has_value) {
      arguments.only.insert(argv[++i]);
    } else if (argument == "--rounds" && has_value) {
      arguments.rounds = std::max(1, std::atoi(argv[++i]));
    } else {
      return usage(argv[0], std::cerr);
    }
  }
  return -1;
}

}  // namespace

InMemory::InMemory() : process_(::getpid()) {
  const fs::path memory = "/dev/shm";
  std::string made = ((fs::is_directory(memory) ? memory : fs::temp_directory_path()) / "loam-bench-XXXXXX").string();
  require(::mkdtemp(made.data()) != nullptr, "no directory in memory");
  root_ = made;
}

InMemory::~InMemory() {
  std::error_code ignored;
  if (process_ == ::getpid()) fs::remove_all(root_, ignored);
}

fs::path Run::fresh() { return dir_ / std::to_string(++made_); }

void Run::progress(std::string_view what, std::uint64_t done, std::uint64_t all) const {
  if (::isatty(STDERR_FILENO) == 0) return;
  std::cerr << "\r" << what << ": " << done << " of " << all << (done == all ? "\n" : "")
            << std::flush;
}

void Run::report(const Sample& sample) const {
  json::object line{{"bench", sample.name}, {"implementation", implementation_}};
  json::object sizes;
  for (const auto& [name, value] : sample.sizes) sizes[name] = value;
  json::object values;
  for (const auto& [name, value] : sample.values) values[name] = value;
  line["sizes"] = std::move(sizes);
  line["values"] = std::move(values);
  line["result"] = sample.result;
  std::cout << json::serialize(line) << std::endl;
}

int run_parts(int argc, char** argv, const std::string& implementation,
              const std::vector<std::pair<std::string, Part>>& parts) {
  std::signal(SIGPIPE, SIG_IGN);  // a child that has ended is told by an error
  Arguments arguments;
  if (const int code = parse(argc, argv, arguments); code >= 0) return code;
  for (const std::string& name : arguments.only) {
    const bool is_known = std::any_of(parts.begin(), parts.end(),
                                      [&](const auto& part) { return part.first == name; });
    if (is_known) continue;
    std::cerr << argv[0] << ": no such part: " << name << "\n";
    return exit_usage;
  }
  if (arguments.list) {
    for (const auto& [name, part] : parts) std::cout << name << "\n";
    return 0;
  }
  std::string dir = (arguments.dir / "loam-bench.XXXXXX").string();
  if (::mkdtemp(dir.data()) == nullptr) {
    std::cerr << arguments.dir.string() << ": cannot write in it\n";
    return 1;
  }
  int code = 0;
  Run run(implementation, arguments.smoke, dir);
  for (const auto& [name, part] : parts) {
    if (!arguments.only.empty() && arguments.only.count(name) == 0) continue;
    for (int round = 0; round < arguments.rounds && code == 0; ++round) {
      try {
        part(run);
      } catch (const std::exception& error) {
        std::cerr << argv[0] << ": " << name << ": " << error.what() << "\n";
        code = 1;
      }
    }
  }
  fs::remove_all(dir);
  return code;
}

void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

double seconds(const std::function<void()>& action) {
  const auto begun = std::chrono::steady_clock::now();
  action();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

double processor_seconds() {
  struct rusage used {};
  getrusage(RUSAGE_SELF, &used);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

MemoryUse memory_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  MemoryUse use;
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("RssAnon:")) use.anonymous = std::stoull(line.substr(8)) * 1'024;
    if (line.starts_with("VmRSS:")) use.resident = std::stoull(line.substr(6)) * 1'024;
  }
  return use;
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const double place = std::ceil(share * static_cast<double>(values.size())) - 1;
  const auto index = static_cast<std::size_t>(std::max(place, 0.0));
  return values.at(std::min(index, values.size() - 1));
}

std::uint64_t octets_on_disk(const fs::path& dir) {
  std::uint64_t octets = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir)) {
    struct stat status {};
    if (entry.is_regular_file() && ::lstat(entry.path().c_str(), &status) == 0) {
      octets += static_cast<std::uint64_t>(status.st_blocks) * 512;
    }
  }
  return octets;
}

}  // namespace bench
