#pragma once

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace loam {

/// A list that keeps few elements in itself, so that it takes no memory from elsewhere before it has more than `few`.
/// What it has taken it keeps when it is cleared.
template <class T, std::size_t few>
class SmallList {
 public:
  void push_back(T element) {
    if (size_ < few) {
      few_[size_] = std::move(element);
    } else {
      if (size_ == few) many_.assign(few_.begin(), few_.end());
      many_.push_back(std::move(element));
    }
    ++size_;
  }

  void clear() noexcept {
    size_ = 0;
    many_.clear();
  }

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  T* begin() noexcept { return size_ > few ? many_.data() : few_.data(); }
  T* end() noexcept { return begin() + size_; }
  const T* begin() const noexcept { return size_ > few ? many_.data() : few_.data(); }
  const T* end() const noexcept { return begin() + size_; }
  const T& operator[](std::size_t i) const noexcept { return begin()[i]; }

  /// Keeps the first elements only.
  void shorten(std::size_t size) {
    if (size_ > few && size <= few) std::move(many_.begin(), many_.begin() + static_cast<std::ptrdiff_t>(size), few_.begin());
    many_.resize(size > few ? size : 0);
    size_ = size;
  }

 private:
  std::array<T, few> few_{};
  std::vector<T> many_;
  std::size_t size_ = 0;
};

}  // namespace loam
