// Timers, sleeping and deadlines. Nothing here says how late something may be, only that it is never early, and in which order.
#include "check.hpp"
#include "counted.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

namespace {
struct timed_theme {};
} // namespace

TEST(a_callable_runs_when_its_time_has_come) {
    using captured = counted<timed_theme>;
    const weft::runtime runtime(1);
    const std::int64_t begin = weft_now();
    std::promise<std::int64_t> ran;
    const weft::timer timer = runtime.call_after(2ms, [&, mine = captured(1)](weft::worker on) {
        CHECK(on.runtime().native() == runtime.native());
        ran.set_value(weft_now());
    });
    CHECK(ran.get_future().get() >= begin + 2000000);
    runtime.shutdown();
    CHECK_EQ(captured::alive.load(), 0);
    CHECK(timer.stop()); // over
    CHECK_STATUS(WEFT_INVALID, weft::timer().stop());
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.call_after(1ms, [] {}));
}

TEST(a_stopped_timer_is_gone_at_once) {
    using captured = counted<timed_theme>;
    const weft::runtime runtime(1);
    const auto never = [mine = captured(1)] { CHECK(!"run"); };
    const weft::timer once = runtime.call_after(weft::forever, never);
    const weft::timer often = runtime.call_every(1h, never);
    CHECK_EQ(captured::alive.load(), 3);
    CHECK(once.stop() && often.stop() && often.stop());
    CHECK_EQ(captured::alive.load(), 1);
    CHECK_STATUS(WEFT_INVALID, runtime.call_every(0ms, never));
    CHECK_STATUS(WEFT_INVALID, runtime.call_every(-1ms, never));
    CHECK_EQ(captured::alive.load(), 1);
    runtime.call_after(1h, never); // nobody holds it: the shutdown stops it
    runtime.shutdown();
    CHECK_EQ(captured::alive.load(), 1);
}

TEST(a_period_goes_on_until_it_is_stopped) {
    std::promise<void> enough;
    std::atomic<int> runs{0};
    std::promise<weft::timer> known;
    auto handle = known.get_future().share();
    known.set_value(weft::call_every(100us, [&, handle] {
        if (++runs < 5) return;
        CHECK(!handle.get().stop()); // from itself: it is running
        CHECK(!handle.get().stop());
        enough.set_value();
    }));
    enough.get_future().wait();
    weft::shutdown_default();
    CHECK_EQ(runs.load(), 5);
}

TEST(timers_carry_the_token_of_their_maker) {
    using captured = counted<timed_theme>;
    const weft::runtime runtime(1);
    const auto token = weft::cancel_token::create();
    std::promise<void> dropped;
    std::shared_ptr<void> witness(nullptr, [&](void *) { dropped.set_value(); });
    {
        const weft::cancel_scope scope(token);
        runtime.call_after(1h, [witness, mine = captured(1)] { CHECK(!"run"); });
    }
    witness.reset();
    token.trigger();
    dropped.get_future().wait();
    runtime.shutdown();
    CHECK_EQ(captured::alive.load(), 0);
}

namespace {
std::promise<std::string> told;
} // namespace

TEST(exceptions_go_where_those_of_spawned_tasks_go) {
    weft::set_unhandled_handler([](const char *task, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &caught) {
            told.set_value(std::string(task) + caught.what());
        }
    });
    weft::call_after(0s, [] { throw std::runtime_error("too late"); });
    CHECK_EQ(told.get_future().get(), "too late");
    weft::shutdown_default();
    weft::set_unhandled_handler(nullptr);
}

TEST(sleeping) {
    const std::int64_t begin = weft_now();
    weft::sleep_for(1ms);
    CHECK(weft_now() >= begin + 1000000);
    weft::sleep_for(-1h);
    weft::thread::current().interrupt();
    CHECK_STATUS(WEFT_INTERRUPTED, weft::sleep_for(weft::forever));
}

TEST(deadlines_of_tokens) {
    const auto token = weft::cancel_token::create();
    token.trigger_after(weft::forever);
    token.trigger_after(1h);
    const std::int64_t begin = weft_now();
    token.trigger_after(2ms);
    const weft::cancel_scope scope(token);
    try {
        weft::sleep_for(weft::forever);
        CHECK(!"returned");
    } catch (const weft::error &ended) {
        CHECK_EQ(ended.status(), WEFT_CANCELLED);
    }
    CHECK(weft_now() >= begin + 2000000);
    CHECK_EQ(std::string(token.reason()), "deadline");
    CHECK_STATUS(WEFT_INVALID, weft::cancel_token().trigger_after(1s));
}
