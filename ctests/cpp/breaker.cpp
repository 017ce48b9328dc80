// weft::breaker: calls, permits that record themselves, listeners.
#include "check.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using state = weft::breaker_state;

static weft::breaker after(std::uint32_t failures) {
    weft_breaker_options options = weft::breaker::defaults();
    options.consecutive = failures;
    return weft::breaker(options);
}

TEST(run_gives_what_the_callable_gives) {
    const weft::breaker breaker;
    CHECK_EQ(breaker.run([] { return std::string("answer"); }), "answer");
    CHECK_EQ(*breaker.run([] { return std::make_unique<int>(7); }), 7);
    int calls = 0;
    breaker.run([&](weft::worker worker) {
        ++calls;
        CHECK(!worker);
    });
    CHECK_EQ(calls, 1);
    CHECK_EQ(breaker.stats().ok, std::uint64_t{3});
    CHECK_EQ(weft::async([&] { return breaker.run([](weft::worker worker) { return static_cast<bool>(worker); }); }).get(), true);
}

TEST(exceptions_open_it_and_come_out_as_they_went_in) {
    const weft::breaker breaker = after(2);
    CHECK_THROWS_SAYING(std::out_of_range, "beyond", breaker.run([]() -> int { throw std::out_of_range("beyond"); }));
    CHECK_THROWS(int, breaker.run([] { throw 5; }));
    CHECK(breaker.state() == state::open);
    CHECK(breaker.retry_after() > std::chrono::nanoseconds(0));
    bool called = false;
    CHECK_STATUS(WEFT_REJECTED, breaker.run([&] { called = true; }));
    CHECK(!called);
    CHECK_EQ(breaker.stats().failed, std::uint64_t{2});
}

TEST(a_status_may_count_as_something_else) {
    const weft::breaker breaker = after(1);
    CHECK_STATUS(WEFT_CANCELLED, breaker.run([] { throw weft::error(WEFT_CANCELLED); }));
    CHECK_EQ(breaker.stats().abandoned, std::uint64_t{1});
    CHECK(breaker.state() == state::closed);
    CHECK_STATUS(WEFT_TIMEOUT, breaker.run([] { throw weft::error(WEFT_TIMEOUT); }));
    CHECK(breaker.state() == state::open);
}

TEST(permits_record_themselves) {
    const weft::breaker breaker = after(0);
    {
        weft::permit permit = breaker.acquire();
        permit.ok();
        CHECK_STATUS(WEFT_INVALID, permit.ok());
        permit = breaker.acquire();
        permit.fail();
        std::optional<weft::permit> other = breaker.try_acquire();
        CHECK(other.has_value());
        weft::permit moved = std::move(*other);
        other.reset(); // empty by now
        moved.ignore();
        const weft::permit forgotten = breaker.acquire();
    }
    try {
        const weft::permit lost = breaker.acquire();
        throw std::runtime_error("no answer");
    } catch (const std::runtime_error &) {
    }
    const weft_breaker_stats stats = breaker.stats();
    CHECK_EQ(stats.ok, std::uint64_t{1});
    CHECK_EQ(stats.failed, std::uint64_t{2});
    CHECK_EQ(stats.ignored, std::uint64_t{2}); // the one that was ignored, and what is abandoned counts as that
    CHECK_EQ(stats.abandoned, std::uint64_t{1});
}

TEST(a_permit_assigned_over_is_abandoned_and_keeps_its_breaker) {
    std::optional<weft::breaker> breaker(after(0));
    const weft::breaker same = *breaker;
    weft::permit permit = breaker->acquire();
    permit = breaker->acquire();
    CHECK_EQ(same.stats().abandoned, std::uint64_t{1});
    breaker.reset();
    permit.ok();
    CHECK_EQ(same.stats().ok, std::uint64_t{1});
}

TEST(forced_states_and_rejections) {
    const weft::breaker breaker;
    breaker.force(state::forced_open);
    CHECK(!breaker.try_acquire());
    CHECK_STATUS(WEFT_REJECTED, breaker.acquire());
    CHECK(breaker.retry_after() == weft::forever);
    breaker.force(state::half_open);
    {
        const weft::permit probe = breaker.acquire();
        CHECK(!breaker.try_acquire());
    }
    CHECK(breaker.try_acquire().has_value()); // the place was given back
    CHECK_STATUS(WEFT_INVALID, breaker.force(static_cast<state>(77)));
}

TEST(listeners_are_told_and_taken_back) {
    const weft::breaker breaker;
    std::vector<std::pair<state, state>> told;
    const auto alive = std::make_shared<int>(0);
    weft::watch watch = breaker.on_change([&told, alive](state from, state to) { told.emplace_back(from, to); });
    breaker.force(state::disabled);
    breaker.force(state::open);
    CHECK_EQ(told.size(), std::size_t{2});
    CHECK(told[0] == std::make_pair(state::closed, state::disabled));
    CHECK(told[1] == std::make_pair(state::disabled, state::open));
    CHECK_EQ(alive.use_count(), 2L);
    CHECK(watch.off());
    CHECK(!watch.off());
    CHECK_EQ(alive.use_count(), 1L);
    breaker.force(state::closed);
    CHECK_EQ(told.size(), std::size_t{2});
}

TEST(wrong_options_are_told) {
    weft_breaker_options options = weft::breaker::defaults();
    options.probes = 0;
    CHECK_STATUS(WEFT_INVALID, weft::breaker(options));
}
