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
#include <vector>

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// The capacity of a channel that never makes a sender wait.
inline constexpr std::size_t unbounded = WEFT_UNBOUNDED;

/// How a channel is made. A capacity alone will do.
struct channel_options {
    /// How many elements fit before senders wait; 0: every send waits for its receiver; weft::unbounded: none ever waits.
    std::size_t capacity = 1000;
    /// For messages and logs. Copied.
    const char *name = nullptr;
    /// Promises that no two threads send at once (one after the other may), or receive: that side then takes no lock.
    bool single_producer = false;
    bool single_consumer = false;
};

/// How many wait at a channel.
struct channel_waiting {
    std::size_t senders, receivers;
};

template <class T>
class sender;
template <class T>
class receiver;

namespace detail {

template <class T>
struct select_access;

} // namespace detail

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
    explicit channel(std::size_t capacity = 1000, const char *name = nullptr) : channel(channel_options{capacity, name, false, false}) {}

    explicit channel(const channel_options &how) {
        const weft_channel_options options = native_options(how);
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

    /// Sends all of them, in their order, waiting for room as long as it takes. Each that is sent leaves the vector: if this throws
    /// (closed, cancelled, interrupted), what is left has not been sent. Receivers are woken once for what goes in at once.
    void send_batch(std::vector<T> &elements) const { require_sent(send_all(elements, WEFT_FOREVER)); }

    /// The same, waiting at most this long: WEFT_OK and the vector is empty, or WEFT_TIMEOUT (WEFT_WOULD_BLOCK for no time) or
    /// WEFT_CLOSED and the vector holds what has not been sent; throws for anything else.
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_batch_for(std::vector<T> &elements, const std::chrono::duration<Rep, Period> &timeout) const {
        return send_all(elements, detail::timeout_ns(timeout));
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

    /// Waits until there is an element, takes what is there then, at most `max`, and appends it to the vector. False, and the vector is
    /// as it was, once the channel is closed and drained.
    bool recv_batch(std::vector<T> &out, std::size_t max) const { return recv_all(out, max, WEFT_FOREVER) == WEFT_OK; }

    /// The same, waiting at most this long: WEFT_OK, or WEFT_TIMEOUT (WEFT_WOULD_BLOCK for no time) or WEFT_CLOSED and the vector is as
    /// it was; throws for anything else.
    template <class Rep, class Period>
    [[nodiscard]] weft_status recv_batch_for(std::vector<T> &out, std::size_t max, const std::chrono::duration<Rep, Period> &timeout) const {
        return recv_all(out, max, detail::timeout_ns(timeout));
    }

    /// No more sends, by any handle; what was sent can still be received. Senders that wait are refused. Twice is fine.
    void close() const { weft_channel_close(native()); }
    [[nodiscard]] bool closed() const { return weft_channel_is_closed(native()); }

    /// How many elements wait now, and how many may.
    [[nodiscard]] std::size_t size() const { return weft_channel_len(native()); }
    [[nodiscard]] std::size_t capacity() const { return weft_channel_capacity(native()); }

    /// How many wait at the moment: a hint.
    [[nodiscard]] channel_waiting waiting() const {
        channel_waiting out{};
        detail::check(weft_channel_waiting(native(), &out.senders, &out.receivers));
        return out;
    }

    /// Descriptors for event loops, readable as long as a receive or a send would not have to wait, and when the channel is closed. The
    /// channel's: neither to be read nor to be closed. Be ready to find that another was faster: try_recv, try_send.
    [[nodiscard]] int recv_fd() const { return descriptor(WEFT_SELECT_RECV); }
    [[nodiscard]] int send_fd() const { return descriptor(WEFT_SELECT_SEND); }

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
    friend class sender<T>;
    friend class receiver<T>;
    template <class U>
    friend std::pair<sender<U>, receiver<U>> ends(const channel_options &how);
    friend detail::select_access<T>;

    using element = std::conditional_t<by_value, T, T *>;

    /// Where C puts an element.
    struct place {
        alignas(element) unsigned char bytes[sizeof(element)];

        element &get() noexcept { return *std::launder(reinterpret_cast<element *>(bytes)); }
    };

    static weft_channel_options native_options(const channel_options &how) {
        weft_channel_options options;
        detail::check(weft_channel_options_init(&options, sizeof options));
        options.elem_size = sizeof(element);
        options.elem_align = alignof(element);
        options.capacity = how.capacity;
        options.name = how.name;
        if (how.single_producer) options.single_producer = WEFT_ON;
        if (how.single_consumer) options.single_consumer = WEFT_ON;
        if constexpr (!by_value) options.drop = drop;
        return options;
    }

    explicit channel(detail::channel_handle handle) noexcept : handle_(std::move(handle)) {}

    static void drop(void *, void *raw) { delete *static_cast<T **>(raw); }

    int descriptor(std::int32_t direction) const {
        int out = -1;
        detail::check(weft_channel_fd(native(), direction, &out));
        return out;
    }

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
        place received;
        const weft_status status = flow(weft_channel_recv(native(), received.bytes, timeout_ns));
        if (status == WEFT_OK) take(received, out);
        return status;
    }

    /// Moves a received element out of its place.
    static void take(place &received, std::optional<T> &out) {
        if constexpr (by_value) {
            out.emplace(std::move(received.get()));
        } else {
            const std::unique_ptr<T> box(received.get());
            out.emplace(std::move(*box));
        }
    }

    weft_status send_all(std::vector<T> &elements, std::int64_t timeout_ns) const {
        static_assert(!std::is_same_v<T, bool>, "a std::vector of bools is no row of them");
        static_assert(std::is_move_assignable_v<T>, "what a batch does not send is moved back");
        std::size_t sent = 0;
        weft_status status;
        if constexpr (by_value) {
            status = weft_channel_send_batch(native(), elements.data(), elements.size(), timeout_ns, &sent);
        } else {
            struct boxes {
                std::vector<T> &elements;
                std::vector<T *> pointers{};
                std::size_t sent = 0;

                ~boxes() {
                    for (std::size_t i = sent; i < pointers.size(); ++i) {
                        elements[i] = std::move(*pointers[i]);
                        delete pointers[i];
                    }
                }
            } boxes{elements};
            boxes.pointers.reserve(elements.size());
            for (T &one : elements) boxes.pointers.push_back(new T(std::move(one)));
            status = weft_channel_send_batch(native(), boxes.pointers.data(), boxes.pointers.size(), timeout_ns, &boxes.sent);
            sent = boxes.sent;
        }
        elements.erase(elements.begin(), elements.begin() + static_cast<std::ptrdiff_t>(sent));
        return flow(status);
    }

    weft_status recv_all(std::vector<T> &out, std::size_t max, std::int64_t timeout_ns) const {
        out.reserve(out.size() + max); // now: nothing that was received may be lost for want of memory
        struct received_places {
            std::unique_ptr<place[]> places;
            std::size_t taken = 0, received = 0;

            ~received_places() {
                if constexpr (!by_value) {
                    while (taken < received) delete places[taken++].get();
                }
            }
        } all{std::unique_ptr<place[]>(new place[max])};
        const weft_status status = flow(weft_channel_recv_batch(native(), all.places.get(), max, timeout_ns, &all.received));
        while (all.taken < all.received) {
            std::optional<T> one;
            take(all.places[all.taken++], one);
            out.push_back(std::move(*one));
        }
        return status;
    }

    detail::channel_handle handle_;
};

} // namespace weft

#endif
