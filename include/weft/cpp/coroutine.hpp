// Coroutines of C++20 as poll tasks: a thread runs one only while it has something to do. Where the compiler has none, this is empty.
#ifndef WEFT_CPP_COROUTINE_HPP
#define WEFT_CPP_COROUTINE_HPP

#ifdef __cpp_impl_coroutine

#include <coroutine>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "future.hpp"
#include "poll.hpp"
#include "runtime.hpp"
#include "task.hpp"

namespace weft {

template <class T = void>
class co;

namespace detail {

struct coroutines;

/// What the coroutines of one task share: which of them goes on, and what it waits for.
struct co_context {
    std::coroutine_handle<> current{};
    /// During a poll.
    const waker *lent = nullptr;
    /// Whether that one need not wait any longer; null: it does not wait.
    bool (*ready)(void *waiting, const waker &lent) = nullptr;
    void *waiting = nullptr;
    /// Another one is to go on.
    bool passed = false;

    /// Goes on as far as it gets.
    void poll(const waker &from) {
        lent = &from;
        if (ready && !ready(waiting, from)) return;
        ready = nullptr;
        // Not from one to the next: where the compiler makes a call of that, children that end at once would use up the stack.
        do {
            passed = false;
            current.resume();
        } while (passed);
    }

    /// Has another one go on, when the one that calls this has been suspended.
    void pass_to(std::coroutine_handle<> next) noexcept {
        current = next;
        passed = true;
    }
};

struct co_promise_base {
    co_context *context = nullptr;
    std::coroutine_handle<> continuation{};
    std::exception_ptr exception{};

    struct back {
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
            const co_promise_base &promise = ended.promise();
            if (promise.continuation) promise.context->pass_to(promise.continuation);
        }
        void await_resume() const noexcept {}
    };

    std::suspend_always initial_suspend() const noexcept { return {}; }
    back final_suspend() const noexcept { return {}; }
    void unhandled_exception() { exception = caught(); }
};

template <class T>
struct co_promise : co_promise_base {
    std::optional<T> value{};

    co<T> get_return_object() noexcept;
    template <class U>
    void return_value(U &&result) {
        value.emplace(std::forward<U>(result));
    }
    T take() {
        if (exception) std::rethrow_exception(exception);
        return *std::move(value);
    }
};

template <>
struct co_promise<void> : co_promise_base {
    co<void> get_return_object() noexcept;
    void return_void() const noexcept {}
    void take() const {
        if (exception) std::rethrow_exception(exception);
    }
};

/// A wait inside a coroutine. `Wait::poll(waker)` says whether it is over, and sees to it that the waker is woken if not.
template <class Wait>
class co_wait {
public:
    bool await_ready() const noexcept { return false; }

    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) {
        co_context &context = *waiting.promise().context;
        if (is_over(*context.lent)) return false;
        context.current = waiting;
        context.waiting = this;
        context.ready = [](void *self, const waker &lent) { return static_cast<co_wait *>(self)->is_over(lent); };
        return true;
    }

protected:
    /// Throws what ended the wait instead.
    void check_end() const {
        if (exception_) std::rethrow_exception(exception_);
    }

private:
    bool is_over(const waker &lent) noexcept {
        try {
            if (static_cast<Wait *>(this)->poll(lent)) return true;
            if (!weft_cancelled(nullptr)) return false;
            throw error(WEFT_CANCELLED);
        } catch (...) {
            exception_ = caught();
            return true;
        }
    }

    std::exception_ptr exception_{};
};

/// Waits for a future: Future is a reference to an lvalue, or the future.
template <class T, class Future>
class co_future final : public co_wait<co_future<T, Future>> {
public:
    explicit co_future(Future &&source) : source_(std::forward<Future>(source)) {}
    co_future(const co_future &) = delete;
    co_future &operator=(const co_future &) = delete;
    ~co_future() {
        if (watching_) static_cast<void>(watching_.off());
    }

    bool poll(const waker &lent) {
        if (source_.settled()) return true;
        if (!watching_) watching_ = source_.on_settled([own = lent] { own.wake(); });
        return false;
    }

    decltype(auto) await_resume() const {
        this->check_end();
        if constexpr (std::is_reference_v<Future>) {
            return source_.get();
        } else {
            static_assert(std::is_void_v<T> || std::is_copy_constructible_v<T>,
                          "the value of a temporary future is copied: await a variable, and get a reference");
            return value();
        }
    }

private:
    T value() const { return static_cast<const future<T> &>(source_).get(); }

