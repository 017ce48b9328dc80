// Select: one wait for several things, of which exactly one happens.
//
//     weft::select(weft::on_recv(numbers, [&](std::optional<int> number) { ... }),   // empty: closed and drained
//                  weft::on_send(results, result, [&](bool sent) { ... }),           // false: closed
//                  weft::on_settled(answer, [&] { ... }),
//                  weft::on_cancel(token, [&] { throw stopped(); }),
//                  weft::on_timeout(1s, [&] { ... }));
#ifndef WEFT_CPP_SELECT_HPP
#define WEFT_CPP_SELECT_HPP

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "cancel.hpp"
#include "channel.hpp"
#include "error.hpp"
#include "future.hpp"
#include "time.hpp"

namespace weft {
namespace detail {

/// What cases may see of a channel.
template <class T>
struct select_access {
    using place = typename channel<T>::place;
    static void take(place &received, std::optional<T> &out) { channel<T>::take(received, out); }
};

/// The C case of an event that has a handle and nothing else.
inline weft_select_case select_case(std::int32_t op, void *handle, void *element = nullptr, std::int64_t arg = 0) noexcept {
    weft_select_case native{};
    native.op = op;
    native.handle = handle;
    native.elem = element;
    native.arg = arg;
    return native;
}

/// Values that have been moved into boxes, to be sent by one of the cases that name them.
class boxed_values {
public:
    using entry = std::pair<const void *, void *>;

    explicit boxed_values(entry *entries) noexcept : entries_(entries) {}

    void *find(const void *value) const noexcept {
        for (std::size_t i = 0; i < count_; ++i) {
            if (entries_[i].first == value) return entries_[i].second;
        }
        return nullptr;
    }
    void add(const void *value, void *box) noexcept { entries_[count_++] = {value, box}; }

private:
    entry *entries_;
    std::size_t count_ = 0;
};

/// A case, made in the argument list of select and used there: what it refers to must live as long. native() fills in the C case;
/// value() is what it would send; settle() is told in the end whether it was this one, with what status, and what was sent.
template <class T, class F>
class recv_case {
public:
    recv_case(const channel<T> &source, F handler) : source_(source), handler_(std::move(handler)) {}

    weft_select_case native(boxed_values &) { return select_case(WEFT_SELECT_RECV, source_.native(), received_.bytes); }
    const void *value() const noexcept { return nullptr; }
    void settle(bool fired, weft_status status, const void *) {
        if (!fired) return;
        std::optional<T> element;
        if (status == WEFT_OK) select_access<T>::take(received_, element);
        handler_(std::move(element));
    }

private:
    const channel<T> &source_;
    F handler_;
    typename select_access<T>::place received_;
};

template <class T, class F>
class send_case {
public:
    send_case(const channel<T> &target, T &value, F handler) : target_(target), value_(value), handler_(std::move(handler)) {
        static_assert(channel<T>::by_value || std::is_move_assignable_v<T>, "a value that is not sent is moved back");
    }
    send_case(send_case &&) = default;
    send_case(const send_case &) = delete;
    send_case &operator=(const send_case &) = delete;
    ~send_case() { put_back(); }

    weft_select_case native(boxed_values &boxed) {
        if constexpr (channel<T>::by_value) {
            static_cast<void>(boxed);
            return select_case(WEFT_SELECT_SEND, target_.native(), &value_);
        } else {
            pointer_ = static_cast<T *>(boxed.find(&value_)); // another case may send the same value
            if (!pointer_) {
                box_ = std::make_unique<T>(std::move(value_));
                pointer_ = box_.get();
                boxed.add(&value_, pointer_);
            }
            return select_case(WEFT_SELECT_SEND, target_.native(), &pointer_);
        }
    }
    const void *value() const noexcept { return &value_; }
    void settle(bool fired, weft_status status, const void *sent) {
        if (sent == &value_) static_cast<void>(box_.release()); // the channel's now
        put_back();
        if (!fired) return;
        if (status != WEFT_OK && status != WEFT_CLOSED) throw error(status);
        handler_(status == WEFT_OK);
    }

private:
    void put_back() {
        if constexpr (!channel<T>::by_value) {
            if (box_) value_ = std::move(*box_);
            box_.reset();
        }
    }

