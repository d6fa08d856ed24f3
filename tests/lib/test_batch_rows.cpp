// Signed batches in the store: what one commit writes is signed once, its records die singly, and verify
// knows what is not as its author has signed it.
#include <doctest/doctest.h>

#include "tests/lib/signed_store.hpp"

namespace loam {
namespace {

using test::Gen;
using test::id_of;
using test::set_segment;
using test::SignedStore;

void check_signatures(const SignedStore& store) {
  for (const auto& found : store.batches()) {
    REQUIRE(found.batch);
    REQUIRE(is_signed_by(store.shared.signing_key().public_key(), {encode(*found.batch), found.row.signature}));
    REQUIRE(is_true_of(found.batch->actor, found.batch->claim));
  }
}

TEST_CASE("what one commit writes in a segment is one batch, up to 256 records") {
  SignedStore store;
  store.add(3);
  store.add(600);
  const auto batches = store.batches();
  REQUIRE(batches.size() == 4);
  const std::array<std::pair<std::uint64_t, int>, 4> expected{{{1, 3}, {4, 256}, {260, 256}, {516, 88}}};
  for (std::size_t i = 0; i < 4; ++i) {
    CHECK(batches[i].first == expected[i].first);
    CHECK(batches[i].row.count == expected[i].second);
    CHECK(batches[i].row.rest.empty());
    CHECK(batches[i].batch->segment == set_segment);
    CHECK(batches[i].batch->claim.author == id_of<InstanceId>(1));
  }
  check_signatures(store);
  CHECK(store.is_sound());
}

TEST_CASE("records of one batch have 48 KiB together, or are one record") {
  SignedStore store;
  store.add(4, 20'000);
  store.add(1, 100'000);
  std::vector<int> counts;
  for (const auto& found : store.batches()) counts.push_back(found.row.count);
  CHECK(counts == std::vector{2, 2, 1});
  CHECK(store.is_sound());
}

TEST_CASE("records of a batch go one by one, and it stays signed until the last has gone") {
  SignedStore store;
  std::vector<ElementId> elements = store.add(100);
  Gen gen(4);
  while (!elements.empty()) {
    store.write([&](SharedBatch& batch) {
      for (std::size_t left = std::min<std::size_t>(1 + gen.index(30), elements.size()); left > 0; --left) {
        const auto at = elements.begin() + static_cast<std::ptrdiff_t>(gen.index(elements.size()));
        batch.remove(store.set, *at);
        elements.erase(at);
      }
    });
    CHECK(store.batches().size() == (elements.empty() ? 0 : 1));
    check_signatures(store);
    REQUIRE(store.is_sound());
  }
}

TEST_CASE("a record that goes in the commit that wrote it is signed, and gone") {
  SignedStore store;
  store.write([&](SharedBatch& batch) {
    const auto first = batch.add(store.set, test::content_of("first"), test::meta_of("")).element;
    batch.add(store.set, test::content_of("second"), test::meta_of(""));
    batch.remove(store.set, first);
  });
  REQUIRE(store.batches().size() == 1);
  CHECK(store.batches()[0].row.count == 2);
  CHECK(store.batches()[0].row.rest.size() == 1);
  check_signatures(store);
  store.write([&](SharedBatch& batch) {
    batch.remove(store.set, batch.add(store.set, test::content_of("third"), test::meta_of("")).element);
  });
  CHECK(store.batches().size() == 1);
  CHECK(store.is_sound());
}

TEST_CASE("one commit may change more batches than are kept in memory") {
  SignedStore store;
  std::vector<ElementId> elements;
  for (std::size_t i = 0; i < batches_kept_max + 50; ++i) {
    for (const ElementId& each : store.add(2)) elements.push_back(each);
  }
  store.write([&](SharedBatch& batch) {
    for (std::size_t i = 0; i < elements.size(); i += 2) batch.remove(store.set, elements[i]);
    for (std::size_t i = 0; i < elements.size() / 2; i += 2) batch.remove(store.set, elements[i + 1]);
  });
  CHECK(store.batches().size() == batches_kept_max + 50 - elements.size() / 4);
  check_signatures(store);
  CHECK(store.is_sound());
}

TEST_CASE("a store without a key signs nothing") {
  SignedStore store{SigningKey()};
  const auto elements = store.add(3);
  store.write([&](SharedBatch& batch) { batch.remove(store.set, elements[1]); });
  CHECK(store.batches().empty());
  CHECK(store.is_sound());
}

TEST_CASE("verify finds a batch that is not as it was signed") {
  const auto said = [](const std::function<std::optional<BatchRow>(BatchRow)>& change) {
    SignedStore store;
    const auto elements = store.add(5);
    store.write([&](SharedBatch& batch) { batch.remove(store.set, elements[2]); });
    store.change_first(change);
    const auto findings = store.findings();
    return findings.size() == 1 ? findings[0] : "findings: " + std::to_string(findings.size());
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  CHECK(contains(said([](BatchRow row) {
          row.signature.bytes[3] ^= std::byte{1};
          return row;
        }), "has another signature"));
  CHECK(contains(said([](BatchRow row) {
          row.rest[0].bytes[3] ^= std::byte{1};
          return row;
        }), "has another signature"));
  CHECK(contains(said([](BatchRow row) {
          row.rest.clear();
          return row;
        }), "does not fit its records"));
  CHECK(contains(said([](BatchRow) { return std::optional<BatchRow>(); }), "in no batch"));
}

}  // namespace
}  // namespace loam
