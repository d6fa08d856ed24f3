#pragma once

#include <string>
#include <string_view>

#include "lib/batch_rows.hpp"
#include "lib/segment.hpp"
#include "lib/shared_store.hpp"
#include "transport/frame.hpp"

namespace loam {

/// What an export has beside records and entries of a shared segment, so that their authors stay their authors. One
/// thread.
class SignedTexts {
 public:
  SignedTexts(const SharedStore& store, SegmentNumber segment) : store_(store), segment_(segment) {}

  /// A record's dots with what was signed, as a chunk would bring them, in base64. Empty: not all of it is signed, or it
  /// is too large.
  std::string of(const ElementId& element);

  /// The same of these dots, of one snapshot.
  std::string of(const SharedReader& reader, const std::vector<StoredDot>& dots);

 private:
  const SharedStore& store_;
  SegmentNumber segment_;
  SingleParts parts_;
};

/// Throws Error(invalid) for what `SignedTexts` does not make, Error(limit).
DeltaFrame parse_signed_text(std::string_view text);

}  // namespace loam
