#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "crdt/error.hpp"
#include "transport/address.hpp"

using loam::Address;
using loam::Error;
using loam::ErrorCode;

namespace {

/// The Error that parsing throws.
Error parse_error(const std::string& text) {
  try {
    (void)loam::parse_address(text);
  } catch (const Error& error) {
    return error;
  }
  FAIL("accepted: ", text);
  return Error(ErrorCode::failed, "unreachable");
}

}  // namespace

TEST_CASE("an address is read in every spelling") {
  struct Row {
    std::string text;
    Address address;
    std::string printed;
  };
  const std::vector<Row> rows = {
      {"ws://127.0.0.1:7701", {"127.0.0.1", 7701}, "127.0.0.1:7701"},
      {"ws://127.0.0.1:7701/", {"127.0.0.1", 7701}, "127.0.0.1:7701"},
      {"ws://127.0.0.1", {"127.0.0.1", 7700}, "127.0.0.1:7700"},
      {"ws://127.0.0.1/", {"127.0.0.1", 7700}, "127.0.0.1:7700"},
      {"127.0.0.1:0", {"127.0.0.1", 0}, "127.0.0.1:0"},
      {"127.0.0.1:65535", {"127.0.0.1", 65535}, "127.0.0.1:65535"},
      {"localhost", {"localhost", 7700}, "localhost:7700"},
      {"LocalHost:1", {"localhost", 1}, "localhost:1"},
      {"[::1]:7700", {"::1", 7700}, "[::1]:7700"},
      {"[::1]", {"::1", 7700}, "[::1]:7700"},
      {"ws://[0:0:0:0:0:0:0:1]:9/", {"::1", 9}, "[::1]:9"},
      {"hub.example.org:7700", {"hub.example.org", 7700}, "hub.example.org:7700"},
      {"192.0.2.7", {"192.0.2.7", 7700}, "192.0.2.7:7700"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.text);
    const auto address = loam::parse_address(row.text);
    CHECK(address == row.address);
    CHECK(address.text() == row.printed);
    CHECK(loam::parse_address(address.text()) == address);
  }
}

TEST_CASE("a malformed address is invalid") {
  const std::vector<std::string> rows = {"",
                                         "ws://",
                                         "ws:///",
                                         ":7700",
                                         "127.0.0.1:",
                                         "127.0.0.1:65536",
                                         "127.0.0.1:-1",
                                         "127.0.0.1:+1",
                                         "127.0.0.1:77 00",
                                         "127.0.0.1:0x10",
                                         "127.0.0.1:7700/",
                                         "127.0.0.1/x",
                                         "ws://127.0.0.1:7700//",
                                         "ws://127.0.0.1:7700/loam/1",
                                         "wsss://127.0.0.1:7700",
                                         "http://127.0.0.1",
                                         "WS://127.0.0.1",
                                         "127.1",
                                         "127.0.0.01",
                                         "127.0.0.256",
                                         "1.2.3.4.5",
                                         "::1",
                                         "::1:7700",
                                         "[::1",
                                         "[::1]7700",
                                         "[::1]:",
                                         "[]",
                                         "[127.0.0.1]",
                                         "[fe80::1%eth0]:1",
                                         "local host",
                                         "localhost\n",
                                         std::string("localhost\0x", 11),
                                         std::string("[::1\0x]", 7),
                                         "höst",
                                         std::string(254, 'a')};
  for (const auto& text : rows) {
    CAPTURE(text);
    CHECK(parse_error(text).code() == ErrorCode::invalid);
  }
  CHECK(parse_error("127.0.0.1:65536").what() ==
        std::string("invalid: address 127.0.0.1:65536: expected HOST:PORT or ws://HOST:PORT, an "
                    "IPv6 host in brackets, a port from 0 to 65535"));
}

TEST_CASE("a user or password is refused and not repeated") {
  for (const std::string text : {"ws://me:hunter2@127.0.0.1:7700", "me@localhost", "@localhost"}) {
    const auto error = parse_error(text);
    CHECK(error.code() == ErrorCode::invalid);
    CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
  }
}

TEST_CASE("unprintable and long addresses are cut in messages") {
  const std::string what = parse_error("\x1b[31m" + std::string(1'000, 'a') + ":x").what();
  CHECK(what.find('\x1b') == std::string::npos);
  CHECK(what.size() < 250);
}

TEST_CASE("ws goes to loopback only") {
  for (const std::string text :
       {"127.0.0.1", "127.255.255.254", "127.0.0.0", "localhost", "[::1]"}) {
    CAPTURE(text);
    const auto address = loam::parse_address(text);
    CHECK(address.is_loopback());
    CHECK_NOTHROW(loam::require_private(address));
  }
  for (const std::string text :
       {"0.0.0.0", "126.255.255.255", "128.0.0.1", "192.168.1.2", "[::]", "[::2]",
        "[::ffff:127.0.0.1]", "example.org", "localhost.example.org", "localhost."}) {
    CAPTURE(text);
    const auto address = loam::parse_address(text);
    CHECK_FALSE(address.is_loopback());
    CHECK_THROWS_WITH_AS(loam::require_private(address),
                         doctest::Contains("TLS is required off loopback"), Error);
  }
}

TEST_CASE("wss goes anywhere") {
  for (const auto& [text, host] : std::vector<std::pair<std::string, std::string>>{
           {"wss://hub.example.org", "hub.example.org"}, {"wss://0.0.0.0:7700/", "0.0.0.0"}, {"wss://[::]:1", "::"}}) {
    const auto address = loam::parse_address(text);
    CHECK(address.tls);
    CHECK(address.host == host);
    CHECK_NOTHROW(loam::require_private(address));
    CHECK(loam::parse_address(address.text()) == address);
    CHECK(loam::parse_address(address.endpoint()) == address);
  }
  const auto address = loam::parse_address("wss://[2001:db8::1]");
  CHECK(address.text() == "wss://[2001:db8::1]:7700");
  CHECK(address.authority() == "[2001:db8::1]:7700");
  CHECK(loam::parse_address("127.0.0.1").endpoint() == "ws://127.0.0.1:7700");
}

TEST_CASE("with TLS a Host header names an address or one of the own names") {
  const std::vector<std::string> names{"hub.example.org"};
  for (const std::string header : {"hub.example.org", "HUB.example.org:7700", "192.0.2.1:7700", "[2001:db8::1]:1"}) {
    CAPTURE(header);
    CHECK(loam::is_own_host(header, names));
  }
  for (const std::string header : {"", "example.org", "hub.example.org.", "xhub.example.org", "hub.example.org:x",
                                   "hub.example.org,other", "other@hub.example.org", "127.1"}) {
    CAPTURE(header);
    CHECK_FALSE(loam::is_own_host(header, names));
  }
}

TEST_CASE("a Host header is allowed only where it names loopback") {
  for (const std::string header : {"localhost", "localhost:7700", "LOCALHOST:1", "127.0.0.1",
                                   "127.9.8.7:65535", "[::1]", "[::1]:7700"}) {
    CAPTURE(header);
    CHECK(loam::is_loopback_host(header));
  }
  for (const std::string header :
       {"", "example.org", "localhost.example.org", "127.0.0.1.example.org", "127.0.0.1:",
        "127.0.0.1:x", "::1", "[::1", "[::2]", "192.168.0.1", "me@localhost", "localhost/",
        "localhost,localhost", " localhost", "127.1", "2130706433", "ws://localhost"}) {
    CAPTURE(header);
    CHECK_FALSE(loam::is_loopback_host(header));
  }
}
