// Runs a fuzz target without libFuzzer: every file of its corpus, then inputs made from those by
// pseudo-random changes.
//   fuzz_NAME CORPUS_DIRECTORY COUNT     SEED=n in the environment: only the n-th made input
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/support/gen.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using loam::Bytes;
using test::Gen;

std::string running;  // the input that runs, for the report of a crash

void report(int signal) {
  std::fprintf(stderr, "aborted: %s\n", running.c_str());
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

std::vector<Bytes> run_corpus(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> corpus;
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    corpus.push_back(loam::copy_of(loam::bytes_of(text)));
    running = file.string();
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
  return corpus;
}

void change(Gen& gen, Bytes& input, const std::vector<Bytes>& corpus) {
  const std::size_t at = gen.index(input.size() + 1);
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  const auto some = static_cast<std::byte>(gen.below(256));
  switch (gen.below(6)) {
    case 0: input.insert(place, some); break;
    case 1: input.resize(at); break;
    case 2: {
      const Bytes& other = gen.pick(corpus);
      const std::size_t from = gen.index(other.size() + 1);
      input.insert(place, other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
      break;
    }
    default:
      if (place == input.end()) break;
      switch (gen.below(3)) {
        case 0: *place = some; break;
        case 1: *place ^= static_cast<std::byte>(1U << gen.below(8)); break;
        default: input.erase(place);
      }
  }
}

void run_made(std::uint64_t number, const std::vector<Bytes>& corpus) {
  Gen gen(number);
  Bytes input = gen.one_in(10) || corpus.empty() ? gen.bytes(64) : gen.pick(corpus);
  if (!corpus.empty()) {
    for (auto left = 1 + gen.below(6); left > 0; --left) change(gen, input, corpus);
  }
  if (input.size() > 4'096) input.resize(4'096);
  running = "SEED=" + std::to_string(number) + ", input " + loam::to_hex(input);
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s CORPUS_DIRECTORY COUNT\n", argv[0]);
    return 2;
  }
  std::signal(SIGABRT, report);
  const std::vector<Bytes> corpus = run_corpus(argv[1]);
  if (const char* seed = std::getenv("SEED")) {
    run_made(std::strtoull(seed, nullptr, 10), corpus);
    return 0;
  }
  const char* factor = std::getenv("RUNS_FACTOR");
  const double count =
      std::strtod(argv[2], nullptr) * (factor ? std::strtod(factor, nullptr) : 1.0);
  const auto runs = static_cast<std::uint64_t>(count);
  for (std::uint64_t number = 1; number <= runs; ++number) run_made(number, corpus);
  std::printf("%zu corpus files and %llu made inputs\n", corpus.size(),
              static_cast<unsigned long long>(runs));
}
