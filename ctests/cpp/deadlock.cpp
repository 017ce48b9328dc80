// weft::watch_deadlocks: a ring of two mutexes is told with names, and a token lets it go.
#include "check.hpp"

#include <future>
#include <mutex>
#include <stdexcept>
#include <string>

namespace {

std::promise<weft::deadlock> told;

/// Two tasks that hold a mutex each and wait for the other's, until one of them is cancelled.
void close_a_ring(const weft::cancel_token &token) {
    weft::mutex left("left"), right("right");
    weft::promise<void> has_left, has_right;
    weft::future<void> left_held = has_left.get_future(), right_held = has_right.get_future();
    weft::task_options how("first");
    how.cancel = token;
    weft::future<void> first = weft::async(
        [&] {
            const std::lock_guard<weft::mutex> mine(left);
            has_left.set_value();
            right_held.wait();
            right.lock();
        },
        how);
    weft::future<void> second = weft::async(
        [&] {
            const std::lock_guard<weft::mutex> mine(right);
            has_right.set_value();
            left_held.wait();
            const std::lock_guard<weft::mutex> both(left);
        },
        "second");
    CHECK_STATUS(WEFT_CANCELLED, first.get());
    second.get();
}

} // namespace

TEST(a_ring_is_told_with_names) {
    static weft::cancel_token token = weft::cancel_token::create();
    const std::uint64_t before = weft::deadlock_count();
    weft::watch_deadlocks([](const weft::deadlock &found) {
        told.set_value(found);
        token.trigger("deadlock");
    });
    close_a_ring(token);
    const weft::deadlock found = told.get_future().get();
    weft::watch_deadlocks(nullptr);
    CHECK_EQ(weft::deadlock_count(), before + 1);
    CHECK_EQ(found.number, before + 1);
    CHECK_EQ(found.waits.size(), std::size_t{2});
    const weft::deadlock_wait &one = found.waits[found.waits[0].task == "first" ? 0 : 1];
    CHECK_EQ(one.task, "first");
    CHECK(one.awaited.find("right") != std::string::npos);
    CHECK(one.thread > 0 && one.worker >= 0);
    CHECK(found.message.find("second") != std::string::npos);
}

namespace {
std::promise<std::string> unhandled;
weft::cancel_token throwing_token;
} // namespace

TEST(exceptions_of_the_handler_go_where_those_of_tasks_go) {
    throwing_token = weft::cancel_token::create();
    weft::set_unhandled_handler([](const char *, std::exception_ptr exception) {
        try {
            std::rethrow_exception(exception);
        } catch (const std::exception &caught) {
            unhandled.set_value(caught.what());
        }
    });
    weft::watch_deadlocks([](const weft::deadlock &) {
        throwing_token.trigger();
        throw std::runtime_error("as arranged");
    });
    close_a_ring(throwing_token);
    CHECK_EQ(unhandled.get_future().get(), "as arranged");
    weft::watch_deadlocks(nullptr);
    weft::set_unhandled_handler(nullptr);
    throwing_token = weft::cancel_token();
    CHECK_STATUS(WEFT_INVALID, weft::watch_deadlocks(nullptr, static_cast<weft::deadlock_action>(7)));
}
