// Statuses become exceptions: weft::error, and the check that every call of a C function goes through.
#ifndef WEFT_CPP_ERROR_HPP
#define WEFT_CPP_ERROR_HPP

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

private:
    weft_status status_;
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
