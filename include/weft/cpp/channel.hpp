// Channels of any movable type: queues with any number of producers and consumers, in order per producer.
//
// The C channel copies elements bit by bit. Trivially copyable types travel like that, and C code on the other end sees them as they
// are. Every other type is moved into a box of its own and the channel carries the pointer.
#ifndef WEFT_CPP_CHANNEL_HPP
#define WEFT_CPP_CHANNEL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// The capacity of a channel that never makes a sender wait.
inline constexpr std::size_t unbounded = WEFT_UNBOUNDED;

/// A queue between tasks, threads, or both. Copies of the handle are the same channel. Elements that nobody has received are destroyed
/// with the last handle.
template <class T>
class channel {
    static_assert(std::is_object_v<T> && !std::is_const_v<T>, "a channel carries values");
    static_assert(std::is_move_constructible_v<T>, "a channel moves its elements");

public:
    /// Whether elements lie in the channel itself, visible to C, instead of in boxes.
    static constexpr bool by_value = std::is_trivially_copyable_v<T> && alignof(T) <= 4096;

    /// `capacity` elements fit before senders wait; 0: every send waits for its receiver; weft::unbounded: none ever waits. `name`
    /// appears in messages and logs; it is copied.
    explicit channel(std::size_t capacity = 1000, const char *name = nullptr) {
        weft_channel_options options;
        detail::check(weft_channel_options_init(&options, sizeof options));
        options.elem_size = sizeof(element);
        options.elem_align = alignof(element);
        options.capacity = capacity;
        options.name = name;
        if constexpr (!by_value) options.drop = drop;
        weft_channel *made = nullptr;
        detail::check(weft_channel_new(&options, &made));
        handle_ = detail::channel_handle(made);
    }

    /// Takes over a reference to a channel made in C, whose elements must be such Ts.
    static channel adopt(weft_channel *owned) {
        static_assert(by_value, "only trivially copyable elements can be shared with C");
        return channel(detail::channel_handle(owned));
    }

    /// Sends, waiting for room as long as it takes. Throws weft::error (WEFT_CLOSED) if the channel is closed, also while waiting. A
    /// value that was not sent is still the caller's: an rvalue is moved back, if its type can be move-assigned.
    void send(const T &value) const { require_sent(send_copy(value, WEFT_FOREVER)); }
    void send(T &&value) const { require_sent(send_moved(value, WEFT_FOREVER)); }

    /// Sends if there is room now: WEFT_OK, WEFT_WOULD_BLOCK or WEFT_CLOSED; throws for anything else. What is not sent
    /// stays the caller's, as above.
    [[nodiscard]] weft_status try_send(const T &value) const { return send_copy(value, 0); }
    [[nodiscard]] weft_status try_send(T &&value) const { return send_moved(value, 0); }

    /// Sends, waiting for room at most this long: WEFT_OK, WEFT_TIMEOUT (WEFT_WOULD_BLOCK for no time) or WEFT_CLOSED; otherwise as
    /// try_send.
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_for(const T &value, const std::chrono::duration<Rep, Period> &timeout) const {
        return send_copy(value, detail::timeout_ns(timeout));
    }
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_for(T &&value, const std::chrono::duration<Rep, Period> &timeout) const {
        return send_moved(value, detail::timeout_ns(timeout));
    }

    /// Receives, waiting as long as it takes. Empty once the channel is closed and drained.
    [[nodiscard]] std::optional<T> recv() const {
        std::optional<T> out;
        static_cast<void>(recv_into(out, WEFT_FOREVER));
        return out;
    }

    /// Receives what is there now: WEFT_OK and `out` holds it, or WEFT_WOULD_BLOCK or WEFT_CLOSED (closed and drained) and `out` is
    /// empty; throws for anything else.
    [[nodiscard]] weft_status try_recv(std::optional<T> &out) const { return recv_into(out, 0); }

    /// Receives, waiting at most this long: WEFT_TIMEOUT if nothing came; otherwise as try_recv.
    template <class Rep, class Period>
    [[nodiscard]] weft_status recv_for(std::optional<T> &out, const std::chrono::duration<Rep, Period> &timeout) const {
        return recv_into(out, detail::timeout_ns(timeout));
    }

