// How C++ exceptions travel past C functions: each callback catches everything, keeps it as a std::exception_ptr and answers with a
// status; the caller of the C function throws it again. Nothing else in these headers catches.
#ifndef WEFT_CPP_CARRY_HPP
#define WEFT_CPP_CARRY_HPP

#include <atomic>
#include <exception>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "error.hpp"
#include "worker.hpp"

namespace weft {

/// Stands for the result of a callable that returns nothing, where a value is needed.
struct unit {
    friend constexpr bool operator==(unit, unit) noexcept { return true; }
    friend constexpr bool operator!=(unit, unit) noexcept { return false; }
};

namespace detail {

/// The exception being handled. An empty pointer means that it is none of C++'s: a Rust panic or a thread being cancelled, which
/// must go on to the frame that understands it. Swallowing those would end the process.
inline std::exception_ptr caught() {
    std::exception_ptr exception = std::current_exception();
    if (!exception) throw;
    return exception;
}

/// Leaves an exception's explanation as this thread's error message and gives the status that describes it best, so that C code and
/// other languages see something sensible too.
inline weft_status describe(const std::exception_ptr &exception) {
    try {
        std::rethrow_exception(exception);
    } catch (const error &e) {
        return weft_error_set(e.status(), e.what());
    } catch (const std::bad_alloc &e) {
        return weft_error_set(WEFT_NOMEM, e.what());
    } catch (const std::exception &e) {
        return weft_error_set(WEFT_FAILED, e.what());
    } catch (...) {
        return weft_error_set(WEFT_FAILED, "an exception that is no std::exception");
    }
}

/// A callable's result, with void made a value.
template <class R>
using stored = std::conditional_t<std::is_void_v<R>, unit, R>;

/// Runs a callable and keeps what comes of it in `result`.
template <class R, class F, class... Args>
void invoke_into(std::optional<stored<R>> &result, F &&callable, weft_worker *native, Args &&...args) {
    static_assert(!std::is_reference_v<R>, "return a value, a pointer or a std::reference_wrapper: a reference cannot be kept");
    if constexpr (std::is_void_v<R>) {
        detail::invoke(std::forward<F>(callable), native, std::forward<Args>(args)...);
        result.emplace();
    } else {
        result.emplace(detail::invoke(std::forward<F>(callable), native, std::forward<Args>(args)...));
    }
}

/// A callable that lives in the caller's frame, and what came of it. For calls that wait: run and join.
template <class F>
struct borrowed_call {
    using result_type = invoked<F &>;

    F &callable;
    std::optional<stored<result_type>> result = std::nullopt;
    std::exception_ptr exception = nullptr;

    /// The C callback; `arg` is the borrowed_call.
    static void entry(weft_worker *native, void *arg) {
        auto &call = *static_cast<borrowed_call *>(arg);
        try {
            detail::invoke_into<result_type>(call.result, call.callable, native);
        } catch (...) {
            call.exception = caught();
        }
    }

    void rethrow() const {
        if (exception) std::rethrow_exception(exception);
    }
};

/// The first exception of many concurrent calls of one callable; the later ones are dropped. For loops.
class first_exception {
public:
    /// Called from a catch clause. Gives the status to answer with.
    weft_status keep() {
        std::exception_ptr exception = caught();
        const weft_status status = describe(exception);
        if (!taken_.exchange(true, std::memory_order_relaxed)) exception_ = std::move(exception);
        return status;
    }

    /// For the caller, once the loop has ended: the kept exception first, else what the C function failed with. A loop that was
    /// repaired by a second run has not failed.
    void check(weft_status status) const {
        if (exception_ && status != WEFT_OK) std::rethrow_exception(exception_);
        detail::check(status);
    }

private:
    std::atomic<bool> taken_{false};
    std::exception_ptr exception_; // written by whoever took the flag, read after the loop has ended, which orders the two
};

} // namespace detail
} // namespace weft

#endif
