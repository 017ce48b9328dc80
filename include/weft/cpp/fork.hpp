// Fork-join without callbacks for the first half: weft_fork and weft_sync, safe when exceptions fly between the two.
#ifndef WEFT_CPP_FORK_HPP
#define WEFT_CPP_FORK_HPP

#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "worker.hpp"

namespace weft {
namespace detail {

/// From where the thread that `position` belongs to would fork now.
inline weft_worker *head(weft_worker *position) noexcept {
#ifdef WEFT_NO_INLINE
    static_cast<void>(position);
    return weft_worker_current();
#else
    return reinterpret_cast<weft_worker *>(*weft_region_word(position, WEFT_REGION_HEAD));
#endif
}

} // namespace detail

/// A callable that another thread may run while this scope goes on. It is offered when the object is made; sync() ends it, and so
/// does the end of the scope.
///
///     weft::forked right(on, [&](weft::worker w) { return sum(w, middle, end); });
///     const long left = sum(right.next(), begin, middle);
///     return left + right.sync();
///
/// Several in one scope are made each with the next() of the one before, and synced in reverse order. `on` must be the worker
/// that this very callable was given, not one captured from further out: it is not checked. Neither copied nor moved.
template <class F>
class [[nodiscard]] forked {
    using invoked_type = detail::invoked<F &>;

public:
    forked(worker on, F callable) : position_(on.native()), callable_(std::move(callable)), call_{callable_} {
        weft_fork(position_, call_.entry, &call_);
    }

    forked(const forked &) = delete;
    forked &operator=(const forked &) = delete;

    /// Unless it was synced: a callable that no other thread has begun is dropped, one that runs is waited for, and what it
    /// returned or threw is dropped.
    ~forked() {
        if (!synced_) weft_sync(position_);
    }

    /// What to pass to whatever runs, forks or joins before sync().
    worker next() const noexcept { return worker(weft_next(position_)); }

    /// Runs the callable here unless another thread took it, waits for it if one did, and returns what it returned, or throws what
    /// it threw. Once; throws an error with WEFT_INVALID if a fork made after this one has not been synced.
    auto sync() -> invoked_type {
        if (synced_ || detail::head(position_) != weft_next(position_))
            throw error(WEFT_INVALID, "forks are synced once, in the reverse order of their making");
        synced_ = true;
        if (weft_sync(position_)) call_.entry(position_, &call_);
        call_.rethrow();
        if constexpr (!std::is_void_v<invoked_type>) return std::move(*call_.result);
    }

private:
    weft_worker *position_;
    F callable_;
    detail::borrowed_call<F> call_;
    bool synced_ = false;
};

} // namespace weft

#endif
