#include "apps/shell.hpp"

#include <boost/json/value.hpp>

#include "apps/shapes.hpp"
#include "apps/text.hpp"

namespace loam::cli {

void answer(const Shell& shell, const boost::json::object& json, const std::string& text) {
  if (shell.json) {
    shell.out.write_line(json);
  } else {
    shell.out.write(text);
  }
}

void answer(const Shell& shell, const Receipt& receipt) {
  answer(shell, shape(receipt), printable(receipt.id) + "\n");
}

}  // namespace loam::cli
