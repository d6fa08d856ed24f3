// The program of README.md: what stands between the markers is its code block, octet for octet
// (test_readme.py compares them, and runs this).
// --- readme
#include <iostream>

#include "lib/loam.hpp"

int main(int argc, char** argv) {
  auto memory = loam::Memory::open({.dir = "alpha", .name = "alpha"});  // made at the first start
  memory.remember({.text = "Retry 429 with jitter; fixed sleeps synchronise the herd",
                   .tags = {"http", "retry"}});       // shared; durable when it returns
  memory.put("session_context", "goal", "ship 1.0");  // private: stays in this directory

  if (argc > 1) memory.sync_shared_segments({.endpoints = {argv[1]}});  // "ws://127.0.0.1:7700"

  for (const auto& hit : memory.recall({.text = "retry"}).items) {
    std::cout << hit.record.authors.front() << ": " << hit.record.text << "\n";
  }
}
// --- end