    Future source_;
    watch watching_{};
};

/// Waits until a callable says so.
template <class F>
class co_until final : public co_wait<co_until<F>> {
public:
    explicit co_until(F callable) : callable_(std::move(callable)) {}

    bool poll(const waker &lent) { return static_cast<bool>(polled_ = callable_(lent)); }

    auto await_resume() {
        this->check_end();
        if constexpr (!std::is_same_v<result_type, bool>) return *std::move(polled_);
    }

private:
    using result_type = std::invoke_result_t<F &, const waker &>;

    F callable_;
    result_type polled_{};
};

} // namespace detail

/// A coroutine that has not begun. It is started as a task (weft::start), or awaited by another coroutine, of whose task it is then a
/// part; dropped, it is destroyed. Its parameters live as long as it does; what a lambda captures does not: pass it as parameters.
///
/// Inside, `co_await future` gives what future::get gives (of a temporary one, a copy), `co_await weft::until(f)` waits for anything
/// else, and `co_await another(...)` runs another coroutine. What these throw comes out there. A request to stop ends such waits by
/// weft::error (WEFT_CANCELLED), each that would have to wait. Between two of them it may be on another thread: no lock is held across.
template <class T>
class [[nodiscard]] co {
public:
    using promise_type = detail::co_promise<T>;

    co(co &&other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    co &operator=(co &&other) noexcept {
        std::swap(coroutine_, other.coroutine_);
        return *this;
    }
    ~co() {
        if (coroutine_) coroutine_.destroy();
    }

    class awaiter {
    public:
        explicit awaiter(co coroutine) noexcept : child_(std::move(coroutine)) {}

        bool await_ready() const noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> parent) const noexcept {
            promise_type &promise = child_.coroutine_.promise();
            promise.context = parent.promise().context;
            promise.continuation = parent;
            promise.context->pass_to(child_.coroutine_);
        }
        T await_resume() const { return child_.coroutine_.promise().take(); }

    private:
        co child_;
    };

    /// Runs it inside the awaiting one.
    awaiter operator co_await() && {
        if (!coroutine_) throw error(WEFT_INVALID, "co_await: the coroutine has been started, or moved away");
        return awaiter(std::move(*this));
    }

private:
    friend promise_type;
    friend struct detail::coroutines;

    explicit co(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <class T>
co<T> co_promise<T>::get_return_object() noexcept {
    return co<T>(std::coroutine_handle<co_promise>::from_promise(*this));
}

inline co<void> co_promise<void>::get_return_object() noexcept {
    return co<void>(std::coroutine_handle<co_promise>::from_promise(*this));
}

struct coroutines {
    /// The callable of its poll task.
    template <class T>
    static auto task(co<T> coroutine) {
        if (!coroutine.coroutine_) throw error(WEFT_INVALID, "start: the coroutine has been started, or moved away");
        return [self = std::move(coroutine), context = co_context{}](const waker &lent) mutable {
            const auto root = self.coroutine_;
            if (!context.current) {
                // In place from here on: it is being polled.
                root.promise().context = &context;
                context.current = root;
            }
            context.poll(lent);
            if constexpr (std::is_void_v<T>) {
                if (root.done()) root.promise().take();
                return root.done();
            } else {
                return root.done() ? std::optional<T>(root.promise().take()) : std::optional<T>();
            }
        };
    }
};

} // namespace detail

template <class T>
auto operator co_await(const future<T> &source) noexcept {
    return detail::co_future<T, const future<T> &>(source);
}
template <class T>
auto operator co_await(future<T> &&source) noexcept {
    return detail::co_future<T, future<T>>(std::move(source));
}

/// For co_await: calls the callable with a `const weft::waker &`, and again whenever a copy of that has been woken, until it returns
/// true, or a std::optional with a value, which is what co_await gives. As weft::spawn_poll does, inside a coroutine.
template <class F>
auto until(F callable) {
    return detail::co_until<F>(std::move(callable));
}

/// Starts a coroutine as a poll task and gives a future of what it returns or throws. Never blocks.
template <class T>
future<T> start(co<T> coroutine, const task_options &how = {}) {
    return spawn_poll(detail::coroutines::task(std::move(coroutine)), how);
}

/// The same, on a runtime.
template <class T>
future<T> start(const runtime &on, co<T> coroutine, const task_options &how = {}) {
    return on.spawn_poll(detail::coroutines::task(std::move(coroutine)), how);
}

} // namespace weft

#endif
#endif
