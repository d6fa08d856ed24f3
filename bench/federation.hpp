#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// Makes the instances of one federation, each with every right, for processes that open them later. The first founds
/// it and admits the others.
void found(const std::vector<std::pair<std::filesystem::path, std::string>>& members);

}  // namespace bench
