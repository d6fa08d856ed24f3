// Prints the records that all benchmarks use, a JSON object a line, for programs in other languages:
//   bench_corpus COUNT [SEED]
#include <boost/json.hpp>
#include <cstdlib>
#include <iostream>

#include "bench/corpus.hpp"

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "Usage: " << argv[0] << " COUNT [SEED]\n";
    return 2;
  }
  const bench::Corpus corpus(argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 1);
  const std::uint64_t count = std::strtoull(argv[1], nullptr, 10);
  for (std::uint64_t i = 0; i < count; ++i) {
    const loam::PacketEnvelope packet = corpus.packet(i);
    boost::json::array tags;
    for (const std::string& tag : packet.tags) tags.emplace_back(tag);
    const boost::json::object record{
        {"id", "record-" + std::to_string(i)},
        {"text", *packet.payload.at("text").get<std::string>()},
        {"tags", std::move(tags)},
        {"author", *packet.metadata.at("agent").get<std::string>()},
        {"at", 1'700'000'000'000 + static_cast<std::int64_t>(i)}};
    std::cout << boost::json::serialize(record) << "\n";
  }
  return 0;
}
