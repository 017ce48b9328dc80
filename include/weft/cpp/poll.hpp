// Poll tasks: callables that are called again whenever they are woken, until they have a result.
#ifndef WEFT_CPP_POLL_HPP
#define WEFT_CPP_POLL_HPP

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "cell.hpp"
#include "error.hpp"
#include "future.hpp"
#include "task.hpp"
#include "worker.hpp"

namespace weft {

/// Has a poll task called again, from any thread, also when it has ended. Copies wake the same task.
class waker {
public:
    /// An empty handle.
    waker() noexcept = default;
    waker(const waker &other) noexcept : native_(other.native_ ? weft_waker_clone(other.native_) : nullptr) {}
    waker(waker &&other) noexcept : waker() { swap(other); }
    waker &operator=(waker other) noexcept {
        swap(other);
        return *this;
    }
    ~waker() {
        if (owned_) weft_waker_release(native_);
    }

    /// Never blocks.
    void wake() const noexcept { weft_waker_wake(native_); }

    /// The C handle, borrowed.
    const weft_waker *native() const noexcept { return native_; }
    explicit operator bool() const noexcept { return native_ != nullptr; }

    /// A view of what a C function lends; copies of it are one's own.
    static waker lent(const weft_waker *native) noexcept {
        waker view;
        view.native_ = const_cast<weft_waker *>(native);
        view.owned_ = false;
        return view;
    }

private:
    void swap(waker &other) noexcept {
        std::swap(native_, other.native_);
        std::swap(owned_, other.owned_);
    }

    weft_waker *native_ = nullptr;
    bool owned_ = true;
};

namespace detail {

/// What a poll gives: std::optional<T> for a future of T, bool for one of void.
template <class P>
struct polled {
    static_assert(std::is_same_v<P, bool>, "a poll task returns std::optional<T>, or bool: whether it is done");
    using type = void;
};
template <class T>
struct polled<std::optional<T>> {
    using type = T;
};

/// A task's callable together with the cell for its result, and the waker that it copies.
template <class T, class F>
struct poll_call final : cell<T> {
    std::optional<F> callable;

    template <class G>
    explicit poll_call(G &&source) : callable(std::in_place, std::forward<G>(source)) {}

    static poll_call &from(void *arg) { return static_cast<poll_call &>(*static_cast<cell<T> *>(arg)); }

    static weft_status entry(weft_worker *native, void *arg, const weft_waker *lent, void **result) {
        poll_call &call = from(arg);
        try {
            const waker view = waker::lent(lent);
            auto polled = detail::invoke(*call.callable, native, view);
            if (!polled) return WEFT_WOULD_BLOCK;
            if constexpr (std::is_void_v<T>) call.value.emplace();
            else call.value.emplace(*std::move(polled));
        } catch (...) {
            cell_pointer<T> mine(&call);
            // That it would block is not for a callable to say by an exception.
            const weft_status status = call.keep(caught(), WEFT_WOULD_BLOCK);
            call.callable.reset();
            return status;
        }
        cell_pointer<T> mine(&call);
        call.callable.reset();
        *result = mine.leak();
        return WEFT_OK;
    }

    static void drop_unrun(void *, void *arg) {
        poll_call &call = from(arg);
        call.callable.reset();
        call.release();
    }
};

struct polls {
    template <class T, class F>
    static future<T> spawn(weft_runtime *runtime, F &&callable, const task_options &how) {
        using call_type = poll_call<T, std::decay_t<F>>;
        cell_pointer<T> cell(new call_type(std::forward<F>(callable)));
        cell_pointer<T> for_task = cell;
        native_options options(how);
        options->arg_drop = call_type::drop_unrun;
        options->result_drop = detail::cell<T>::drop;
        weft_future *later = nullptr;
        check(weft_spawn_poll(runtime, call_type::entry, for_task.get(), options.get(), &later));
        static_cast<void>(for_task.leak()); // the task's now
        return future<T>(later, std::move(cell));
    }

    template <class F>
    using result = typename polled<invoked<std::decay_t<F> &, const waker &>>::type;
};

} // namespace detail

/// Calls a copy of the callable with a `const weft::waker &` on a worker, and again whenever a copy of that waker has been woken, until
/// it returns a result: a std::optional<T> with a value, or true; an exception ends it, too. Without a copy of the waker kept somewhere
/// an unfinished task is dropped, and its future fails with WEFT_BROKEN. It must not block. A request to stop wakes it once:
/// weft_cancelled says so. The callable is destroyed before the future settles.
template <class F>
auto spawn_poll(F &&callable, const task_options &how = {}) -> future<detail::polls::result<F>> {
    return detail::polls::spawn<detail::polls::result<F>>(nullptr, std::forward<F>(callable), how);
}

} // namespace weft

#endif
