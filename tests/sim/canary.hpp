#pragma once

#include <string>
#include <vector>

#include "crdt/bytes.hpp"

namespace loam::sim {

/// A text that stands in everything private and nowhere else.
inline constexpr const char* canary = "pRiVaTe-cAnArY";

/// Looks for the canary as it is, in hexadecimal of either case, and inside base64 at any offset.
class CanaryScanner {
 public:
  CanaryScanner();

  /// The form in which the octets hold it; empty: they do not.
  std::string found_in(BytesView octets) const;

 private:
  struct Form {
    std::string name;
    std::string text;
  };
  std::vector<Form> forms_;
};

}  // namespace loam::sim
