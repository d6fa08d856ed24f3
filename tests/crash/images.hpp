#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "tests/crash/disk_model.hpp"
#include "tests/crash/workload.hpp"

namespace loam::test {

/// Images are numbered; this many come from one recording.
inline constexpr std::uint64_t images_of_recording = 1'000;

/// What the tests do to the recordings and the disk.
struct ImageRules {
  std::uint64_t seed = 0;
  Syncs syncs = Syncs::all;
  Plant plant = Plant::none;
  Fault::Call failing = Fault::Call::none;  ///< now and then; the stores go on then, or are opened again
};

/// What became of a series of images.
struct ImageReport {
  std::uint64_t checked = 0;
  std::string failure;         ///< the first; empty: none
  std::uint64_t number = 0;    ///< of the image that failed
  std::size_t hash = 0;        ///< of the data files of the last image
  std::uint64_t unsynced = 0;  ///< images with something written and not synced
  std::uint64_t missing = 0;   ///< images without one of the files
  std::uint64_t ahead = 0;     ///< images that hold a commit that was not acknowledged yet
};

/// Makes images number `first` to `last` (included) of what a disk may hold after a power failure,
/// opens each and checks it, until one fails. `beginning` hears the number of each before it is
/// made.
ImageReport check_images(const ImageRules& rules, std::uint64_t first, std::uint64_t last,
                         const std::function<void(std::uint64_t)>& beginning);

/// The recording that an image of that number comes from.
Recording recording_of(const ImageRules& rules, std::uint64_t number);

}  // namespace loam::test
