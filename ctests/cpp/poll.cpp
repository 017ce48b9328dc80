// spawn_poll: callables that are called again whenever they are woken.
#include "check.hpp"
#include "counted.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>

namespace {
struct poll_theme {};
using captured = counted<poll_theme>;
} // namespace

TEST(woken_until_it_has_a_result) {
    int polls = 0;
    weft::future<std::unique_ptr<int>> result =
        weft::spawn_poll([&polls, mine = captured(1)](const weft::waker &waker) -> std::optional<std::unique_ptr<int>> {
            if (++polls < 100) {
                waker.wake();
                return std::nullopt;
            }
            return std::make_unique<int>(polls);
        });
    CHECK_EQ(*result.get(), 100);
    CHECK_EQ(captured::alive.load(), 0); // gone before the future settled
    CHECK_EQ(*result.take(), 100);
}

TEST(woken_from_outside_and_after_the_end) {
    const weft::runtime runtime(2);
    std::promise<weft::waker> waits;
    std::atomic<bool> enough{false};
    bool told = false;
    const weft::future<void> result = runtime.spawn_poll([&](weft::worker on, const weft::waker &waker) {
        CHECK(on.runtime().native() == runtime.native());
        if (!told) waits.set_value(waker);
        told = true;
        return enough.load();
    });
    weft::waker waker = waits.get_future().get();
    enough = true;
    const weft::waker copy = waker;
    waker = weft::waker();
    copy.wake();
    result.get();
    copy.wake();
    runtime.shutdown();
    copy.wake();
    CHECK(!waker);
    waker.wake(); // empty: nothing
}

TEST(exceptions_end_it) {
    using none = std::optional<int>;
    const auto fails = weft::spawn_poll([](const weft::waker &) -> none { throw std::out_of_range("as arranged"); });
    CHECK_THROWS_SAYING(std::out_of_range, "as arranged", fails.get());
    // It does not stand for a poll that waits.
    const auto blocks = weft::spawn_poll([](const weft::waker &) -> none { throw weft::error(WEFT_WOULD_BLOCK, "inside"); });
    CHECK_STATUS(WEFT_WOULD_BLOCK, blocks.get());
    CHECK_EQ(weft_error_status(weft_future_error(blocks.native())), WEFT_FAILED);
}

TEST(who_cannot_be_woken_is_dropped) {
    const auto lost = weft::spawn_poll([mine = captured(1)](const weft::waker &) { return false; });
    CHECK_STATUS(WEFT_BROKEN, lost.get());
    CHECK_EQ(captured::alive.load(), 0);
}

TEST(a_request_to_stop_wakes_it) {
    std::promise<void> waits;
    weft::waker kept;
    const auto result = weft::spawn_poll([&, mine = captured(1)](const weft::waker &waker) {
        if (weft_cancelled(nullptr)) throw weft::error(WEFT_CANCELLED);
        kept = waker;
        waits.set_value();
        return false;
    });
    waits.get_future().wait();
    result.cancel();
    CHECK_STATUS(WEFT_CANCELLED, result.get());
    CHECK(result.cancelled());
    CHECK_EQ(captured::alive.load(), 0);
}

TEST(a_shutdown_that_discards_drops_it) {
    const weft::runtime runtime(1);
    std::promise<void> waits;
    weft::waker kept;
    const auto result = runtime.spawn_poll([&, mine = captured(1)](const weft::waker &waker) {
        kept = waker;
        waits.set_value();
        return false;
    });
    waits.get_future().wait();
    runtime.shutdown(weft::shutdown_mode::discard);
    CHECK_EQ(captured::alive.load(), 0);
    CHECK_STATUS(WEFT_BROKEN, result.get());
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.spawn_poll([](const weft::waker &) { return true; }));
}
