// Futures made of several others: all, any, race.
#ifndef WEFT_CPP_COMBINE_HPP
#define WEFT_CPP_COMBINE_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "error.hpp"
#include "future.hpp"
#include "time.hpp"

namespace weft {
namespace detail {

struct combinators {
    using function = weft_status (*)(weft_future *const *futures, std::size_t n, weft_future **out);

    /// A future<R> of what a C function makes of these.
    template <class R, class Futures>
    static future<R> make(function combine, const Futures &futures) {
        std::vector<weft_future *> natives;
        natives.reserve(futures.size());
        for (const auto &one : futures) natives.push_back(one.native());
        weft_future *made = nullptr;
        check(combine(natives.data(), natives.size(), &made));
        return future<R>::made_of(made, futures);
    }

    static future<void> make_delay(std::int64_t ns) {
        weft_future *made = nullptr;
        check(weft_future_delay(ns, &made));
        return future<void>::made_of(made, std::vector<future<void>>());
    }

    /// The same for futures of several types.
    template <class... T>
    static future<void> make_all(const future<T> &...futures) {
        weft_future *const natives[] = {futures.native()...};
        weft_future *made = nullptr;
        check(weft_future_all(natives, sizeof...(T), &made));
        future<void> all = future<void>::made_of(made, std::vector<future<void>>());
        (static_cast<combined_cell<void> &>(*all.cell_.get()).sources.add(futures.cell_), ...);
        return all;
    }
};

} // namespace detail

/// Ready when all of these are, which then have the values; fails with the first failure, at once.
template <class... T>
future<void> all(const future<T> &...futures) {
    return detail::combinators::make_all(futures...);
}

/// The same for any number of them, none included.
template <class T>
future<void> all(const std::vector<future<T>> &futures) {
    return detail::combinators::make<void>(weft_future_all, futures);
}

/// The first success among these; when all have failed, the last failure. The value is the winner's: it cannot be taken.
template <class T>
future<T> any(const std::vector<future<T>> &futures) {
    return detail::combinators::make<T>(weft_future_any, futures);
}

/// Settled as the first of these is, be it by a value or a failure. The value is the winner's: it cannot be taken.
template <class T>
future<T> race(const std::vector<future<T>> &futures) {
    return detail::combinators::make<T>(weft_future_race, futures);
}

/// Ready when this long has passed.
template <class Rep, class Period>
future<void> delay(const std::chrono::duration<Rep, Period> &time) {
    return detail::combinators::make_delay(detail::timeout_ns(time));
}

/// Which of several futures settled the one that any or race made of them, or failed the one that all made; empty while it is pending,
/// and when no single one did.
template <class T>
std::optional<std::size_t> winner(const future<T> &made) {
    std::size_t index = 0;
    const weft_status status = weft_future_winner(made.native(), &index);
    if (status == WEFT_WOULD_BLOCK || status == WEFT_NOT_FOUND) return std::nullopt;
    detail::check(status);
    return index;
}

} // namespace weft

#endif
