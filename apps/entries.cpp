#include "apps/entries.hpp"

#include <boost/json/value.hpp>

#include "apps/shapes.hpp"
#include "apps/text.hpp"
#include "apps/time_text.hpp"
#include "lib/json_value.hpp"

namespace loam::cli {
namespace {

std::string value_text(const Entry& entry) {
  return entry.value ? printable(serialized(to_json(*entry.value))) : "(erased)";
}

std::string heads_text(const std::vector<Entry>& heads) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& head : heads) {
    rows.push_back({print_time(head.at_ms), printable(head.author), value_text(head)});
  }
  return table(rows);
}

boost::json::array heads_shape(const std::vector<Entry>& heads) {
  boost::json::array out;
  for (const auto& head : heads) out.push_back(head_shape(head));
  return out;
}

}  // namespace

int run(const command::Put& put, const Shell& shell) {
  Memory memory = open_memory(shell);
  answer(shell, memory.put(put.segment, put.key, put.value, put.call));
  return 0;
}

int run(const command::Show& show, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const auto winner = memory.value(show.segment, show.key, show.call);
  if (!winner || !winner->value) {
    throw Error(ErrorCode::not_found, "key " + show.key + " of " + show.segment + ": has no value");
  }
  boost::json::object out = shape(*winner);
  if (!show.heads) {
    answer(shell, out, value_text(*winner) + "\n");
    return 0;
  }
  std::vector<Entry> heads{*winner};
  const auto siblings = memory.siblings(show.segment, show.key, show.call);
  heads.insert(heads.end(), siblings.begin(), siblings.end());
  out["heads"] = heads_shape(heads);
  answer(shell, out, heads_text(heads));
  return 0;
}

int run(const command::Keys& keys, const Shell& shell) {
  const Memory memory = open_memory(shell);
  const KeyPage page = memory.keys(keys.segment, keys.cursor, keys.limit);
  if (shell.json) {
    shell.out.write_line(shape(page));
    return 0;
  }
  for (const auto& key : page.items) shell.out.write(printable(key) + "\n");
  if (page.next) say("more with --cursor " + *page.next);
  return 0;
}

int run(const command::Erase& erase, const Shell& shell) {
  Memory memory = open_memory(shell);
  answer(shell, memory.erase(erase.segment, erase.key, erase.call));
  return 0;
}

}  // namespace loam::cli
