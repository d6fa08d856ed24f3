#include "lib/search.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <range/v3/action/sort.hpp>
#include <range/v3/action/unique.hpp>
#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/transform.hpp>

#include "crdt/codec.hpp"
#include "crdt/error.hpp"
#include "lib/lookup.hpp"

namespace loam {
namespace {

namespace views = ranges::views;

constexpr std::size_t query_octets_max = std::size_t{64} << 10;
constexpr std::size_t terms_max = 64;
constexpr std::size_t offset_max = 100'000;
constexpr std::size_t limit_max = 1'000;
constexpr double bm25_k1 = 0.9;

bool is_word_octet(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

// Calls `each` with every word of a text: runs of ASCII letters and digits and of anything beyond
// ASCII, ASCII lowered.
template <class Each>
void for_words(std::string_view text, Each&& each) {
  std::string word;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    if (is_word_octet(octet)) {
      word.push_back(octet >= 'A' && octet <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
      continue;
    }
    if (!word.empty()) each(word);
    word.clear();
  }
  if (!word.empty()) each(word);
}

template <class Each>
void for_texts(const Value& value, Each&& each) {
  if (const auto* text = value.get<std::string>()) each(*text);
  if (const auto* array = value.get<Array>()) {
    for (const Value& item : *array) for_texts(item, each);
  }
  if (const auto* map = value.get<Map>()) {
    for (const auto& [key, item] : *map) for_texts(item, each);
  }
}

std::vector<std::string> terms_of(std::string_view text) {
  std::vector<std::string> terms;
  for_words(text, [&](const std::string& word) {
    const bool is_new = std::find(terms.begin(), terms.end(), word) == terms.end();
    if (is_new && terms.size() < terms_max) terms.push_back(word);
  });
  return terms;
}

// How often each term occurs in what a record says.
std::vector<std::uint32_t> frequencies(const std::vector<std::string>& terms,
                                       const Record& record) {
  std::vector<std::uint32_t> counts(terms.size(), 0);
  const auto count = [&](const std::string& text) {
    for_words(text, [&](const std::string& word) {
      const auto at = std::find(terms.begin(), terms.end(), word);
      if (at != terms.end()) ++counts[static_cast<std::size_t>(at - terms.begin())];
    });
  };
  for (const auto& [key, value] : record.payload) for_texts(value, count);
  for (const std::string& tag : record.tags) count(tag);
  return counts;
}

bool passes(const RecallQuery& query, const Record& record, std::int64_t now_ms) {
  if (record.expires_at_ms != 0 && record.expires_at_ms <= now_ms) return false;
  if (query.since_ms && record.updated_ms < *query.since_ms) return false;
  if (query.until_ms && record.updated_ms > *query.until_ms) return false;
  const auto has = [](const std::vector<std::string>& list, const std::string& item) {
    return std::find(list.begin(), list.end(), item) != list.end();
  };
  if (!query.author.empty() && !has(record.authors, query.author)) return false;
  return std::all_of(query.tags.begin(), query.tags.end(),
                     [&](const std::string& tag) { return has(record.tags, tag); });
}

bool is_better(const Hit& left, const Hit& right) {
  if (left.score != right.score) return left.score > right.score;
  return left.record.id < right.record.id;
}

template <class Each>
void for_private_records(const Core& core, const Segment& segment, DamageMet& damage, Each&& each) {
  constexpr std::size_t page = 256;
  std::optional<PacketId> before;
  while (true) {
    const auto records = core.priv.newest(core.priv.number(segment.name), before, page);
    for (const PrivateRecord& record : records) {
      if (record.is_damaged) {
        damage.priv.insert(record.id.text());
      } else {
        each(record_of(core, segment, record));
      }
    }
    if (records.size() < page) return;
    before = records.back().id;
  }
}

// Each record once: where its newest dot stands.
template <class Each>
void for_shared_records(const Core& core, const std::map<SegmentNumber, const Segment*>& segments,
                        DamageMet& damage, Each&& each) {
  AuthorNames names(core);
  const auto is_wanted = [&](SegmentNumber number) { return segments.count(number) != 0; };
  core.shared.read([&](const SharedReader& reader) {
    lmdb::Cursor cursor = reader.txn().cursor(table::rec, lmdb::Damage::mark);
    for (bool on = cursor.first(); on; on = cursor.next()) {
      const std::uint64_t sequence = load_u64(cursor.key().data());
      const auto found = sound_row(core, cursor, is_wanted, damage);
      if (!found) continue;
      if (!is_wanted(found->segment)) continue;
      if (auto record = newest_record_of(core, names, reader, *found, sequence)) {
        each(std::move(*record));
      }
    }
    return 0;
  });
}

// Every record of the searched segments, one at a time.
template <class Each>
void for_records(const Core& core, const std::vector<const Segment*>& segments, DamageMet& damage,
                 Each&& each) {
  std::map<SegmentNumber, const Segment*> shared;
  for (const Segment* segment : segments) {
    if (segment->scope == Scope::shared) {
      shared.emplace(core.shared.number(segment->name), segment);
    } else {
      for_private_records(core, *segment, damage, each);
    }
  }
  if (!shared.empty()) for_shared_records(core, shared, damage, each);
}

std::vector<const Segment*> searched_segments(const RecallQuery& query, const SegmentTable& table) {
  const auto address = [](const Segment& segment) { return &segment; };
  if (query.segments.empty()) {
    const auto is_set = [](const Segment& segment) { return segment.kind == Kind::set; };
    return table.all() | views::filter(is_set) | views::transform(address) | ranges::to_vector;
  }
  const auto named = [&](const std::string& name) { return &table.find(name); };
  return query.segments | views::transform(named) | ranges::to_vector | ranges::actions::sort |
         ranges::actions::unique;
}

}  // namespace

void check_query(const RecallQuery& query, const SegmentTable& segments) {
  const auto limit = [](const char* what, std::size_t value, std::size_t max) {
    if (value > max) {
      throw Error(ErrorCode::limit, std::string("recall: ") + what + ": " + std::to_string(value) +
                                        ", limit " + std::to_string(max));
    }
  };
  limit("query octets", query.text.size(), query_octets_max);
  limit("limit", query.limit, limit_max);
  limit("offset", query.offset, offset_max);
  if (query.limit == 0) throw Error(ErrorCode::invalid, "recall: limit is 0");
  for (const std::string& name : query.segments) {
    if (segments.find(name).kind != Kind::set) {
      throw Error(ErrorCode::invalid, "recall: segment " + name + " holds entries, not records");
    }
  }
}

std::vector<Hit> ScanSearch::find(const RecallQuery& query, DamageMet& damage) const {
  const auto segments = searched_segments(query, core_.segments);
  const std::vector<std::string> terms = terms_of(query.text);
  const std::int64_t now_ms = core_.now_ms();
  const std::size_t wanted = query.offset + query.limit + 1;

  // First pass: in how many visible records each term occurs.
  std::vector<double> weights(terms.size(), 0);
  if (!terms.empty()) {
    double records = 0;
    for_records(core_, segments, damage, [&](const Record& record) {
      if (!passes(query, record, now_ms)) return;
      ++records;
      const auto counts = frequencies(terms, record);
      for (std::size_t i = 0; i < terms.size(); ++i) weights[i] += counts[i] > 0 ? 1 : 0;
    });
    for (double& weight : weights) {
      weight = std::log(1 + (records - weight + 0.5) / (weight + 0.5));
    }
  }

  // Second pass: the best so far, worst on top of the heap.
  std::vector<Hit> best;
  for_records(core_, segments, damage, [&](Record record) {
    if (!passes(query, record, now_ms)) return;
    Hit hit;
    if (terms.empty()) {
      hit.score = static_cast<double>(record.updated_ms);
    } else {
      const auto counts = frequencies(terms, record);
      for (std::size_t i = 0; i < terms.size(); ++i) {
        if (counts[i] == 0) continue;
        const double part = weights[i] * counts[i] * (bm25_k1 + 1) / (counts[i] + bm25_k1);
        hit.score += part;
        if (query.explain) hit.why[terms[i]] = part;
      }
      if (hit.score <= 0) return;
    }
    hit.record = std::move(record);
    best.push_back(std::move(hit));
    std::push_heap(best.begin(), best.end(), is_better);
    if (best.size() <= wanted) return;
    std::pop_heap(best.begin(), best.end(), is_better);
    best.pop_back();
  });
  std::sort(best.begin(), best.end(), is_better);
  return best;
}

}  // namespace loam
