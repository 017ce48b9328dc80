// File descriptors: callables that are queued as tasks when one is ready.
#ifndef WEFT_CPP_DESCRIPTOR_HPP
#define WEFT_CPP_DESCRIPTOR_HPP

#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "future.hpp"
#include "task.hpp"
#include "worker.hpp"

namespace weft {
namespace detail {

/// A callable on its way to the task of a descriptor.
template <class F>
struct ready_call {
    F callable;

    static void entry(weft_worker *native, int, std::int32_t events, void *arg) {
        const std::unique_ptr<ready_call> call(static_cast<ready_call *>(arg));
        try {
            static_cast<void>(detail::invoke(std::move(call->callable), native, events));
        } catch (...) {
            report_unhandled("", caught());
        }
    }

    static void drop(void *, void *arg) { delete static_cast<ready_call *>(arg); }
};

struct descriptors {
    template <class F>
    static watch call_when_ready(weft_runtime *runtime, int fd, std::int32_t events, F &&callable) {
        using call_type = ready_call<std::decay_t<F>>;
        std::unique_ptr<call_type> call(new call_type{std::forward<F>(callable)});
        weft_watch *watching = nullptr;
        check(weft_fd_watch(runtime, fd, events, call_type::entry, call.get(), call_type::drop, nullptr, &watching));
        static_cast<void>(call.release()); // the watch's, or done with
        return watch(watch_handle(watching));
    }
};

} // namespace detail

/// Runs a copy of the callable as a task, once, when the descriptor is ready for one of these events (a sum of WEFT_FD_READABLE and
/// WEFT_FD_WRITABLE), has been hung up or has failed. It gets what there is, a sum of WEFT_FD_ constants. It carries the cancel token
/// of whoever calls this; triggered, that takes the watch back, and so does the runtime's shutdown. What the descriptor leads to stays
/// open until the callable is queued or taken back. What it throws goes where a spawned task's exception goes.
template <class F>
watch call_when_ready(int fd, std::int32_t events, F &&callable) {
    return detail::descriptors::call_when_ready(nullptr, fd, events, std::forward<F>(callable));
}

} // namespace weft

#endif
