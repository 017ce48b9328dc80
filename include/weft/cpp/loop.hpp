// Parallel loops over a range of indices: parallel_for and reduce, each for single indices and for ranges.
//
// A failure, that is an exception out of a callable, stops what has not begun and is thrown again when everything begun has ended.
// Nested use is fine.
#ifndef WEFT_CPP_LOOP_HPP
#define WEFT_CPP_LOOP_HPP

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "cancel.hpp"
#include "carry.hpp"
#include "error.hpp"
#include "worker.hpp"

namespace weft {

/// How many indices were done, failed (their callable threw) and skipped.
using loop_report = weft_loop_report;

/// How a loop is cut and what it tells.
struct loop_options {
    /// Indices per piece at most. 0: as many as take some ten microseconds.
    std::size_t grain = 0;
    /// Where to leave a report, also when the loop fails; may be null. Untouched if the loop was refused.
    loop_report *report = nullptr;
    /// Ranges of up to this many indices are not split.
    std::size_t serial_below = 0;
    /// When to stop, between two pieces; then the loop throws an error with WEFT_TIMEOUT.
    std::int64_t timeout_ns = WEFT_FOREVER;
    /// What an exception does: WEFT_ON_FAILURE_STOP, or run again serially what failed or was not reached (_REDO) or all
    /// (_REDO_ALL); if that fails, too, the first exception of all is thrown. Not for reductions.
    std::int32_t on_failure = WEFT_ON_FAILURE_STOP;
    /// Ends the loop when triggered; then it throws an error with WEFT_CANCELLED. May be empty.
    cancel_token cancel{};

    void apply(weft_loop_options &native) const noexcept {
        native.grain = grain;
        native.serial_below = serial_below;
        native.timeout_ns = timeout_ns;
        native.on_failure = on_failure;
        native.cancel = cancel.get();
    }
};

namespace detail {

template <class F>
struct range_call {
    F &body;
    first_exception failure{};

    static weft_status entry(weft_worker *native, std::size_t begin, std::size_t end, void *arg) {
        auto &call = *static_cast<range_call *>(arg);
        try {
            detail::invoke(call.body, native, begin, end);
            return WEFT_OK;
        } catch (...) {
            return call.failure.keep();
        }
    }
};

template <class F>
void for_ranges(weft_runtime *runtime, std::size_t begin, std::size_t end, F &body, const loop_options &options) {
    static_assert(std::is_void_v<invoked<F &, std::size_t, std::size_t>>, "a loop body returns nothing; it fails by throwing");
    weft_loop_options native;
    check(weft_loop_options_init(&native, sizeof native));
    options.apply(native);
    if (options.report) options.report->size = sizeof *options.report;
    range_call<F> call{body};
    call.failure.check(weft_for(runtime, begin, end, call.entry, &call, &native, options.report));
}

template <class F>
void for_each(weft_runtime *runtime, std::size_t begin, std::size_t end, F &body, const loop_options &options) {
    static_assert(std::is_void_v<invoked<F &, std::size_t>>, "a loop body returns nothing; it fails by throwing");
    auto range = [&body](worker on, std::size_t from, std::size_t to) {
        for (; from != to; ++from) detail::invoke(body, on.native(), from);
    };
    for_ranges(runtime, begin, end, range, options);
}

/// A reduction in flight. The C function copies accumulators bit by bit and aligns them to 16, which not every type bears: those are
/// kept behind a pointer. A null pointer stands for an accumulator nothing was folded into yet, so that the bitwise copies of the
/// identity are copies of a null pointer.
template <class T, class Fold, class Combine>
struct reduction {
    static constexpr bool in_place = std::is_trivially_copyable_v<T> && alignof(T) <= 16;
    using accumulator = std::conditional_t<in_place, T, T *>;

    const T &identity;
    Fold &fold_callable;
    Combine &combine_callable;
    first_exception failure{};

    static weft_status fold(weft_worker *native, std::size_t begin, std::size_t end, void *raw, void *arg) {
        auto &self = *static_cast<reduction *>(arg);
        auto &into = *static_cast<accumulator *>(raw);
        try {
            if constexpr (in_place) {
                detail::invoke(self.fold_callable, native, into, begin, end);
            } else {
                if (!into) into = new T(self.identity);
                detail::invoke(self.fold_callable, native, *into, begin, end);
            }
            return WEFT_OK;
        } catch (...) {
            return self.failure.keep();
        }
    }

