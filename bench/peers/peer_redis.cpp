// Redis, its append-only file synced at every write, pipelined where records come in groups. Over a
// local socket. Starts a server of its own.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "bench/harness.hpp"
#include "bench/peers/key_value.hpp"

namespace {

/// A server that keeps its data in a directory; it ends with this.
class Server {
 public:
  explicit Server(const std::filesystem::path& dir) : path_((dir / "socket").string()) {
    const std::string where = dir.string();
    id_ = ::fork();
    bench::require(id_ >= 0, "no process");
    if (id_ == 0) {
      ::execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", path_.c_str(),
               "--dir", where.c_str(), "--save", "", "--appendonly", "yes", "--appendfsync",
               "always", "--daemonize", "no", "--loglevel", "warning", "--logfile", "/dev/null",
               nullptr);
      ::_exit(127);
    }
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server() {
    ::kill(id_, SIGTERM);
    ::waitpid(id_, nullptr, 0);
  }

  // Until it answers, data loaded.
  int connect() const {
    struct sockaddr_un address {};
    address.sun_family = AF_UNIX;
    bench::require(path_.size() < sizeof address.sun_path, "the path is too long");
    path_.copy(address.sun_path, path_.size());
    for (int tries = 0; tries < 100'000; ++tries) {
      const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const auto* const at = reinterpret_cast<const sockaddr*>(&address);
      if (::connect(socket, at, sizeof address) == 0) return socket;
      ::close(socket);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    throw std::runtime_error("redis-server does not answer");
  }

 private:
  std::string path_;
  pid_t id_;
};

class Redis final : public bench::KeyValue {
 public:
  explicit Redis(std::shared_ptr<Server> server)
      : server_(std::move(server)), socket_(server_->connect()) {
    while (!ask({"PING"}).starts_with("+PONG")) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }
  ~Redis() override { ::close(socket_); }

  void put(const Pairs& pairs) override {
    std::string commands;
    for (const auto& [key, value] : pairs) append(commands, {"SET", key, value});
    send(commands);
    for (std::size_t i = 0; i < pairs.size(); ++i) must_be(reply(), '+');
  }

  void remove(const std::vector<std::string>& keys) override {
    std::string commands;
    for (const std::string& key : keys) append(commands, {"DEL", key});
    send(commands);
    for (std::size_t i = 0; i < keys.size(); ++i) must_be(reply(), ':');
  }

  bool get(const std::string& key) override { return ask({"GET", key}).size() > 100; }

  // Keys by SCAN, then their values, a page of a thousand at a time.
  std::size_t scan() override {
    std::size_t found = 0;
    std::string cursor = "0";
    do {
      send(command({"SCAN", cursor, "COUNT", "1000"}));
      must_be(line(), '*');
      cursor = reply().substr(1);
      const std::size_t count = std::stoul(line().substr(1));
      std::vector<std::string> get{"MGET"};
      for (std::size_t i = 0; i < count; ++i) get.push_back(reply().substr(1));
      if (count == 0) continue;
      send(command(get));
      must_be(line(), '*');
      for (std::size_t i = 0; i < count; ++i) found += reply().size() > 100 ? 1 : 0;
    } while (cursor != "0");
    return found;
  }

  std::unique_ptr<KeyValue> another() override { return std::make_unique<Redis>(server_); }

 private:
  static void must_be(const std::string& answer, char kind) {
    bench::require(!answer.empty() && answer[0] == kind, "redis: " + answer);
  }

  static void append(std::string& to, const std::vector<std::string>& words) {
    to += "*" + std::to_string(words.size()) + "\r\n";
    for (const std::string& word : words) {
      to += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
    }
  }
  static std::string command(const std::vector<std::string>& words) {
    std::string all;
    append(all, words);
    return all;
  }

  std::string ask(const std::vector<std::string>& words) {
    send(command(words));
    return reply();
  }

  void send(const std::string& all) {
    for (std::size_t done = 0; done < all.size();) {
      const auto sent = ::send(socket_, all.data() + done, all.size() - done, MSG_NOSIGNAL);
      bench::require(sent > 0, "redis-server has ended");
      done += static_cast<std::size_t>(sent);
    }
  }

  void receive() {
    if (at_ > 0 && at_ == buffer_.size()) {
      buffer_.clear();
      at_ = 0;
    }
    std::array<char, 65'536> more{};
    const auto got = ::read(socket_, more.data(), more.size());
    bench::require(got > 0, "redis-server has ended");
    buffer_.append(more.data(), static_cast<std::size_t>(got));
  }

  std::string line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n", at_)) == std::string::npos) receive();
    std::string text = buffer_.substr(at_, end - at_);
    at_ = end + 2;
    return text;
  }

  // The kind of an answer, and what it says; an absent value is "$".
  std::string reply() {
    std::string head = line();
    if (head[0] != '$') return head;
    const long size = std::stol(head.substr(1));
    if (size < 0) return "$";
    while (buffer_.size() - at_ < static_cast<std::size_t>(size) + 2) receive();
    std::string value = "$" + buffer_.substr(at_, static_cast<std::size_t>(size));
    at_ += static_cast<std::size_t>(size) + 2;
    return value;
  }

  std::shared_ptr<Server> server_;
  int socket_;
  std::string buffer_;
  std::size_t at_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  return bench::run_key_value(argc, argv, "redis", [](const std::filesystem::path& dir) {
    return std::make_unique<Redis>(std::make_shared<Server>(dir));
  });
}
