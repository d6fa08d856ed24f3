#include <doctest/doctest.h>

#include <set>
#include <string>

#include "crdt/error.hpp"

using loam::Error;
using loam::ErrorCode;

TEST_CASE("an error reads: code, colon, message") {
  const Error error(ErrorCode::limit, "key: 401 octets, limit 400");
  CHECK(std::string(error.what()) == "limit: key: 401 octets, limit 400");
  CHECK(error.message() == "key: 401 octets, limit 400");
  CHECK(error.code() == ErrorCode::limit);
}

TEST_CASE("every kind of error has its own word and an exit code from 1 to 9") {
  std::set<std::string_view> names;
  std::set<int> exits;
  for (int code = 0; code <= static_cast<int>(ErrorCode::wrong_process); ++code) {
    names.insert(loam::code_name(static_cast<ErrorCode>(code)));
    exits.insert(loam::exit_code(static_cast<ErrorCode>(code)));
  }
  CHECK(names.size() == static_cast<std::size_t>(ErrorCode::wrong_process) + 1);
  CHECK(exits == std::set<int>{1, 2, 3, 4, 5, 6, 7, 8, 9});
}
