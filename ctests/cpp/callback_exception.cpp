// Exceptions that nobody may catch: out of a plain C callback, without weft.hpp to carry them, or of another language. The process ends
// with a message that names the task; they are never swallowed, and never unwind a worker.
#include "check.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <unwind.h>

namespace {

void throwing_task(weft_worker *, void *) { throw std::runtime_error("thrown by a task"); }
weft_status throwing_call(weft_worker *, void *, void **) { throw std::runtime_error("thrown by a call"); }
weft_status throwing_range(weft_worker *, std::size_t, std::size_t, void *) { throw std::runtime_error("thrown by a loop"); }
weft_status fine_fold(weft_worker *, std::size_t, std::size_t, void *, void *) { return WEFT_OK; }
weft_status throwing_combine(weft_worker *, void *, void *, void *) { throw std::runtime_error("thrown by a combine"); }
void fine_task(weft_worker *, void *) {}

/// Runs a task named "resize" that calls `body`, to its end.
void in_named_task(weft_task_fn body) {
    weft_runtime *runtime = nullptr;
    CHECK_EQ(weft_runtime_new(nullptr, &runtime), WEFT_OK);
    weft_spawn_options options;
    CHECK_EQ(weft_spawn_options_init(&options, sizeof options), WEFT_OK);
    options.name = "resize";
    CHECK_EQ(weft_spawn_with(runtime, body, nullptr, &options), WEFT_OK);
    CHECK_EQ(weft_runtime_shutdown(runtime, WEFT_SHUTDOWN_DRAIN, WEFT_FOREVER), WEFT_OK);
    weft_runtime_release(runtime);
}

void expect_end(const char *child, const char *name) {
    const auto ended = check::run_child(child);
    CHECK(ended.aborted());
    CHECK(!ended.output.empty());
    if (name && !ended.says(name)) check::fail(__FILE__, __LINE__, std::string(child) + " did not name its task but said: " + ended.output);
}

} // namespace

CHILD(spawn) { in_named_task(throwing_task); }

CHILD(async) {
    weft_spawn_options options;
    weft_spawn_options_init(&options, sizeof options);
    options.name = "resize";
    weft_future *future = nullptr;
    CHECK_EQ(weft_async(nullptr, throwing_call, nullptr, &options, &future), WEFT_OK);
    weft_future_wait(future, WEFT_FOREVER);
}

CHILD(run) { weft_run(nullptr, throwing_task, nullptr); }

CHILD(join_first) {
    in_named_task([](weft_worker *worker, void *) { weft_join(worker, throwing_task, nullptr, fine_task, nullptr); });
}

CHILD(join_second) {
    in_named_task([](weft_worker *worker, void *) { weft_join(worker, fine_task, nullptr, throwing_task, nullptr); });
}

CHILD(loop) {
    in_named_task([](weft_worker *, void *) { weft_for(nullptr, 0, 1000, throwing_range, nullptr, nullptr, nullptr); });
}

CHILD(reduction) {
    in_named_task([](weft_worker *, void *) {
        weft_loop_options options;
        weft_loop_options_init(&options, sizeof options);
        options.grain = 10;
        int acc = 0;
        weft_reduce(nullptr, 0, 1000, sizeof acc, &acc, fine_fold, throwing_combine, nullptr, &options, &acc);
    });
}

CHILD(arg_drop) {
    weft_channel_options options;
    weft_channel_options_init(&options, sizeof options);
    options.drop = [](void *, void *) { throw std::runtime_error("thrown by a drop"); };
    weft_channel *channel = nullptr;
    CHECK_EQ(weft_channel_new(&options, &channel), WEFT_OK);
    void *element = nullptr;
    CHECK_EQ(weft_channel_send(channel, &element, 0), WEFT_OK);
    weft_channel_release(channel);
}

/// An exception of another language, such as a Rust panic, on its way through a callable of weft.hpp.
[[noreturn]] static void raise_foreign() {
    static _Unwind_Exception foreign{};
    foreign.exception_class = 0x464f524549474e21; // no compiler's
    _Unwind_RaiseException(&foreign);
    std::fputs("nobody looked at the exception\n", stderr);
    std::exit(0);
}

CHILD(foreign_spawn) {
    const weft::runtime runtime(1);
    runtime.spawn(raise_foreign, "resize");
    runtime.shutdown();
}

CHILD(foreign_async) {
    const weft::runtime runtime(1);
    runtime.async(raise_foreign, "resize").wait();
}

TEST(out_of_a_spawned_task) { expect_end("spawn", "resize"); }
TEST(out_of_an_async_call) { expect_end("async", "resize"); }
TEST(out_of_run) { expect_end("run", nullptr); }
TEST(out_of_the_first_half_of_a_join) { expect_end("join_first", "resize"); }
TEST(out_of_the_second_half_of_a_join) { expect_end("join_second", "resize"); }
TEST(out_of_a_loop_body) { expect_end("loop", "resize"); }
TEST(out_of_a_combine) { expect_end("reduction", "resize"); }
// weft.hpp carries C++ exceptions and must not swallow others.
TEST(of_another_language_through_spawn) { expect_end("foreign_spawn", "resize"); }
TEST(of_another_language_through_async) { expect_end("foreign_async", "resize"); }
TEST(out_of_a_drop) { expect_end("arg_drop", nullptr); }
