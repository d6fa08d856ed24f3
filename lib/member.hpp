#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace loam {

/// An instance of the federation, as its registry has it.
struct Member {
  std::string name = {};        ///< a label
  std::string public_key = {};  ///< 64 hexadecimal digits
  std::string id = {};          ///< follows from the key
  std::string role = "member";  ///< or hub, or governor
  std::map<std::string, std::string> permissions = {};  ///< by segment some of r, w, t and l, in that order
  std::vector<std::string> endpoints = {};              ///< hints where it listens
  bool voter = false;
  std::string status = "active";  ///< or suspended, or revoked
};

/// What is to change of a member; what is absent stays.
struct MemberChange {
  std::map<std::string, std::string> permissions = {};  ///< of these segments; empty letters: none any more
  std::optional<std::string> role = {};
  std::optional<bool> voter = {};
  bool force = false;  ///< of voters: without a majority of those of now; what only they held is not waited for
  std::optional<std::vector<std::string>> endpoints = {};
};

/// What whoever is invited will be.
struct InviteOptions {
  Member member = {};     ///< without a key
  std::string endpoint = {};  ///< where this instance listens
  std::chrono::milliseconds valid = std::chrono::hours(24);
};

}  // namespace loam
