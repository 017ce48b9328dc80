// Threads as others know them, to interrupt their waits.
#ifndef WEFT_CPP_THREAD_HPP
#define WEFT_CPP_THREAD_HPP

#include "error.hpp"
#include "handle.hpp"

namespace weft {

/// A thread, the program's or a worker's. Copies are the same thread; good also after its end.
class thread {
public:
    /// An empty handle.
    thread() noexcept = default;

    /// The calling thread. From the first call on its waits cost a little more.
    static thread current() {
        thread self;
        self.handle_ = detail::thread_handle(weft_thread_self());
        if (!self) detail::fail(WEFT_FORKED);
        return self;
    }

    /// Has the thread's current wait, or else its next one that would have to wait, throw weft::error (WEFT_INTERRUPTED); once. Waits
    /// that must finish (sync, join, run, loops) go on. To stop a task, use its cancel_token: a worker's thread runs many.
    void interrupt() const { detail::check(weft_thread_interrupt(native())); }

    /// The C handle, borrowed.
    weft_thread *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    detail::thread_handle handle_;
};

} // namespace weft

#endif
