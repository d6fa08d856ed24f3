#pragma once

#include <optional>

#include "crdt/error.hpp"

namespace test {

/// The kind of loam::Error that an action throws; absent when it returns.
template <class Action>
std::optional<loam::ErrorCode> error_of(Action&& action) {
  try {
    action();
  } catch (const loam::Error& error) {
    return error.code();
  }
  return std::nullopt;
}

}  // namespace test
