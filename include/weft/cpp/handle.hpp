// One owned reference to an object of the C API; the base of every handle class.
#ifndef WEFT_CPP_HANDLE_HPP
#define WEFT_CPP_HANDLE_HPP

#include <utility>

#include "../weft.h"

namespace weft {
namespace detail {

template <class Object, Object *(*Retain)(Object *), void (*Release)(Object *)>
class handle {
public:
    handle() noexcept = default;
    /// Takes over a reference that the caller owns.
    explicit handle(Object *owned) noexcept : object_(owned) {}
    handle(const handle &other) noexcept : object_(other.object_ ? Retain(other.object_) : nullptr) {}
    handle(handle &&other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    handle &operator=(handle other) noexcept {
        std::swap(object_, other.object_);
        return *this;
    }
    ~handle() { Release(object_); }

    Object *get() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    Object *object_ = nullptr;
};

using runtime_handle = handle<weft_runtime, weft_runtime_retain, weft_runtime_release>;
using promise_handle = handle<weft_promise, weft_promise_retain, weft_promise_release>;
using future_handle = handle<weft_future, weft_future_retain, weft_future_release>;
using channel_handle = handle<weft_channel, weft_channel_retain, weft_channel_release>;
using sender_handle = handle<weft_sender, weft_sender_retain, weft_sender_release>;
using receiver_handle = handle<weft_receiver, weft_receiver_retain, weft_receiver_release>;
using cancel_handle = handle<weft_cancel_token, weft_cancel_token_retain, weft_cancel_token_release>;
using breaker_handle = handle<weft_breaker, weft_breaker_retain, weft_breaker_release>;
using link_handle = handle<weft_link, weft_link_retain, weft_link_release>;
using process_pool_handle = handle<weft_process_pool, weft_process_pool_retain, weft_process_pool_release>;
using mutex_handle = handle<weft_mutex, weft_mutex_retain, weft_mutex_release>;
using watch_handle = handle<weft_watch, weft_watch_retain, weft_watch_release>;
using timer_handle = handle<weft_timer, weft_timer_retain, weft_timer_release>;
using thread_handle = handle<weft_thread, weft_thread_retain, weft_thread_release>;
using context_handle = handle<weft_context, weft_context_retain, weft_context_release>;
using context_pool_handle = handle<weft_context_pool, weft_context_pool_retain, weft_context_pool_release>;
using bytes_handle = handle<weft_bytes, weft_bytes_retain, weft_bytes_release>;

} // namespace detail
} // namespace weft

#endif
