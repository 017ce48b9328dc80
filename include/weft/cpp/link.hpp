// Frames between two processes.
#ifndef WEFT_CPP_LINK_HPP
#define WEFT_CPP_LINK_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "error.hpp"
#include "handle.hpp"
#include "time.hpp"

namespace weft {

/// How frames travel.
enum class link_transport : std::int32_t {
    /// In shared memory, and if the system refuses that, over the socket.
    automatic = WEFT_LINK_AUTO,
    shared = WEFT_LINK_SHARED,
    socket = WEFT_LINK_SOCKET,
};

/// What a link is made with, both ends of it. 0: the default.
struct link_options {
    link_transport transport = link_transport::automatic;
    /// Both ends promise to leave the shared memory alone, so that frames may be looked at where they are (link::peek).
    bool trusted = false;
    /// Bytes of shared memory for each direction.
    std::size_t ring_size = 0;
    /// The longest frame, in bytes.
    std::size_t max_frame = 0;
    /// Bytes of frames that an end keeps which have come while it waited to send.
    std::size_t backlog = 0;
};

/// What a frame says of itself.
struct frame_head {
    /// A WEFT_FRAME_ constant, or a number from WEFT_FRAME_USER on.
    std::uint32_t kind = WEFT_FRAME_USER;
    /// The program's.
    std::uint32_t flags = 0;
    std::uint64_t id = 0;
};

/// A frame that has come. Its bytes stay as long as it, or a copy of it.
class frame {
public:
    [[nodiscard]] const frame_head &head() const noexcept { return head_; }
    [[nodiscard]] const void *data() const noexcept { return weft_bytes_data(bytes_.get()); }
    [[nodiscard]] std::size_t size() const noexcept { return weft_bytes_len(bytes_.get()); }
    /// A copy.
    [[nodiscard]] std::string str() const { return std::string(static_cast<const char *>(data()), size()); }
    /// For calls of the C API; still owned by this object.
    [[nodiscard]] weft_bytes *native() const noexcept { return bytes_.get(); }

private:
    friend class link;
    explicit frame(const weft_frame &owned) noexcept : head_{owned.kind, owned.flags, owned.id}, bytes_(owned.bytes) {}

    frame_head head_;
    detail::bytes_handle bytes_;
};

/// A frame that is looked at where it is, which ends with this. It must not outlive its link's last handle.
class frame_view {
public:
    frame_view(frame_view &&other) noexcept : link_(std::exchange(other.link_, nullptr)), frame_(other.frame_) {}
    frame_view &operator=(frame_view &&) = delete;
    ~frame_view() {
        if (link_) static_cast<void>(weft_link_consume(link_));
    }

    [[nodiscard]] frame_head head() const noexcept { return {frame_.kind, frame_.flags, frame_.id}; }
    [[nodiscard]] const void *data() const noexcept { return frame_.data; }
    [[nodiscard]] std::size_t size() const noexcept { return frame_.len; }

private:
    friend class link;
    frame_view(weft_link *owner, const weft_frame &shown) noexcept : link_(owner), frame_(shown) {}

    weft_link *link_;
    weft_frame frame_;
};

/// One end of a link: frames both ways between this process and another, in order, none lost and none twice. Copies of the handle are
/// the same end. What fails throws weft::error: WEFT_DIED and WEFT_CLOSED when the peer is gone, after everything that it had sent;
/// WEFT_PROTOCOL when it does what no peer does.
class link {
public:
    /// A new link: this end, and the descriptor for the other process, which makes its end of it by adopt. The descriptor is the caller's
    /// and closed on exec; see weft_link_pair for how to hand it over. Close it here then.
    [[nodiscard]] static std::pair<link, int> make(const link_options &how = {}) {
        weft_link_options options;
        detail::check(weft_link_options_init(&options, sizeof options));
        options.transport = static_cast<std::int32_t>(how.transport);
        options.trusted = how.trusted ? WEFT_ON : WEFT_OFF;
        options.ring_size = how.ring_size;
        options.max_frame = how.max_frame;
        options.backlog = how.backlog;
        weft_link *near_end = nullptr;
        std::int32_t far_fd = -1;
        detail::check(weft_link_pair(&options, &near_end, &far_fd));
        return {link(near_end), far_fd};
    }

