#include <boost/json/value.hpp>

#include "apps/input.hpp"
#include "apps/records.hpp"
#include "apps/shapes.hpp"

namespace loam::cli {
namespace {

/// Ids of one commit.
constexpr std::size_t group_ids = 1'000;

/// The longest line of a list of ids.
constexpr std::size_t id_line_octets_max = 256;

struct Group {
  std::vector<std::string> ids;
  std::vector<std::uint64_t> lines;
};

struct Outcome {
  boost::json::array items;
  std::uint64_t removed = 0;
  std::vector<std::pair<std::uint64_t, std::string>> refused;
};

void add(const std::vector<Receipt>& receipts, Outcome& outcome) {
  for (const Receipt& receipt : receipts) outcome.items.push_back(shape(receipt));
  outcome.removed += receipts.size();
}

/// One commit; or, when an id names nothing, one by one, so that the others go.
void forget_group(Memory& memory, const Group& group, Outcome& outcome) {
  try {
    add(memory.forget(group.ids), outcome);
    return;
  } catch (const Error& error) {
    const bool is_about_an_id =
        error.code() == ErrorCode::not_found || error.code() == ErrorCode::invalid;
    if (!is_about_an_id) throw;
  }
  for (std::size_t i = 0; i < group.ids.size(); ++i) {
    try {
      add({memory.forget(group.ids[i])}, outcome);
    } catch (const Error& error) {
      outcome.refused.emplace_back(group.lines[i], error.what());
    }
  }
}

int forget_batch(Memory& memory, const std::string& file, const Shell& shell) {
  LineReader reader(file, id_line_octets_max);
  Outcome outcome;
  Progress progress("ids:");
  std::uint64_t lines = 0;
  bool at_end = false;
  while (!at_end) {
    Group group;
    while (group.ids.size() < group_ids) {
      auto line = reader.next();
      at_end = !line;
      if (at_end) break;
      lines = line->number;
      if (line->text.empty()) continue;
      group.ids.push_back(std::move(line->text));
      group.lines.push_back(line->number);
    }
    if (!group.ids.empty()) forget_group(memory, group, outcome);
    progress.at(lines);
  }
  const std::string text = "removed " + std::to_string(outcome.removed) + ", refused " +
                           std::to_string(outcome.refused.size()) + "\n";
  answer(shell,
         boost::json::object{{"items", std::move(outcome.items)},
                             {"removed", outcome.removed},
                             {"refused", refused_shape(outcome.refused)}},
         text);
  complain(outcome.refused);
  return outcome.refused.empty() ? 0 : exit_code(ErrorCode::failed);
}

}  // namespace

int run(const command::Forget& forget, const Shell& shell) {
  if (forget.id.empty() == forget.batch.empty()) {
    throw Error(ErrorCode::invalid, "forget: needs either ID or --batch");
  }
  Memory memory = open_memory(shell);
  if (!forget.batch.empty()) return forget_batch(memory, forget.batch, shell);
  answer(shell, memory.forget(forget.id));
  return 0;
}

}  // namespace loam::cli