    /// No more sends, by any handle; what was sent can still be received. Senders that wait are refused. Twice is fine.
    void close() const { weft_channel_close(native()); }
    [[nodiscard]] bool closed() const { return weft_channel_is_closed(native()); }

    /// How many elements wait now, and how many may.
    [[nodiscard]] std::size_t size() const { return weft_channel_len(native()); }
    [[nodiscard]] std::size_t capacity() const { return weft_channel_capacity(native()); }

    /// Where an iteration ends: the channel is closed and drained.
    struct end_of_channel {};

    /// Receives as it advances. Any number of iterations over one channel may run at the same time; each element goes to one of them.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = T *;
        using reference = T &;

        /// The element received last; move from it to keep it.
        reference operator*() const { return *current_; }
        pointer operator->() const { return &*current_; }
        iterator &operator++() {
            static_cast<void>(source_.recv_into(current_, WEFT_FOREVER));
            return *this;
        }
        void operator++(int) { ++*this; }

        friend bool operator==(const iterator &it, end_of_channel) noexcept { return !it.current_; }
        friend bool operator!=(const iterator &it, end_of_channel) noexcept { return it.current_.has_value(); }

    private:
        friend class channel;
        explicit iterator(channel source) : source_(std::move(source)) { ++*this; }

        channel source_;
        mutable std::optional<T> current_{}; // mutable: * of a constant iterator still gives an element to move from
    };

    /// `for (T& element : channel)` receives until the channel is closed and drained.
    iterator begin() const { return iterator(*this); }
    end_of_channel end() const noexcept { return {}; }

    /// The C handle, borrowed.
    weft_channel *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    using element = std::conditional_t<by_value, T, T *>;

    explicit channel(detail::channel_handle handle) noexcept : handle_(std::move(handle)) {}

    static void drop(void *, void *raw) { delete *static_cast<T **>(raw); }

    static weft_status flow(weft_status status) {
        switch (status) {
        case WEFT_OK:
        case WEFT_WOULD_BLOCK:
        case WEFT_TIMEOUT:
        case WEFT_CLOSED: return status;
        default: detail::fail(status);
        }
    }

    static void require_sent(weft_status status) {
        if (status != WEFT_OK) throw error(status, "send: the channel is closed");
    }

    weft_status send_copy(const T &value, std::int64_t timeout_ns) const {
        if constexpr (by_value) {
            return flow(weft_channel_send(native(), &value, timeout_ns));
        } else {
            auto box = std::make_unique<T>(value);
            return flow(send_box(box, timeout_ns));
        }
    }

    weft_status send_moved(T &value, std::int64_t timeout_ns) const {
        if constexpr (by_value) {
            return flow(weft_channel_send(native(), &value, timeout_ns));
        } else {
            auto box = std::make_unique<T>(std::move(value));
            const weft_status status = send_box(box, timeout_ns);
            if constexpr (std::is_move_assignable_v<T>) {
                if (box) value = std::move(*box);
            }
            return flow(status);
        }
    }

    /// Sends a box and empties `box` if that succeeds: the channel owns it then.
    weft_status send_box(std::unique_ptr<T> &box, std::int64_t timeout_ns) const {
        T *const pointer = box.get();
        const weft_status status = weft_channel_send(native(), &pointer, timeout_ns);
        if (status == WEFT_OK) static_cast<void>(box.release());
        return status;
    }

    weft_status recv_into(std::optional<T> &out, std::int64_t timeout_ns) const {
        out.reset();
        if constexpr (by_value) {
            alignas(T) unsigned char bytes[sizeof(T)];
            const weft_status status = flow(weft_channel_recv(native(), bytes, timeout_ns));
            if (status == WEFT_OK) out.emplace(std::move(*std::launder(reinterpret_cast<T *>(bytes))));
            return status;
        } else {
            T *pointer = nullptr;
            const weft_status status = flow(weft_channel_recv(native(), &pointer, timeout_ns));
            const std::unique_ptr<T> box(pointer);
            if (box) out.emplace(std::move(*box));
            return status;
        }
    }

    detail::channel_handle handle_;
};

} // namespace weft

#endif
