// Encoding and decoding, beside what msgpack-c does with the same values and no rules.
#include <msgpack.hpp>

#include "bench/harness.hpp"
#include "bench/records.hpp"
#include "crdt/codec.hpp"
#include "crdt/hash.hpp"
#include "transport/frame.hpp"

namespace {

using bench::Run;
using bench::seconds;

std::string hash_of(const loam::Bytes& octets) { return loam::content_hash(octets).text(); }

// Whole records: built, encoded canonically, and taken apart again with every check.
void records(Run& run) {
  const std::size_t records = run.size(200'000, 2'000);
  const bench::Corpus corpus(1);
  std::vector<loam::SetRecord> parts;
  for (std::size_t i = 0; i < std::min<std::size_t>(records, 10'000); ++i) {
    parts.push_back(loam::decode_set_record(bench::set_record(corpus, i)));
  }
  std::vector<loam::Bytes> encoded(parts.size());
  const double encoding = seconds([&] {
    for (std::size_t i = 0; i < records; ++i)
      encoded[i % parts.size()] = encode(parts[i % parts.size()]);
  });
  std::size_t octets = 0;
  const double decoding = seconds([&] {
    for (std::size_t i = 0; i < records; ++i) {
      octets += loam::decode_set_record(encoded[i % parts.size()]).content.size();
    }
  });
  bench::require(octets > records * 200, "contents are missing");
  // The limit: the library's own parser over the same octets, without canonical rules or a copy.
  const double limit = seconds([&] {
    for (std::size_t i = 0; i < records; ++i) {
      const loam::Bytes& record = encoded[i % parts.size()];
      msgpack::null_visitor visitor;
      std::size_t offset = 0;
      const bool ok = msgpack::parse(reinterpret_cast<const char*>(record.data()), record.size(),
                                     offset, visitor);
      bench::require(ok, "does not parse");
    }
  });
  const auto rate = [&](double spent) { return static_cast<double>(records) / spent; };
  run.report({"codec/records",
              {{"records", records}},
              {{"encode_per_s", rate(encoding)},
               {"decode_per_s", rate(decoding)},
               {"msgpack_parse_per_s", rate(limit)}},
              hash_of(encoded.front())});
}

// Chunks as they travel.
void frames(Run& run) {
  const std::size_t records = run.size(200'000, 2'000);
  const bench::Corpus corpus(1);
  loam::Delta state;
  for (std::size_t i = 0; i < records; ++i) {
    const loam::Dot dot{bench::actor_of(i % 16), i / 16 + 1};
    state.context.insert(dot);
    state.live.emplace(dot, bench::set_record(corpus, i));
  }
  loam::Authors authors;
  for (std::size_t i = 0; i < 16; ++i) authors.emplace(bench::actor_of(i), bench::instance_of(i));
  std::vector<loam::Bytes> encoded;
  const double encoding = seconds([&] { encoded = bench::frames_of(state, authors); });
  double octets = 0;
  std::size_t found = 0;
  const double decoding = seconds([&] {
    for (const loam::Bytes& frame : encoded) {
      octets += static_cast<double>(frame.size());
      found += std::get<loam::DeltaFrame>(loam::decode_frame(frame)).delta.live.size();
    }
  });
  bench::require(found == records, "records are missing");
  run.report(
      {"codec/frames",
       {{"records", records}, {"frames", encoded.size()}},
       {{"encode_mb_per_s", octets / encoding / 1e6}, {"decode_mb_per_s", octets / decoding / 1e6}},
       hash_of(encoded.back())});
}

}  // namespace

int main(int argc, char** argv) {
  return bench::run_parts(argc, argv, "loam", {{"records", records}, {"frames", frames}});
}
