// Value types that keep a tally of themselves, for tests that lose and destroy nothing twice.
#ifndef WEFT_CTESTS_COUNTED_HPP
#define WEFT_CTESTS_COUNTED_HPP

#include <atomic>
#include <stdexcept>
#include <utility>

/// Counts every object made and destroyed, and marks what it was moved out of. The Theme keeps the tallies of several tests in one
/// program apart.
template <class Theme>
class counted {
public:
    static inline std::atomic<long> alive{0};
    static inline std::atomic<long> made{0};

    explicit counted(long number = 0) : number_(number) { born(); }
    counted(const counted &other) : number_(other.number_) { born(); }
    counted(counted &&other) noexcept : number_(std::exchange(other.number_, moved_out)) { born(); }
    counted &operator=(const counted &other) = default;
    counted &operator=(counted &&other) noexcept {
        number_ = std::exchange(other.number_, moved_out);
        return *this;
    }
    ~counted() { alive.fetch_sub(1); }

    static constexpr long moved_out = -1;
    long number() const noexcept { return number_; }

private:
    static void born() {
        alive.fetch_add(1);
        made.fetch_add(1);
    }

    long number_;
};

/// The same, move-only.
template <class Theme>
class solitary : public counted<Theme> {
public:
    using counted<Theme>::counted;
    solitary(solitary &&) noexcept = default;
    solitary &operator=(solitary &&) noexcept = default;
};

/// Counts like the above; moving or copying one with a negative number throws, as long as `armed` is set.
template <class Theme>
class brittle {
public:
    static inline std::atomic<long> alive{0};
    static inline std::atomic<bool> armed{false};

    explicit brittle(long number) : number_(number) { alive.fetch_add(1); }
    brittle(const brittle &other) : number_(other.take_hold()) { alive.fetch_add(1); }
    brittle(brittle &&other) : number_(other.take_hold()) { alive.fetch_add(1); }
    brittle &operator=(const brittle &other) = default;
    ~brittle() { alive.fetch_sub(1); }

    long number() const noexcept { return number_; }

private:
    long take_hold() const {
        if (number_ < 0 && armed.load()) throw std::range_error("brittle");
        return number_;
    }

    long number_;
};

#endif