    const channel<T> &target_;
    T &value_;
    F handler_;
    std::unique_ptr<T> box_{};
    T *pointer_ = nullptr;
};

template <class F>
class event_case {
public:
    event_case(weft_select_case native, F handler) : native_(native), handler_(std::move(handler)) {}

    weft_select_case native(boxed_values &) const noexcept { return native_; }
    const void *value() const noexcept { return nullptr; }
    void settle(bool fired, weft_status, const void *) {
        if (fired) handler_();
    }

private:
    weft_select_case native_;
    F handler_;
};

/// WEFT_OK and which, or WEFT_WOULD_BLOCK.
template <class... Cases>
weft_status select(std::size_t &fired, std::int64_t timeout_ns, Cases &...cases) {
    boxed_values::entry entries[sizeof...(Cases)];
    boxed_values boxed(entries);
    weft_select_case natives[] = {cases.native(boxed)...};
    const weft_status status = weft_select(natives, sizeof...(Cases), timeout_ns, &fired);
    if (status != WEFT_OK) {
        const std::optional<error> refused = status == WEFT_WOULD_BLOCK ? std::nullopt : std::optional<error>(error(status, weft_error_message()));
        (cases.settle(false, status, nullptr), ...);
        if (refused) throw *refused;
        return status;
    }
    const void *const values[] = {cases.value()...};
    const void *const sent = natives[fired].status == WEFT_OK ? values[fired] : nullptr;
    // First what did not happen, so that all values are back before a handler looks, or throws.
    auto each = [&, index = std::size_t{0}](auto &one, bool happened) mutable {
        const bool this_one = index % sizeof...(Cases) == fired;
        if (this_one == happened) one.settle(this_one, natives[index % sizeof...(Cases)].status, sent);
        ++index;
    };
    (each(cases, false), ...);
    (each(cases, true), ...);
    return status;
}

} // namespace detail

/// A case of select: receives from the channel. The handler gets a std::optional<T>, empty when the channel is closed and drained.
template <class T, class F>
auto on_recv(const channel<T> &source, F &&handler) {
    return detail::recv_case<T, std::decay_t<F>>(source, std::forward<F>(handler));
}

/// A case of select: sends the value, which is moved from only if this happens (a type that cannot be copied bit by bit must be
/// move-assignable). Several cases may name the same value: one of them sends it. The handler gets true, or false when the channel is closed.
template <class T, class F>
auto on_send(const channel<T> &target, T &value, F &&handler) {
    return detail::send_case<T, std::decay_t<F>>(target, value, std::forward<F>(handler));
}

/// A case of select: the future is settled, whatever the outcome.
template <class T, class F>
auto on_settled(const future<T> &awaited, F &&handler) {
    return detail::event_case<std::decay_t<F>>(detail::select_case(WEFT_SELECT_FUTURE, awaited.native()), std::forward<F>(handler));
}

/// A case of select: the token is triggered.
template <class F>
auto on_cancel(const cancel_token &token, F &&handler) {
    return detail::event_case<std::decay_t<F>>(detail::select_case(WEFT_SELECT_CANCEL, token.get()), std::forward<F>(handler));
}

/// A case of select: this long has passed since it was made.
template <class Rep, class Period, class F>
auto on_timeout(const std::chrono::duration<Rep, Period> &timeout, F &&handler) {
    const std::int64_t deadline = weft_deadline(detail::timeout_ns(timeout));
    return detail::event_case<std::decay_t<F>>(detail::select_case(WEFT_SELECT_TIMER, nullptr, nullptr, deadline), std::forward<F>(handler));
}

/// Waits until one of the cases can happen, has exactly that one happen, chosen fairly among those that can, and then calls its handler
/// on this thread. Returns which it was, from 0. Throws weft::error when the wait is cancelled or interrupted: nothing has
/// happened then.
template <class... Cases>
std::size_t select(Cases &&...cases) {
    std::size_t fired = 0;
    static_cast<void>(detail::select(fired, WEFT_FOREVER, cases...));
    return fired;
}

/// The same if one of the cases can happen now; empty if none can.
template <class... Cases>
std::optional<std::size_t> try_select(Cases &&...cases) {
    std::size_t fired = 0;
    if (detail::select(fired, 0, cases...) == WEFT_WOULD_BLOCK) return std::nullopt;
    return fired;
}

} // namespace weft

#endif
