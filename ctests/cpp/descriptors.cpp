// call_when_ready: callables that run as tasks when a descriptor is ready, once, or never.
#include "check.hpp"
#include "counted.hpp"

#include <future>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace {

struct ready_theme {};
using captured = counted<ready_theme>;

struct pipe_ends {
    int reading = -1, writing = -1;

    pipe_ends() {
        int fds[2];
        CHECK(pipe(fds) == 0);
        reading = fds[0];
        writing = fds[1];
    }
    pipe_ends(const pipe_ends &) = delete;
    pipe_ends &operator=(const pipe_ends &) = delete;
    ~pipe_ends() {
        close(reading);
        close(writing);
    }
    void fill() const { CHECK(write(writing, "x", 1) == 1); }
};

} // namespace

TEST(a_callable_runs_once_as_a_task) {
    const pipe_ends ends;
    const weft::runtime runtime(1);
    std::promise<std::int32_t> told;
    const weft::watch watch =
        runtime.call_when_ready(ends.reading, WEFT_FD_READABLE, [&, mine = captured(1)](weft::worker on, std::int32_t events) {
            CHECK(on.runtime().native() == runtime.native());
            told.set_value(events);
        });
    ends.fill();
    CHECK_EQ(told.get_future().get(), WEFT_FD_READABLE);
    CHECK(!watch.off());
    runtime.shutdown();
    CHECK_EQ(captured::alive.load(), 0);
}

TEST(taken_back_it_is_gone_at_once) {
    const pipe_ends ends;
    const weft::watch watch = weft::call_when_ready(ends.reading, WEFT_FD_READABLE,
                                                    [mine = captured(1)](std::int32_t) { CHECK(!"run"); });
    CHECK_EQ(captured::alive.load(), 1);
    CHECK(watch.off() && !watch.off());
    CHECK_EQ(captured::alive.load(), 0);
    ends.fill();
}

TEST(a_shutdown_takes_it_back) {
    const pipe_ends ends;
    const weft::runtime runtime(1);
    const auto never = [mine = captured(1)](std::int32_t) { CHECK(!"run"); };
    runtime.call_when_ready(ends.reading, WEFT_FD_READABLE, never);
    CHECK_EQ(captured::alive.load(), 2);
    runtime.shutdown();
    CHECK_EQ(captured::alive.load(), 1);
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.call_when_ready(ends.reading, WEFT_FD_READABLE, never));
    CHECK_STATUS(WEFT_INVALID, weft::call_when_ready(-1, WEFT_FD_READABLE, never));
    CHECK_STATUS(WEFT_INVALID, weft::call_when_ready(ends.reading, 64, never));
    CHECK_EQ(captured::alive.load(), 1);
}

namespace {
std::promise<std::string> unhandled;
} // namespace

TEST(exceptions_go_where_those_of_spawned_tasks_go) {
    weft::set_unhandled_handler([](const char *, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &caught) {
            unhandled.set_value(caught.what());
        }
    });
    const pipe_ends ends;
    weft::call_when_ready(ends.writing, WEFT_FD_WRITABLE, [](std::int32_t) { throw std::runtime_error("as arranged"); });
    CHECK_EQ(unhandled.get_future().get(), "as arranged");
    weft::shutdown_default();
    weft::set_unhandled_handler(nullptr);
}
