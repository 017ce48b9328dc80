// Results that are ready later: future, promise, and async, which starts a task that makes one. What a future holds, and how exceptions
// get there, is in cell.hpp.
#ifndef WEFT_CPP_FUTURE_HPP
#define WEFT_CPP_FUTURE_HPP

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "carry.hpp"
#include "cell.hpp"
#include "channel.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "task.hpp"
#include "time.hpp"
#include "worker.hpp"

namespace weft {

template <class T>
class future;
template <class T>
class promise;

namespace detail {
struct descriptors;
struct polls;
} // namespace detail

/// A callable that waits to be told of a settled future, or of a descriptor that is ready. Copies of the handle are the same one; it waits without them, too.
class watch {
public:
    /// An empty handle.
    watch() noexcept = default;

    /// Takes it back. True: it will not run, and is destroyed. False: it runs, has run, or was taken back before.
    bool off() const {
        const weft_status status = weft_watch_off(native());
        if (status == WEFT_BUSY) return false;
        detail::check(status);
        return true;
    }

    /// The C handle, borrowed.
    weft_watch *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    template <class T>
    friend class future;
    friend class breaker;
    friend struct detail::descriptors;

    explicit watch(detail::watch_handle handle) noexcept : handle_(std::move(handle)) {}

    detail::watch_handle handle_;
};

namespace detail {

struct combinators;

template <class T, class F>
future<T> async(weft_runtime *runtime, F &&callable, const task_options &how);

} // namespace detail

/// A result that is ready later. Copies refer to the same result.
template <class T>
class future {
    static_assert(!std::is_reference_v<T>, "a future holds a value, a pointer or a std::reference_wrapper");

public:
    /// An empty handle.
    future() noexcept = default;

    /// Waits until the result is there or its task has failed, whichever. Inside a task another task runs meanwhile.
    void wait() const { detail::check(weft_future_wait(native(), WEFT_FOREVER)); }

    /// Waits at most this long; false if nothing has come by then.
    template <class Rep, class Period>
    [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = weft_future_wait(native(), detail::timeout_ns(timeout));
        if (status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK) return false;
        detail::check(status);
        return true;
    }

    /// Waits, then gives the result, which stays with the future: valid while a copy of it exists. Throws what the task threw, or
    /// weft::error if there is no result for another reason (WEFT_BROKEN: the promise has gone, or the task was discarded unrun).
    decltype(auto) get() const & {
        const detail::cell<T> *const cell = cell_in_place(); // of void there may be none
        if constexpr (!std::is_void_v<T>) return std::as_const(*cell->value);
        else static_cast<void>(cell);
    }

    /// On a temporary: as take(); a copy, if the value is another future's (any, race).
    T get() && {
        if constexpr (std::is_void_v<T> || std::is_copy_constructible_v<T>) {
            if (cell_ && cell_->borrows()) return static_cast<const future &>(*this).get();
        }
        return take();
    }

    /// Waits, then moves the result out and leaves this handle empty. Throws as get() does, and
    /// WEFT_BUSY if another copy of the future exists; the handle is then as it was.
    T take() {
        void *value = nullptr;
        const weft_status status = weft_future_take(native(), WEFT_FOREVER, &value);
        if (status != WEFT_OK) rethrow(status);
        const detail::cell_pointer<T> taken(static_cast<detail::cell<T> *>(value));
        *this = future();
        if constexpr (!std::is_void_v<T>) return std::move(*taken->value);
    }

    /// Whether the result or the failure is there. Never blocks.
    bool settled() const { return state() != WEFT_FUTURE_PENDING; }

    /// Whether there is a failure: get() would throw at once. Never blocks.
    bool failed() const { return is_failed(state()); }

    /// Whether that failure is WEFT_CANCELLED. Never blocks.
    bool cancelled() const { return state() == WEFT_FUTURE_CANCELLED; }

    /// Asks whoever is to settle it to stop: a promise's owner, a task. One that has not begun is dropped. Waits for nothing.
    void cancel() const {
        static_cast<void>(state()); // an empty handle is told
        weft_future_cancel(native());
    }

    /// Goes on with the value: a future of what the callable returns for it, run as a task of the calling task's runtime or the default
    /// one when there is a value. If there is none because of a failure, that is the new future's failure, too.
    template <class F>
    auto then(F &&callable, const task_options &how = {}) const -> future<detail::continued<T, std::decay_t<F>>> {
        return then_on(nullptr, std::forward<F>(callable), how);
    }

