#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "crdt/id.hpp"
#include "lib/signing_key.hpp"

namespace loam {

/// The key of an instance: an Ed25519 seed in a file that only its owner can read.
struct InstanceKey {
  std::string public_key;  ///< 64 hexadecimal digits
  InstanceId id;           ///< derived from the public key
  SigningKey signing;
};

/// Reads `dir/identity.key`. Throws Error(not_found) when there is none, Error(denied) when it is a
/// symlink, of another owner, or readable by others, Error(damaged) when it is no key.
InstanceKey load_instance_key(const std::filesystem::path& dir);

/// Makes a new key and writes it, 0600, durable. Throws Error(failed), also when there is one.
InstanceKey make_instance_key(const std::filesystem::path& dir);

/// Makes the directory, 0700, when it is missing. Throws Error(denied) when it is a symlink, owned by
/// somebody else, accessible to group or others, or on a network file system; Error(failed).
void secure_directory(const std::filesystem::path& dir);

/// The name of a network file system of that type (statfs, f_type); empty for any other. All of FUSE
/// counts: which file system is behind it cannot be seen.
std::string_view network_file_system(std::uint32_t type) noexcept;

}  // namespace loam
