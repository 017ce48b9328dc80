// Cancellation: tokens that tasks and loops carry, and scopes in which a task or a thread goes by one.
#ifndef WEFT_CPP_CANCEL_HPP
#define WEFT_CPP_CANCEL_HPP

#include <chrono>

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// A request to stop, for whatever carries it. Copies are the same token. Empty only when default-constructed or moved from.
class cancel_token {
public:
    cancel_token() noexcept = default;

    /// A token of its own.
    static cancel_token create() { return from(nullptr); }
    /// One that is triggered with this one, too.
    cancel_token child() const { return from(get()); }

    /// Asks whatever carries it to stop. The first reason stays.
    void trigger(const char *reason = nullptr) const { detail::check(weft_cancel_token_trigger(get(), reason)); }
    /// Triggers it when this long has passed, for the reason "deadline". Of several deadlines the earliest counts.
    template <class Rep, class Period>
    void trigger_after(const std::chrono::duration<Rep, Period> &time) const {
        detail::check(weft_cancel_token_after(get(), detail::timeout_ns(time)));
    }
    bool triggered() const noexcept { return weft_cancel_token_triggered(get()); }
    /// Null unless triggered. Belongs to the token.
    const char *reason() const noexcept { return weft_cancel_token_reason(get()); }

    weft_cancel_token *get() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    static cancel_token from(weft_cancel_token *parent) {
        weft_cancel_token *made = nullptr;
        detail::check(weft_cancel_token_new(parent, &made));
        cancel_token token;
        token.handle_ = detail::cancel_handle(made);
        return token;
    }

    detail::cancel_handle handle_;
};

/// While it lives, the task or thread that made it goes by a token: its waits, its loops, and what it forks and spawns.
class cancel_scope {
public:
    explicit cancel_scope(cancel_token token) : token_(std::move(token)) {
        detail::check(weft_cancel_token_enter(token_.get()));
    }
    cancel_scope(const cancel_scope &) = delete;
    cancel_scope &operator=(const cancel_scope &) = delete;
    ~cancel_scope() { weft_cancel_token_leave(token_.get()); }

private:
    cancel_token token_;
};

/// While it lives, nothing ends the waits of the task or thread that made it: for cleanup that blocks.
class cancel_shield {
public:
    cancel_shield() { detail::check(weft_cancel_shield_begin()); }
    cancel_shield(const cancel_shield &) = delete;
    cancel_shield &operator=(const cancel_shield &) = delete;
    ~cancel_shield() { weft_cancel_shield_end(); }
};

/// Whether what this thread runs has been asked to stop.
inline bool cancelled() noexcept { return weft_cancelled(nullptr); }

} // namespace weft

#endif
