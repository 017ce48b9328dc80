// Where results of futures live: the C++ value or exception with a reference count, which is the value of a C future; and the calls
// that leave one there.
//
// One reference is the C future's (its drop function gives it back); a future from async or then holds another, because that is where
// it finds the exception of a task that threw. Futures that are made of others look in the cells of those. A promise's exception travels
// as the payload of the C future's error instead.
#ifndef WEFT_CPP_CELL_HPP
#define WEFT_CPP_CELL_HPP

#include <atomic>
#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "carry.hpp"
#include "error.hpp"
#include "handle.hpp"
#include "task.hpp"
#include "worker.hpp"

namespace weft {
namespace detail {

/// What all cells have in common: the exception that a task left. Futures that are made of others find it in the cells of those, by
/// what C passes on of it.
class cell_base {
public:
    cell_base() = default;
    cell_base(const cell_base &) = delete;
    cell_base &operator=(const cell_base &) = delete;
    virtual ~cell_base() = default;

    /// Keeps an exception and gives the status to answer with: WEFT_FAILED in the place of one that would mean something else.
    weft_status keep(std::exception_ptr exception, weft_status reserved = WEFT_OK) {
        weft_status status = describe(exception);
        if (status == reserved) status = WEFT_FAILED;
        exception_ = std::move(exception);
        text_ = weft_error_message();
        status_.store(status, std::memory_order_release); // paired with the load in find
        return status;
    }

    /// The exception with this status and text, here or where this comes from; or null.
    virtual std::exception_ptr find(weft_status status, const char *text) const {
        return status_.load(std::memory_order_acquire) == status && text_ == text ? exception_ : nullptr;
    }

    /// Whether the value is another future's.
    virtual bool borrows() const noexcept { return false; }

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
    }

private:
    std::atomic<std::size_t> references_{1};
    std::atomic<weft_status> status_{WEFT_OK};
    std::exception_ptr exception_{};
    std::string text_{};
};

template <class T>
struct cell : cell_base {
    std::optional<stored<T>> value{};

    /// The C future's drop function.
    static void drop(void *, void *value) { static_cast<cell *>(value)->release(); }
};

/// One reference to a cell.
template <class Cell>
class cell_reference {
public:
    cell_reference() noexcept = default;
    explicit cell_reference(Cell *owned) noexcept : cell_(owned) {}
    cell_reference(const cell_reference &other) noexcept : cell_(other.cell_) {
        if (cell_) cell_->retain();
    }
    cell_reference(cell_reference &&other) noexcept : cell_(other.leak()) {}
    cell_reference &operator=(cell_reference other) noexcept {
        std::swap(cell_, other.cell_);
        return *this;
    }
    ~cell_reference() {
        if (cell_) cell_->release();
    }

    Cell *get() const noexcept { return cell_; }
    Cell *operator->() const noexcept { return cell_; }
    explicit operator bool() const noexcept { return cell_ != nullptr; }
    Cell *leak() noexcept { return std::exchange(cell_, nullptr); }

private:
    Cell *cell_ = nullptr;
};

template <class T>
using cell_pointer = cell_reference<cell<T>>;

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
            const weft_status status = call.keep(caught());
            call.callable.reset();
            return status;
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

/// Where the cells of a future that is made of others are found again.
class cell_sources {
public:
    template <class Cell>
    void add(const cell_reference<Cell> &source) {
        if (!source) return;
        cell_reference<Cell> own = source;
        sources_.emplace_back(own.get());
        static_cast<void>(own.leak());
    }
    std::exception_ptr find(weft_status status, const char *text) const {
        for (const cell_reference<cell_base> &source : sources_) {
            if (std::exception_ptr found = source->find(status, text)) return found;
        }
        return nullptr;
    }

private:
    std::vector<cell_reference<cell_base>> sources_{};
};

/// The cell of a future whose value is another's, or none: for the exceptions of what it is made of.
template <class T>
struct combined_cell final : cell<T> {
    cell_sources sources{};

    std::exception_ptr find(weft_status status, const char *text) const override { return sources.find(status, text); }
    bool borrows() const noexcept override { return true; }
};

/// What goes on with a value of type T, together with the cell for its result.
template <class T, class R, class F>
struct then_call final : cell<R> {
    std::optional<F> callable;
    cell_sources sources{};

    template <class G>
    explicit then_call(G &&source) : callable(std::in_place, std::forward<G>(source)) {}

    std::exception_ptr find(weft_status status, const char *text) const override {
        if (std::exception_ptr own = cell<R>::find(status, text)) return own;
        return sources.find(status, text);
    }

    static then_call &from(void *arg) { return static_cast<then_call &>(*static_cast<cell<R> *>(arg)); }

    static weft_status entry(weft_worker *native, void *value, void *arg, void **result) {
        then_call &call = from(arg);
        cell_pointer<R> mine(&call);
        try {
            if constexpr (std::is_void_v<T>) {
                static_cast<void>(value);
                detail::invoke_into<R>(call.value, std::move(*call.callable), native);
            } else {
                detail::invoke_into<R>(call.value, std::move(*call.callable), native, std::as_const(*static_cast<cell<T> *>(value)->value));
            }
        } catch (...) {
            const weft_status status = call.keep(caught());
            call.callable.reset();
            return status;
        }
        call.callable.reset();
        *result = mine.leak();
        return WEFT_OK;
    }

    static void drop_unrun(void *, void *arg) {
        then_call &call = from(arg);
        call.callable.reset();
        call.release();
    }
};

template <class T, class F>
struct continuation_type {
    using type = invoked<F, const T &>;
};
template <class F>
struct continuation_type<void, F> {
    using type = invoked<F>;
};

/// What a callable that goes on with a T returns.
template <class T, class F>
using continued = typename continuation_type<T, F>::type;

/// A callable that is told of a settled future.
template <class F>
struct settled_call {
    F callable;

    static void entry(weft_future *, void *arg) {
        const std::unique_ptr<settled_call> call(static_cast<settled_call *>(arg));
        try {
            static_cast<void>(std::invoke(std::move(call->callable)));
        } catch (...) {
            report_unhandled("", caught());
        }
    }

    static void drop(void *, void *arg) { delete static_cast<settled_call *>(arg); }
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
} // namespace weft

#endif
