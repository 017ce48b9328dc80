// weft::process_pool and weft::serve: calls, exceptions of handlers, deaths.
#include "check.hpp"

#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

CHILD(worker) {
    int calls = 0;
    weft::serve([&](std::string_view request) -> std::string {
        ++calls;
        if (request == "throw") throw std::out_of_range("beyond");
        if (request == "error") throw weft::error(WEFT_NOT_FOUND, "it is not there");
        if (request == "other") throw 5;
        if (request == "die") ::kill(::getpid(), SIGKILL);
        if (request == "once" && weft_serve_attempt() == 1) ::kill(::getpid(), SIGKILL);
        if (request == "count") return std::to_string(calls);
        return std::string(request) + "!";
    });
}

static weft::process_pool pool_of(const char *child) {
    static char self[4096];
    const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self - 1);
    self[length > 0 ? length : 0] = '\0';
    const char *argv[] = {self, "--child", child, nullptr};
    weft_process_pool_options options = weft::process_pool::defaults();
    options.argv = argv;
    options.workers = 1;
    return weft::process_pool(options);
}

TEST(calls_are_answered) {
    const weft::process_pool pool = pool_of("worker");
    CHECK_EQ(pool.call("hello").get(), "hello!");
    const weft::answer answer = pool.call("");
    answer.wait();
    CHECK(answer.wait_for(std::chrono::seconds(0)));
    CHECK_EQ(std::string(answer.view()), "!");
    CHECK_EQ(pool.call("count").get(), "3");
    CHECK(pool.drain(weft::forever));
    CHECK_EQ(pool.stats().succeeded, std::uint64_t{3});
    CHECK_STATUS(WEFT_CLOSED, pool.call("hello"));
}

TEST(what_a_handler_throws_is_the_calls_failure) {
    const weft::process_pool pool = pool_of("worker");
    CHECK_STATUS(WEFT_FAILED, pool.call("throw").get());
    CHECK_THROWS_SAYING(weft::error, "beyond", pool.call("throw").get());
    CHECK_STATUS(WEFT_NOT_FOUND, pool.call("error").get());
    CHECK_THROWS_SAYING(weft::error, "it is not there", pool.call("error").get());
    CHECK_STATUS(WEFT_FAILED, pool.call("other").get());
    CHECK_EQ(pool.stats().deaths, std::uint64_t{0});
}

TEST(a_death_is_an_error) {
    const weft::process_pool pool = pool_of("worker");
    CHECK_STATUS(WEFT_DIED, pool.call("die").get());
    weft_process_call_options again = weft::process_pool::call_defaults();
    again.attempts = 2;
    const weft::answer answer = pool.call("once", again);
    CHECK_EQ(answer.get(), "once!");
    CHECK_EQ(answer.attempts(), std::uint32_t{2});
}

CHILD(silent_worker) {
    weft::serve([](std::string_view) {});
}

TEST(a_handler_may_return_nothing) {
    const weft::process_pool pool = pool_of("silent_worker");
    pool.resize(2);
    CHECK_EQ(pool.call("hello").get(), "");
}
