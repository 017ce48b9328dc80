// Channels with counted ends: when the last sender has gone, receivers come to an end; when the last receiver has gone, senders are
// refused, and what is queued is destroyed.
#ifndef WEFT_CPP_ENDS_HPP
#define WEFT_CPP_ENDS_HPP

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "channel.hpp"
#include "error.hpp"
#include "handle.hpp"

namespace weft {

template <class T>
class sender;
template <class T>
class receiver;

/// A channel by its two ends.
template <class T>
std::pair<sender<T>, receiver<T>> ends(const channel_options &how);

/// The same; the capacity as for weft::channel.
template <class T>
std::pair<sender<T>, receiver<T>> ends(std::size_t capacity = 1000, const char *name = nullptr) {
    return ends<T>(channel_options{capacity, name, false, false});
}

/// One of the sending ends. Copies count: the channel is closed when all of them are gone. The functions are those of weft::channel.
template <class T>
class sender {
public:
    /// An empty handle.
    sender() noexcept = default;

    void send(const T &value) const { channel().send(value); }
    void send(T &&value) const { channel().send(std::move(value)); }
    [[nodiscard]] weft_status try_send(const T &value) const { return channel().try_send(value); }
    [[nodiscard]] weft_status try_send(T &&value) const { return channel().try_send(std::move(value)); }
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_for(const T &value, const std::chrono::duration<Rep, Period> &timeout) const {
        return channel().send_for(value, timeout);
    }
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_for(T &&value, const std::chrono::duration<Rep, Period> &timeout) const {
        return channel().send_for(std::move(value), timeout);
    }
    void send_batch(std::vector<T> &elements) const { channel().send_batch(elements); }
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_batch_for(std::vector<T> &elements, const std::chrono::duration<Rep, Period> &timeout) const {
        return channel().send_batch_for(elements, timeout);
    }

    /// The channel itself, for select and all else. Keeping it keeps no end open.
    const weft::channel<T> &channel() const noexcept { return channel_; }

    /// The C handle, borrowed.
    weft_sender *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    friend std::pair<sender<T>, receiver<T>> ends<T>(const channel_options &how);

    explicit sender(weft_sender *owned)
        : channel_(detail::channel_handle(weft_channel_retain(weft_sender_channel(owned)))), handle_(owned) {}

    weft::channel<T> channel_{detail::channel_handle()};
    detail::sender_handle handle_;
};

/// One of the receiving ends. Copies count: the channel is closed when all of them are gone. The functions are those of weft::channel.
template <class T>
class receiver {
public:
    /// An empty handle.
    receiver() noexcept = default;

    [[nodiscard]] std::optional<T> recv() const { return channel().recv(); }
    [[nodiscard]] weft_status try_recv(std::optional<T> &out) const { return channel().try_recv(out); }
    template <class Rep, class Period>
    [[nodiscard]] weft_status recv_for(std::optional<T> &out, const std::chrono::duration<Rep, Period> &timeout) const {
        return channel().recv_for(out, timeout);
    }
    bool recv_batch(std::vector<T> &out, std::size_t max) const { return channel().recv_batch(out, max); }
    template <class Rep, class Period>
    [[nodiscard]] weft_status recv_batch_for(std::vector<T> &out, std::size_t max, const std::chrono::duration<Rep, Period> &timeout) const {
        return channel().recv_batch_for(out, max, timeout);
    }

    /// `for (T& element : receiver)` receives until the channel is closed and drained.
    typename weft::channel<T>::iterator begin() const { return channel().begin(); }
    typename weft::channel<T>::end_of_channel end() const noexcept { return {}; }

    /// The channel itself, for select and all else. Keeping it keeps no end open.
    const weft::channel<T> &channel() const noexcept { return channel_; }

    /// The C handle, borrowed.
    weft_receiver *native() const noexcept { return handle_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

private:
    friend std::pair<sender<T>, receiver<T>> ends<T>(const channel_options &how);

    explicit receiver(weft_receiver *owned)
        : channel_(detail::channel_handle(weft_channel_retain(weft_receiver_channel(owned)))), handle_(owned) {}

    weft::channel<T> channel_{detail::channel_handle()};
    detail::receiver_handle handle_;
};

template <class T>
std::pair<sender<T>, receiver<T>> ends(const channel_options &how) {
    const weft_channel_options options = channel<T>::native_options(how);
    weft_sender *sending = nullptr;
    weft_receiver *receiving = nullptr;
    detail::check(weft_channel_ends(&options, &sending, &receiving));
    return {sender<T>(sending), receiver<T>(receiving)};
}

} // namespace weft

#endif