    /// A future that is settled as this one is, but fails with WEFT_TIMEOUT if that takes longer. This one goes on. The value stays its
    /// own: it cannot be taken.
    template <class Rep, class Period>
    future timeout(const std::chrono::duration<Rep, Period> &time) const {
        weft_future *made = nullptr;
        detail::check(weft_future_timeout(native(), detail::timeout_ns(time), &made));
        return made_of(made, std::vector<future>{*this});
    }

    /// Calls the callable when it is settled, whatever the outcome: on the thread that settles it, or at once. It must not block. What
    /// it throws goes where a spawned task's exception goes.
    template <class F>
    watch on_settled(F &&callable) const {
        using call_type = detail::settled_call<std::decay_t<F>>;
        std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable)});
        weft_watch *watching = nullptr;
        detail::check(weft_future_on_settled(native(), call_type::entry, call.get(), call_type::drop, nullptr, &watching));
        static_cast<void>(call.release()); // the future's, or done with
        return watch(detail::watch_handle(watching));
    }

    /// Sends the tag when it is settled: one unbounded channel for any number of futures.
    void notify(const channel<std::uint64_t> &completions, std::uint64_t tag) const {
        detail::check(weft_future_notify(native(), completions.native(), tag));
    }

    /// A descriptor for event loops, readable when it is settled. The future's: neither to be read nor to be closed.
    int fd() const {
        int descriptor = -1;
        detail::check(weft_future_fd(native(), &descriptor));
        return descriptor;
    }

    /// The C handle, borrowed. Its value is private to these headers; waiting on it, and its state and error, are for anyone.
    weft_future *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    template <class U, class F>
    friend future<U> detail::async(weft_runtime *runtime, F &&callable, const task_options &how);
    template <class U>
    friend class future;
    friend class promise<T>;
    friend class runtime;
    friend struct detail::combinators;
    friend struct detail::polls;

    future(weft_future *owned, detail::cell_pointer<T> cell) noexcept : handle_(owned), cell_(std::move(cell)) {}

    static bool is_failed(std::int32_t state) noexcept { return state == WEFT_FUTURE_FAILED || state == WEFT_FUTURE_CANCELLED; }

    template <class F>
    auto then_on(weft_runtime *runtime, F &&callable, const task_options &how) const -> future<detail::continued<T, std::decay_t<F>>> {
        using result_type = detail::continued<T, std::decay_t<F>>;
        using call_type = detail::then_call<T, result_type, std::decay_t<F>>;
        auto *const made = new call_type(std::forward<F>(callable));
        detail::cell_pointer<result_type> cell(made);
        made->sources.add(cell_);
        detail::cell_pointer<result_type> for_task = cell;
        detail::native_options options(how);
        options->arg_drop = call_type::drop_unrun;
        options->result_drop = detail::cell<result_type>::drop;
        weft_future *later = nullptr;
        detail::check(weft_future_then(native(), runtime, call_type::entry, for_task.get(), options.get(), &later));
        static_cast<void>(for_task.leak()); // the task's now
        return future<result_type>(later, std::move(cell));
    }

    /// A future of this type for one that C has made of others.
    template <class Sources>
    static future made_of(weft_future *owned, const Sources &sources) {
        detail::future_handle owner(owned);
        auto *const combined = new detail::combined_cell<T>;
        detail::cell_pointer<T> cell(combined);
        for (const auto &source : sources) combined->sources.add(source.cell_);
        future made;
        made.handle_ = std::move(owner);
        made.cell_ = std::move(cell);
        return made;
    }

    std::int32_t state() const {
        const std::int32_t state = weft_future_state(native());
        if (state < 0) detail::fail(WEFT_INVALID);
        return state;
    }

    const detail::cell<T> *cell_in_place() const {
        void *value = nullptr;
        const weft_status status = weft_future_get(native(), WEFT_FOREVER, &value);
        if (status != WEFT_OK) rethrow(status);
        return static_cast<const detail::cell<T> *>(value);
    }

    [[noreturn]] void rethrow(weft_status status) const {
        const error refused(status, weft_error_message()); // read before another call replaces it
        if (!is_failed(weft_future_state(native()))) throw refused;
        const weft_error *const failure = weft_future_error(native());
        if (cell_) {
            if (const std::exception_ptr kept = cell_->find(weft_error_status(failure), weft_error_text(failure))) std::rethrow_exception(kept);
        }
        for (const weft_error *cause = failure; cause; cause = weft_error_cause(cause)) {
            if (const std::exception_ptr carried = detail::carried_exception::find(cause)) std::rethrow_exception(carried);
        }
        throw error(*failure);
    }

    detail::future_handle handle_;
    detail::cell_pointer<T> cell_; // not of promises: where a task leaves its exception, or where those of others are found
};

