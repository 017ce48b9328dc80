// Results that are ready later: future, promise, and async, which starts a task that makes one.
//
// The value of a C future is, for these headers, always a cell: the C++ value or exception with a reference count. One reference is
// the C future's (its drop function gives it back); a future from async holds another, because that is where it finds the exception of
// a task that threw. A promise's exception travels as the payload of the C future's error instead.
#ifndef WEFT_CPP_FUTURE_HPP
#define WEFT_CPP_FUTURE_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "task.hpp"
#include "handle.hpp"
#include "time.hpp"
#include "worker.hpp"

namespace weft {

template <class T>
class future;
template <class T>
class promise;

namespace detail {

template <class T, class F>
future<T> async(weft_runtime *runtime, F &&callable, const task_options &how);

template <class T>
struct cell {
    std::optional<stored<T>> value{};
    std::exception_ptr exception{}; // written before the future fails, read after: settling orders the two

    cell() = default;
    cell(const cell &) = delete;
    cell &operator=(const cell &) = delete;
    virtual ~cell() = default;

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

    /// The C future's drop function.
    static void drop(void *, void *value) { static_cast<cell *>(value)->release(); }

private:
    std::atomic<std::size_t> references_{1};
};

/// One reference to a cell.
template <class T>
class cell_pointer {
public:
    cell_pointer() noexcept = default;
    explicit cell_pointer(cell<T> *owned) noexcept : cell_(owned) {}
    cell_pointer(const cell_pointer &other) noexcept : cell_(other.cell_) {
        if (cell_) cell_->retain();
    }
    cell_pointer(cell_pointer &&other) noexcept : cell_(other.leak()) {}
    cell_pointer &operator=(cell_pointer other) noexcept {
        std::swap(cell_, other.cell_);
        return *this;
    }
    ~cell_pointer() {
        if (cell_) cell_->release();
    }

    cell<T> *get() const noexcept { return cell_; }
    cell<T> *operator->() const noexcept { return cell_; }
    explicit operator bool() const noexcept { return cell_ != nullptr; }
    cell<T> *leak() noexcept { return std::exchange(cell_, nullptr); }

private:
    cell<T> *cell_ = nullptr;
};

/// A task's callable together with the cell for its result. C sees it as the cell.
template <class T, class F>
struct async_call final : cell<T> {
    std::optional<F> callable;

    template <class G>
    explicit async_call(G &&source) : callable(std::in_place, std::forward<G>(source)) {}

    static async_call &from(void *arg) { return static_cast<async_call &>(*static_cast<cell<T> *>(arg)); }

    static weft_status entry(weft_worker *native, void *arg, void **result) {
        async_call &call = from(arg);
        cell_pointer<T> mine(&call);
        try {
            detail::invoke_into<T>(call.value, std::move(*call.callable), native);
        } catch (...) {
            call.exception = caught();
            call.callable.reset();
            return describe(call.exception);
        }
        call.callable.reset(); // what it captured is gone before anyone sees the result
        *result = mine.leak();
        return WEFT_OK;
    }

    static void drop_unrun(void *, void *arg) {
        async_call &call = from(arg);
        call.callable.reset();
        call.release();
    }
};

/// An exception on its way through an error's payload. The tag, an address of this program, tells it from a payload of another origin.
struct carried_exception {
    const void *tag;
    std::exception_ptr exception;

    static const void *own_tag() noexcept {
        static const char tag = 0;
        return &tag;
    }
    static void drop(void *, void *value) { delete static_cast<carried_exception *>(value); }

    /// The exception in this error's payload, or null.
    static std::exception_ptr find(const weft_error *failure) {
        std::size_t length = 0;
        const void *payload = weft_error_payload(failure, &length);
        if (!payload || length != sizeof(carried_exception)) return nullptr;
        const void *tag = nullptr;
        std::memcpy(&tag, payload, sizeof tag);
        return tag == own_tag() ? static_cast<const carried_exception *>(payload)->exception : nullptr;
    }
};

inline bytes_handle wrap_exception(std::exception_ptr exception) {
    std::unique_ptr<carried_exception> carried(new carried_exception{carried_exception::own_tag(), std::move(exception)});
    weft_bytes *bytes = nullptr;
    check(weft_bytes_adopt(carried.get(), sizeof *carried, carried_exception::drop, nullptr, &bytes));
    static_cast<void>(carried.release());
    return bytes_handle(bytes);
}

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
        const detail::stored<T> &value = *cell_in_place().value;
        if constexpr (!std::is_void_v<T>) return (value);
        else static_cast<void>(value);
    }

    /// On a temporary: as take().
    T get() && { return take(); }

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
    bool failed() const { return state() == WEFT_FUTURE_FAILED; }

    /// The C handle, borrowed. Its value is private to these headers; waiting on it, and its state and error, are for anyone.
    weft_future *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    template <class U, class F>
    friend future<U> detail::async(weft_runtime *runtime, F &&callable, const task_options &how);
    friend class promise<T>;

    future(weft_future *owned, detail::cell_pointer<T> cell) noexcept : handle_(owned), cell_(std::move(cell)) {}

    std::int32_t state() const {
        const std::int32_t state = weft_future_state(native());
        if (state < 0) detail::fail(WEFT_INVALID);
        return state;
    }

    const detail::cell<T> &cell_in_place() const {
        void *value = nullptr;
        const weft_status status = weft_future_get(native(), WEFT_FOREVER, &value);
        if (status != WEFT_OK) rethrow(status);
        return *static_cast<const detail::cell<T> *>(value);
    }

    [[noreturn]] void rethrow(weft_status status) const {
        const error refused(status, weft_error_message()); // read before another call replaces it
        if (weft_future_state(native()) != WEFT_FUTURE_FAILED) throw refused;
        if (cell_ && cell_->exception) std::rethrow_exception(cell_->exception);
        const weft_error *failure = weft_future_error(native());
        if (const std::exception_ptr carried = detail::carried_exception::find(failure)) std::rethrow_exception(carried);
        throw error(*failure);
    }

    detail::future_handle handle_;
    detail::cell_pointer<T> cell_; // only from async: where the task leaves its exception
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