    /// The other end, from the descriptor that make gave, once. The descriptor belongs to the link from now on; if this throws it is still
    /// the caller's.
    [[nodiscard]] static link adopt(int fd) {
        weft_link *made = nullptr;
        detail::check(weft_link_adopt(fd, &made));
        return link(made);
    }

    /// Takes over a reference to an end made in C.
    [[nodiscard]] static link adopt(weft_link *owned) noexcept { return link(owned); }

    /// Sends a copy of the bytes, waiting for room as long as it takes.
    void send(const frame_head &head, const void *data, std::size_t size) const { detail::check(put(head, data, size, WEFT_FOREVER)); }
    void send(const frame_head &head, const std::string &bytes) const { send(head, bytes.data(), bytes.size()); }

    /// The same, waiting at most this long: WEFT_OK, or WEFT_TIMEOUT (WEFT_WOULD_BLOCK for no time) and the peer does not get it; throws
    /// for anything else.
    template <class Rep, class Period>
    [[nodiscard]] weft_status send_for(const frame_head &head, const void *data, std::size_t size,
                                       const std::chrono::duration<Rep, Period> &timeout) const {
        const weft_status status = put(head, data, size, detail::timeout_ns(timeout));
        return is_late(status) ? status : (detail::check(status), status);
    }

    /// The next frame, waiting for one as long as it takes.
    [[nodiscard]] frame recv() const {
        weft_frame got;
        detail::check(weft_link_recv(native(), WEFT_FOREVER, &got));
        return frame(got);
    }

    /// The next frame, waiting at most this long; empty if none has come.
    template <class Rep, class Period>
    [[nodiscard]] std::optional<frame> recv_for(const std::chrono::duration<Rep, Period> &timeout) const {
        weft_frame got;
        const weft_status status = weft_link_recv(native(), detail::timeout_ns(timeout), &got);
        if (is_late(status)) return std::nullopt;
        detail::check(status);
        return frame(got);
    }

    /// The next frame where it is, waiting for one as long as it takes; for links that were made with `trusted`. Nothing else is received
    /// as long as the view lives.
    [[nodiscard]] frame_view peek() const {
        weft_frame shown;
        detail::check(weft_link_peek(native(), WEFT_FOREVER, &shown));
        return frame_view(native(), shown);
    }

    /// A descriptor for event loops, readable as long as recv would not have to wait. It is the link's.
    [[nodiscard]] int fd() const {
        std::int32_t number = -1;
        detail::check(weft_link_fd(native(), &number));
        return number;
    }

    /// What has passed so far.
    [[nodiscard]] weft_link_stats stats() const {
        weft_link_stats stats;
        stats.size = sizeof stats;
        detail::check(weft_link_stats_get(native(), &stats));
        return stats;
    }

    /// Ends it at this end; the peer receives what was sent before. Twice is fine.
    void close() const noexcept { weft_link_close(native()); }

    /// For calls of the C API; still owned by this object.
    [[nodiscard]] weft_link *native() const noexcept { return handle_.get(); }

private:
    explicit link(weft_link *owned) noexcept : handle_(owned) {}

    weft_status put(const frame_head &head, const void *data, std::size_t size, std::int64_t timeout_ns) const noexcept {
        return weft_link_send(native(), head.kind, head.flags, head.id, data, size, timeout_ns);
    }
    static bool is_late(weft_status status) noexcept { return status == WEFT_TIMEOUT || status == WEFT_WOULD_BLOCK; }

    detail::link_handle handle_;
};

} // namespace weft

#endif
