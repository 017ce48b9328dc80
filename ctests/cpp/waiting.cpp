// What waits, and what ends it: tasks that begin after others, interrupts, stalls; and the log and the errors that tell of it.
#include "check.hpp"

#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

TEST(tasks_that_begin_after_others) {
    const weft::runtime runtime(1);
    weft::promise<int> left;
    weft::promise<std::string> right;
    const auto number = left.get_future();
    const auto text = right.get_future();
    std::atomic<bool> begun{false};
    const auto both = runtime.async([&, number, text] {
        begun = true;
        return std::to_string(number.get()) + (text.failed() ? " and a failure" : "");
    }, weft::after(number, text));
    weft::task_options how("last");
    how.start_after(both).start_after(number);
    std::promise<void> last;
    runtime.spawn([&, both] {
        CHECK(both.settled());
        last.set_value();
    }, how);
    runtime.run([] {});
    left.set_value(6);
    runtime.run([] {});
    CHECK(!begun && !both.settled());
    right.set_error(WEFT_FAILED, "on purpose");
    CHECK_EQ(both.get(), "6 and a failure");
    last.get_future().wait();

    how.stealable = false;
    CHECK_STATUS(WEFT_INVALID, runtime.spawn([] {}, how));
    CHECK_STATUS(WEFT_INVALID, runtime.async([] { return 1; }, weft::after(number, weft::future<int>())));
    runtime.shutdown();
}

TEST(an_interrupt_ends_one_wait) {
    weft::promise<int> never;
    const auto future = never.get_future();
    const weft::channel<int> empty(1), full(0);
    const auto self = weft::thread::current();
    self.interrupt();
    self.interrupt(); // does not add up
    CHECK_STATUS(WEFT_INTERRUPTED, future.wait());
    CHECK(!future.wait_for(1ns));
    self.interrupt();
    CHECK_STATUS(WEFT_INTERRUPTED, empty.recv());
    self.interrupt();
    CHECK_STATUS(WEFT_INTERRUPTED, full.send(1));
    CHECK_STATUS(WEFT_INVALID, weft::thread().interrupt());
}

TEST(another_thread_is_interrupted) {
    const weft::channel<int> empty(1);
    std::promise<weft::thread> known;
    std::thread waiting([&] {
        known.set_value(weft::thread::current());
        CHECK_STATUS(WEFT_INTERRUPTED, empty.recv());
    });
    const weft::thread thread = known.get_future().get();
    thread.interrupt();
    waiting.join();
    thread.interrupt(); // after its end: nothing
}

namespace {

struct relief {
    weft::channel<int> awaited{2};
    std::atomic<int> told{0};
};

} // namespace

TEST(a_stall_is_told) {
    relief shared;
    weft::runtime_options options;
    options.workers = options.max_threads = 1;
    options.hook_arg = &shared;
    options.on_stall = [](const weft::stall *stall, void *arg) {
        auto &mine = *static_cast<relief *>(arg);
        CHECK_EQ(stall->max_threads, 1u);
        CHECK(stall->queued > 0 && std::string(stall->message).find("max_threads") != std::string::npos);
        if (mine.told.fetch_add(1) == 0) mine.awaited.close();
    };
    const weft::runtime runtime(options);
    for (int i = 0; i < 2; ++i) runtime.spawn([&] { CHECK(!shared.awaited.recv()); });
    runtime.shutdown();
    CHECK(shared.told > 0);
}

TEST(the_log_is_pulled) {
    std::optional<weft::log_record> record;
    CHECK_EQ(weft::next_log_for(record, 0s), WEFT_CLOSED);
    weft::keep_log(weft::log_level::warn);
    CHECK_EQ(weft::next_log_for(record, 0s), WEFT_WOULD_BLOCK);
    CHECK_EQ(weft::next_log_for(record, 1us), WEFT_TIMEOUT);
    // A loop that fails and is run again logs one warning.
    weft::runtime_options options;
    options.workers = 1;
    options.name = "home";
    const weft::runtime runtime(options);
    runtime.async([] {
        int calls = 0;
        weft::loop_options repaired;
        repaired.on_failure = WEFT_ON_FAILURE_REDO;
        weft::parallel_for(0, 1, [&](std::size_t) {
            if (++calls == 1) throw std::runtime_error("on purpose");
        }, repaired);
    }, "repair").get();
    record = weft::next_log();
    CHECK(record && record->level == weft::log_level::warn);
    CHECK_EQ(record->worker, 0);
    CHECK_EQ(record->runtime + " " + record->task, "home repair");
    CHECK(record->message.find("on purpose") != std::string::npos);
    CHECK(record->time_ns <= weft_now());
    weft::thread::current().interrupt();
    CHECK_STATUS(WEFT_INTERRUPTED, weft::next_log());
    weft::keep_log(weft::log_level::off);
    CHECK(!weft::next_log());
    CHECK_STATUS(WEFT_INVALID, weft::keep_log(static_cast<weft::log_level>(7)));
    runtime.shutdown();
}

TEST(errors_say_where_they_come_from) {
    CHECK_EQ(std::string(weft::error(WEFT_FAILED).origin()) + weft::error(WEFT_FAILED).backtrace(), "");
    weft::promise<int> promise;
    const auto future = promise.get_future();
    promise.set_error(WEFT_FAILED, "no such number");
    try {
        future.get();
        CHECK(!"failed");
    } catch (const weft::error &failure) {
        const weft::error copy = failure;
        CHECK_EQ(std::string(copy.what()) + ", " + copy.origin(), "no such number, promise");
        CHECK_EQ(std::string(copy.backtrace()), ""); // there is one for panics of Rust only
    }
}
