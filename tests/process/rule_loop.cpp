// An agent at its work: asks for a decision again and again, and prints it when it is another.
//   rule_loop DIR ACTION      until standard input is closed
#include <poll.h>
#include <unistd.h>

#include <iostream>

#include "lib/loam.hpp"

int main(int count, char** arguments) {
  if (count != 3) return 2;
  try {
    const loam::Memory memory = loam::Memory::open({.dir = arguments[1]});
    std::string last;
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (::poll(&input, 1, 1) == 0) {
      const loam::Decision decision = memory.rules().check({.action = arguments[2]});
      std::string now(loam::name_of(decision.effect));
      if (decision.effect == loam::Effect::require_approval) {
        now += " " + std::to_string(decision.requirement.min_approvals);
      }
      if (now == last) continue;
      std::cout << now << std::endl;
      last = now;
    }
    return 0;
  } catch (const loam::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
