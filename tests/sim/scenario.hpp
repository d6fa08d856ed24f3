#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace loam::sim {

/// What can happen in a run. Most of the last ones are faults.
enum class Step : std::uint8_t {
  add,
  bulk_add,
  remove,
  revise,
  put,
  erase,
  write_private,
  retry,
  commit,
  fold,
  start,
  connect,
  travel,
  settle,
  pass_time,
  poll,
  cut,
  truncate,
  stall,
  resume,
  leave,
  flap,
  double_link,
  crash,
  crash_before_commit,
  crash_after_commit,
  disk_error,
  stop,
  second_process,
  snapshot,
  restore_copy,
  restore_in_place,
  clone,
  clock_jump,
  drop_journal,
  flip,
  inject,
  confirm,
  change_version,
  grant,
  suspend,
  revoke,
  strong_write,
  strong_read,
  change_voters,
  seal_voters,
  ask_again,
  forget,
};
inline constexpr std::size_t step_kinds = static_cast<std::size_t>(Step::forget) + 1;

const char* step_name(Step step) noexcept;

/// One thing that happens. Its own seed decides where and how, so leaving others out changes
/// nothing about it.
struct Event {
  Step step = Step::add;
  std::uint64_t seed = 0;
};

enum class Topology : std::uint8_t { hub, chain, two_hubs, mesh };
enum class Clocks : std::uint8_t { equal, near, centuries, drifting };

/// What is settled before a run begins.
struct Setup {
  std::size_t replicas = 2;
  Topology topology = Topology::hub;
  Clocks clocks = Clocks::near;
  bool hostile = false;       ///< one more replica, whose frames lie
  bool small_maps = false;    ///< stores run full
  bool small_limits = false;  ///< tiny chunks, windows, pages
  bool short_journals = false;
  bool partial = true;  ///< not every replica declares every segment
  bool large_records = false;
  bool heals_by_links = false;  ///< instead of by one-round syncs
  bool skew = false;   ///< some replicas speak another version of the wire for a while
  bool fuse = false;   ///< hardly any removal is believed that only silence tells
  bool twins = false;  ///< clones of running processes, which go on under the same actor
  bool trust = false;  ///< a federation with a registry: everything is signed, and rights change
  bool strong = false;  ///< with trust: voters, who change, and strong reads and writes by majorities of them
};

/// A whole run, made from its seed.
struct Scenario {
  std::uint64_t seed = 0;
  Setup setup;
  std::vector<Event> events;
};

/// What is forced, or forbidden, for every run.
struct Switches {
  bool hostile = true;             ///< some runs have a hostile peer
  bool restores_in_place = true;   ///< the file is overwritten: store and journals keep their ids
  std::set<std::string> forced;  ///< names of settings that every run has
  bool false_claims = false;  ///< a hostile peer claims others' actors, and counters yet to come

  /// As ALLOW=… and FORCE=… of a command line; empty when there is neither.
  std::string text() const;
};

/// From ALLOW=false_claims of the environment: what a federation without signatures does not stand; and from
/// FORCE=hostile,fuse,skew,twins,trust,strong: what every run has.
Switches switches_from_environment();

/// A part of a scenario: how a failure is made smaller, and how it is replayed.
struct Selection {
  std::optional<std::set<std::size_t>> kept;  ///< numbers of events; absent: all
  std::optional<std::size_t> replicas;        ///< at most
  std::set<std::string> off;                  ///< names of settings that are switched off

  /// As KEEP=…, REPLICAS=… and OFF=… of a command line; empty when nothing is left out.
  std::string text() const;

  /// From those environment variables.
  static Selection from_environment();
};

/// The settings that a Selection can switch off.
inline constexpr std::array<const char*, 13> setting_names{
    "hostile",       "small_maps", "small_limits", "short_journals", "partial", "large_records",
    "clocks",        "links",      "twins",        "fuse",           "skew",
    "trust",         "strong"};

Scenario scenario_of(std::uint64_t seed, const Switches& switches);
Scenario selected(const Scenario& whole, const Selection& selection);

}  // namespace loam::sim
