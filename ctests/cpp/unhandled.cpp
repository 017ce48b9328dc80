// Exceptions out of spawned tasks, whose result nobody asks for: a handler is told; without one the process ends and says why.
#include "check.hpp"

#include <cstdlib>
#include <mutex>
#include <set>
#include <string>

namespace {

std::mutex told_lock;
std::multiset<std::string> told;

void tell(const char *task, std::exception_ptr exception) {
    const std::lock_guard<std::mutex> guard(told_lock);
    try {
        std::rethrow_exception(exception);
    } catch (const std::exception &caught) {
        told.insert(std::string(task) + ": " + caught.what());
    } catch (int number) {
        told.insert(std::string(task) + ": " + std::to_string(number));
    }
}

} // namespace

TEST(handler_learns_name_and_exception) {
    CHECK(weft::set_unhandled_handler(tell) == nullptr);
    const weft::runtime runtime(2);
    for (int i = 0; i < 100; ++i) {
        runtime.spawn([i] {
            if (i % 10 == 0) throw std::runtime_error(std::to_string(i));
        }, "tenth");
    }
    runtime.spawn([] { throw 5; });
    runtime.async([] { throw 6; }).wait(); // has a result that somebody may ask for: not the handler's
    runtime.shutdown();
    CHECK(weft::set_unhandled_handler(nullptr) == tell);
    CHECK_EQ(told.size(), 11u);
    CHECK_EQ(told.count(": 5"), 1u);
    for (int i = 0; i < 100; i += 10) CHECK_EQ(told.count("tenth: " + std::to_string(i)), 1u);
    CHECK_EQ(runtime.stats().panicked, 0u);
}

CHILD(throws_unhandled) {
    const weft::runtime runtime(1);
    runtime.spawn([] { throw std::range_error("too far"); }, "resize");
    runtime.shutdown();
}

CHILD(throws_an_int_unhandled) {
    const weft::runtime runtime(1);
    runtime.spawn([] { throw 1; }, "resize");
    runtime.shutdown();
}

CHILD(handler_throws) {
    weft::set_unhandled_handler([](const char *, std::exception_ptr exception) { std::rethrow_exception(exception); });
    const weft::runtime runtime(1);
    runtime.spawn([] { throw std::range_error("too far"); }, "resize");
    runtime.shutdown();
}

CHILD(terminate_handler_decides) {
    std::set_terminate([] { std::_Exit(42); });
    const weft::runtime runtime(1);
    runtime.spawn([] { throw 1; });
    runtime.shutdown();
}

TEST(without_a_handler_the_process_ends_and_names_the_task) {
    const auto ended = check::run_child("throws_unhandled");
    CHECK(ended.aborted());
    CHECK(ended.says("\"resize\""));
    CHECK(ended.says("too far"));
    const auto other = check::run_child("throws_an_int_unhandled");
    CHECK(other.aborted());
    CHECK(other.says("\"resize\""));
}

TEST(a_handler_that_throws_ends_the_process) { CHECK(check::run_child("handler_throws").aborted()); }

TEST(std_terminate_is_what_ends_it) { CHECK_EQ(WEXITSTATUS(check::run_child("terminate_handler_decides").status), 42); }
