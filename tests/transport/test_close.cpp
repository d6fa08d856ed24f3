#include <doctest/doctest.h>

#include "transport/close.hpp"

using loam::close_reason_of;
using loam::peer_close_text;

TEST_CASE("a close reason has at most 123 octets") {
  CHECK(close_reason_of(std::string(123, 'x')) == std::string(123, 'x'));
  CHECK(close_reason_of(std::string(124, 'x')) == std::string(123, 'x'));
  CHECK(close_reason_of("") == "");
}

TEST_CASE("a close reason is cut between characters") {
  const std::string euro = "\xe2\x82\xac";
  CHECK(close_reason_of(std::string(120, 'x') + euro) == std::string(120, 'x') + euro);
  for (const std::size_t before : {121U, 122U, 123U}) {
    CHECK(close_reason_of(std::string(before, 'x') + euro) == std::string(before, 'x'));
  }
}

TEST_CASE("a close reason is always UTF-8") {
  CHECK(close_reason_of("caf\xc3\xa9") == "caf\xc3\xa9");
  CHECK(close_reason_of("caf\xe9 \xc3\xa9") == "caf? ??");
}

TEST_CASE("what a peer gives as its reason stays on one line") {
  CHECK(peer_close_text(1013, "") == "closed by the peer: 1013");
  CHECK(peer_close_text(1008, "no\r\n\x1b[1m\x7f entry") ==
        "closed by the peer: 1008 no???[1m? entry");
}