/// The other end of a future: whoever holds it settles the future, once. Copies settle the same future; if all go without having
/// settled it, it fails with WEFT_BROKEN.
template <class T>
class promise {
public:
    /// A new promise, with its future inside until get_future().
    promise() {
        weft_promise *promised = nullptr;
        weft_future *later = nullptr;
        detail::check(weft_promise_new(&promised, &later));
        handle_ = detail::promise_handle(promised);
        future_ = future<T>(later, detail::cell_pointer<T>());
    }

    /// A copy can settle the future but not hand it out.
    promise(const promise &other) noexcept : handle_(other.handle_) {}
    promise(promise &&) noexcept = default;
    promise &operator=(promise other) noexcept {
        handle_ = std::move(other.handle_);
        future_ = std::move(other.future_);
        return *this;
    }
    ~promise() = default;

    /// Hands out the future, once; then throws weft::error (WEFT_BUSY), as copies always do.
    future<T> get_future() {
        if (!future_) throw error(WEFT_BUSY, "get_future: this promise has no future to hand out (any more)");
        return std::move(future_);
    }

    /// Settles the future with a T made from the arguments. Throws weft::error (WEFT_BUSY) if it is settled already.
    template <class... Args>
    void set_value(Args &&...args) const {
        detail::cell_pointer<T> cell(new detail::cell<T>);
        cell->value.emplace(std::forward<Args>(args)...);
        detail::check(weft_promise_resolve(native(), cell.get(), detail::cell<T>::drop, nullptr));
        cell.leak();
    }

    /// Whether somebody has asked by future::cancel for it not to be settled with a value any more: then fail it with WEFT_CANCELLED.
    bool cancelled() const noexcept { return weft_promise_cancelled(native()); }

    /// Fails the future with an exception, which its get() throws. Throws weft::error (WEFT_BUSY) if it is settled already.
    void set_exception(std::exception_ptr exception) const {
        if (!exception) throw error(WEFT_INVALID, "set_exception: the exception pointer is empty");
        const detail::bytes_handle payload = detail::wrap_exception(exception);
        const weft_status status = detail::describe(exception);
        const std::string message = weft_error_message();
        detail::check(weft_promise_reject(native(), status, message.c_str(), payload.get()));
    }

    /// Fails the future with a status and a message, which its get() throws as weft::error.
    void set_error(weft_status status, const std::string &message) const {
        detail::check(weft_promise_reject(native(), status, message.c_str(), nullptr));
    }

    /// The C handle, borrowed. C may reject it; only these headers may resolve it.
    weft_promise *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    detail::promise_handle handle_;
    future<T> future_; // until it is handed out
};

namespace detail {

template <class T, class F>
future<T> async(weft_runtime *runtime, F &&callable, const task_options &how) {
    using call_type = async_call<T, std::decay_t<F>>;
    cell_pointer<T> cell(new call_type(std::forward<F>(callable)));
    cell_pointer<T> for_task = cell;
    native_options options(how);
    options->arg_drop = call_type::drop_unrun;
    options->result_drop = detail::cell<T>::drop;
    weft_future *later = nullptr;
    check(weft_async(runtime, call_type::entry, for_task.get(), options.get(), &later));
    for_task.leak(); // the task's now
    return future<T>(later, std::move(cell));
}

} // namespace detail

/// Runs a copy of the callable on a worker and gives a future of what it returns or throws. Never blocks. The callable is destroyed
/// before the future settles.
template <class F>
auto async(F &&callable, const task_options &how = {}) -> future<detail::invoked<std::decay_t<F>>> {
    return detail::async<detail::invoked<std::decay_t<F>>>(nullptr, std::forward<F>(callable), how);
}

} // namespace weft

#endif
