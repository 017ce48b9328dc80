// Statuses become exceptions: weft::error, and the check that every call of a C function goes through.
#ifndef WEFT_CPP_ERROR_HPP
#define WEFT_CPP_ERROR_HPP

#include <memory>
#include <stdexcept>
#include <string>

#include "../weft.h"

namespace weft {

/// A call that failed, or a future that failed for another reason than a C++ exception.
class error : public std::runtime_error {
public:
    /// With an explanation. An empty one is replaced by the status' name. WEFT_OK is no failure and counts as WEFT_FAILED.
    error(weft_status status, const std::string &message)
        : std::runtime_error(message.empty() ? std::string(weft_status_name(status)) : message),
          status_(status == WEFT_OK ? WEFT_FAILED : status) {}

    /// With the status' name as the explanation.
    explicit error(weft_status status) : error(status, std::string()) {}

    /// What happened: one of the WEFT_... numbers, never WEFT_OK.
    weft_status status() const noexcept { return status_; }

    /// Where a future's failure happened, such as "task resize, worker 3"; "" for other failures.
    const char *origin() const noexcept { return source_ ? source_->origin.c_str() : ""; }

    /// Where a Rust callback panicked, in several lines, if RUST_BACKTRACE asked for that; else "".
    const char *backtrace() const noexcept { return source_ ? source_->backtrace.c_str() : ""; }

    /// Why a future failed.
    explicit error(const weft_error &failure)
        : error(weft_error_status(&failure), weft_error_text(&failure)) {
        source_ = std::make_shared<const source>(source{weft_error_origin(&failure), weft_error_backtrace(&failure)});
    }

private:
    struct source {
        std::string origin, backtrace;
    };

    weft_status status_;
    std::shared_ptr<const source> source_{}; // shared, because an exception's copy must not throw
};

namespace detail {

/// Throws what this thread's last failed call left behind.
[[noreturn]] inline void fail(weft_status status) { throw error(status, weft_error_message()); }

inline void check(weft_status status) {
    if (status != WEFT_OK) fail(status);
}

} // namespace detail
} // namespace weft

#endif
