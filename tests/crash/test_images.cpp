#include <doctest/doctest.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "tests/crash/images.hpp"
#include "tests/support/forall.hpp"

namespace loam {
namespace {

using test::check_images;
using test::DiskEvent;
using ::test::environment;
using test::Fault;
using test::ImageReport;
using test::ImageRules;
using test::Plant;
using test::Syncs;

constexpr std::uint64_t usual_seed = 20'260'707;
constexpr int usual_images = 5'000;

std::uint64_t number_in(const char* name, std::uint64_t otherwise) {
  const char* const text = environment(name);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

ImageRules usual_rules() { return {.seed = number_in("SEED", usual_seed)}; }

std::string replay(std::uint64_t seed, std::uint64_t number) {
  return "IMAGE=" + std::to_string(number) + " " + ::test::replay_command(seed);
}

// The command that repeats the image that is being checked, for whoever ends this process.
std::array<char, 1'024> running{};

void tell_running(int signal) {
  (void)!write(STDERR_FILENO, running.data(), std::strlen(running.data()));
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void note_running(std::uint64_t seed, std::uint64_t number) {
  std::snprintf(running.data(), running.size(), "ended by a signal: %s\n",
                replay(seed, number).c_str());
}

/// An image that ends the process says which one it was. For the scope of the object.
struct SignalsTell {
  std::array<std::pair<int, void (*)(int)>, 4> before;
  SignalsTell() {
    std::size_t i = 0;
    for (const int signal : {SIGSEGV, SIGBUS, SIGABRT, SIGFPE}) {
      before[i++] = {signal, std::signal(signal, tell_running)};
    }
  }
  ~SignalsTell() {
    for (const auto& [signal, handler] : before) std::signal(signal, handler);
  }
};

ImageReport check(const ImageRules& rules, std::uint64_t first, std::uint64_t last) {
  const SignalsTell tell;
  return check_images(rules, first, last,
                      [&](std::uint64_t number) { note_running(rules.seed, number); });
}

// Checks as many images as there are by default, or as the environment says.
ImageReport check_all(const ImageRules& rules, int usual) {
  std::uint64_t first = 0;
  std::uint64_t last = number_in("IMAGES", static_cast<std::uint64_t>(::test::scaled(usual))) - 1;
  if (environment("IMAGE") != nullptr) first = last = number_in("IMAGE", 0);
  const ImageReport report = check(rules, first, last);
  INFO(report.failure, "\n", replay(rules.seed, report.number));
  CHECK(report.failure == "");
  MESSAGE("SEED=", rules.seed, ": ", report.checked, " images, ", report.unsynced,
          " with something that was not synced, ", report.missing, " without a file, ",
          report.ahead, " with a commit that was not acknowledged yet");
  return report;
}

TEST_CASE("any image that a power failure may leave opens, and holds what was acknowledged") {
  const ImageReport report = check_all(usual_rules(), usual_images);
  if (report.checked < test::images_of_recording) return;
  CHECK(report.unsynced > report.checked / 4);
  CHECK(report.missing > 0);
  CHECK(report.ahead > report.checked / 50);
}

TEST_CASE("the same after syncs that failed, with the store opened again or not") {
  ImageRules rules = usual_rules();
  rules.failing = Fault::Call::sync;
  check_all(rules, usual_images / 2);
}

// A meta page that is written although that is told to have failed.
TEST_CASE("the same after writes of a meta page that failed") {
  ImageRules rules = usual_rules();
  rules.failing = Fault::Call::meta_sync;
  check_all(rules, usual_images / 2);
}

// The kernel then has what the disk may not have, and believes that the disk has it.
TEST_CASE("the same where LMDB could not take such a meta page back") {
  ImageRules rules = usual_rules();
  rules.failing = Fault::Call::meta_lost;
  check_all(rules, usual_images / 2);
}

// Which image notices a mistake; fails when none of that many does.
void must_be_noticed(ImageRules rules, std::uint64_t within) {
  const ImageReport report = check(rules, 0, within - 1);
  CHECK(report.failure != "");
  MESSAGE("noticed by image ", report.number, ": ", report.failure);
}

TEST_CASE("control: a disk whose syncs do nothing, as under MDB_NOSYNC, is noticed") {
  must_be_noticed({.seed = usual_seed, .syncs = Syncs::none}, 100);
}

TEST_CASE("control: a meta page that is not synced, as under MDB_NOMETASYNC, is noticed") {
  must_be_noticed({.seed = usual_seed, .syncs = Syncs::no_meta}, 100);
}

TEST_CASE("control: an acknowledgement before its commit is noticed") {
  must_be_noticed({.seed = usual_seed, .plant = Plant::early_acknowledgement}, 100);
}

TEST_CASE("control: a delta that is joined in two transactions is noticed") {
  must_be_noticed({.seed = usual_seed, .plant = Plant::split_delta}, 1'000);
}

TEST_CASE("control: a position that is stored before its records is noticed") {
  must_be_noticed({.seed = usual_seed, .plant = Plant::early_position}, 1'000);
}

TEST_CASE("the recorder sees every octet that is written, and one seed is one recording") {
  const test::OneFileIdentity one_file;
  const auto first = test::recording_of(usual_rules(), 0);
  const auto second = test::recording_of(usual_rules(), 0);
  CHECK(first.events == second.events);
  CHECK(first.events.size() < test::images_of_recording);  // so every point of it gets an image
  for (const auto& [name, content] : first.data) {
    Bytes written;
    for (const DiskEvent& event : first.events) {
      if (event.environment != name || event.octets.empty()) continue;
      written.resize(std::max<std::size_t>(written.size(), event.offset + event.octets.size()));
      std::copy(event.octets.begin(), event.octets.end(),
                written.begin() + static_cast<std::ptrdiff_t>(event.offset));
    }
    CHECK(written == copy_of(bytes_of(content)));
  }
}

TEST_CASE("an image is the same alone as after all that came before it") {
  const ImageRules rules = usual_rules();
  for (const std::uint64_t number : {0U, 17U, 40U, 77U, 150U}) {
    CHECK(check(rules, number, number).hash == check(rules, 0, number).hash);
  }
}

TEST_CASE("recordings have everything that a store does") {
  const test::OneFileIdentity one_file;
  std::map<std::string, int> happened;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const auto recording = test::recording_of(usual_rules(), i * test::images_of_recording);
    for (const auto& [what, times] : recording.happened) happened[what] += times;
  }
  for (const char* const what : {"map grown", "index folded", "journal trimmed", "journals dropped",
                                 "reopened", "delta of several dots", "private commit"}) {
    INFO(what, ": ", happened[what]);
    CHECK(happened[what] >= 5);
  }
}

}  // namespace
}  // namespace loam