    static weft_status combine(weft_worker *native, void *raw_into, void *raw_from, void *arg) {
        auto &self = *static_cast<reduction *>(arg);
        auto &into = *static_cast<accumulator *>(raw_into);
        auto &from = *static_cast<accumulator *>(raw_from);
        try {
            if constexpr (in_place) {
                detail::invoke(self.combine_callable, native, into, std::move(from));
            } else {
                const std::unique_ptr<T> moved(std::exchange(from, nullptr)); // gone whatever happens, and never dropped twice
                if (into && moved) {
                    detail::invoke(self.combine_callable, native, *into, std::move(*moved));
                } else if (moved) {
                    into = new T(std::move(*moved));
                }
            }
            return WEFT_OK;
        } catch (...) {
            return self.failure.keep();
        }
    }

    static void drop(void *, void *raw) {
        if constexpr (!in_place) delete std::exchange(*static_cast<T **>(raw), nullptr);
    }
};

template <class T, class Fold, class Combine>
T reduce_ranges(weft_runtime *runtime, std::size_t begin, std::size_t end, const T &identity, Fold &fold, Combine &combine, const loop_options &options) {
    static_assert(std::is_void_v<invoked<Fold &, T &, std::size_t, std::size_t>>, "fold changes its accumulator and returns nothing");
    static_assert(std::is_void_v<invoked<Combine &, T &, T &&>>, "combine changes its first argument and returns nothing");
    using reduction_type = reduction<T, Fold, Combine>;
    weft_loop_options native;
    check(weft_loop_options_init(&native, sizeof native));
    options.apply(native);
    native.acc_drop = reduction_type::drop;
    reduction_type call{identity, fold, combine};
    if constexpr (reduction_type::in_place) {
        T out = identity;
        call.failure.check(weft_reduce(runtime, begin, end, sizeof out, &identity, call.fold, call.combine, &call, &native, &out));
        return out;
    } else {
        T *const nothing = nullptr;
        T *out = nullptr;
        const weft_status status = weft_reduce(runtime, begin, end, sizeof out, &nothing, call.fold, call.combine, &call, &native, &out);
        const std::unique_ptr<T> owned(out);
        call.failure.check(status);
        return owned ? T(std::move(*owned)) : identity;
    }
}

template <class T, class Fold, class Combine>
T reduce(weft_runtime *runtime, std::size_t begin, std::size_t end, const T &identity, Fold &fold, Combine &combine, const loop_options &options) {
    static_assert(std::is_void_v<invoked<Fold &, T &, std::size_t>>, "fold changes its accumulator and returns nothing");
    auto range = [&fold](worker on, T &into, std::size_t from, std::size_t to) {
        for (; from != to; ++from) detail::invoke(fold, on.native(), into, from);
    };
    return reduce_ranges(runtime, begin, end, identity, range, combine, options);
}

} // namespace detail

/// Calls body(i) for every i in [begin, end), in parallel, and returns when all are done. begin > end throws weft::error.
template <class F>
void parallel_for(std::size_t begin, std::size_t end, F &&body, const loop_options &options = {}) {
    detail::for_each(nullptr, begin, end, body, options);
}

/// Calls body(from, to) for pieces that make up [begin, end): for loops that prepare something once per piece.
template <class F>
void parallel_for_ranges(std::size_t begin, std::size_t end, F &&body, const loop_options &options = {}) {
    detail::for_ranges(nullptr, begin, end, body, options);
}

/// Folds [begin, end) into one T: fold(acc, i) adds index i to an accumulator that began as a copy of the identity; combine(into,
/// std::move(from)) adds a right neighbour to its left one, so that it need only be associative. Both change their first argument and
/// return nothing. An empty range gives the identity. With a fixed grain the result is the same, bit by bit, on any number of
/// workers. options.report is not used.
template <class T, class Fold, class Combine>
T reduce(std::size_t begin, std::size_t end, const T &identity, Fold &&fold, Combine &&combine, const loop_options &options = {}) {
    return detail::reduce(nullptr, begin, end, identity, fold, combine, options);
}

/// The same with fold(acc, from, to) called for pieces of the range.
template <class T, class Fold, class Combine>
T reduce_ranges(std::size_t begin, std::size_t end, const T &identity, Fold &&fold, Combine &&combine, const loop_options &options = {}) {
    return detail::reduce_ranges(nullptr, begin, end, identity, fold, combine, options);
}

} // namespace weft

#endif
