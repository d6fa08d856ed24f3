#pragma once

#include "lib/core.hpp"

namespace loam {

/// Finds records by words. The seam behind `recall`: the scan is one implementation, an index another.
class Search {
 public:
  virtual ~Search() = default;

  /// The best `offset + limit + 1` records that pass every filter, best first, ties by id; those with
  /// a positive score when the query has words, all newest first when it has none.
  /// What it had to leave out goes into `damage`.
  virtual std::vector<Hit> find(const RecallQuery& query, DamageMet& damage) const = 0;
};

/// Looks at every record of the searched segments. Exact; its time grows with their number, its memory
/// with the number of hits asked for.
class ScanSearch final : public Search {
 public:
  explicit ScanSearch(const Core& core) : core_(core) {}

  std::vector<Hit> find(const RecallQuery& query, DamageMet& damage) const override;

 private:
  const Core& core_;
};

/// Throws Error(invalid) or Error(limit) for a query that cannot be answered.
void check_query(const RecallQuery& query, const SegmentTable& segments);

}  // namespace loam
