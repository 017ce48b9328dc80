// Contexts and pools of contexts.
#include "check.hpp"
#include "counted.hpp"

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using weft::context_kind;

namespace {

struct context_theme {};
constexpr context_kind with_callables[] = {context_kind::on_caller, context_kind::thread, context_kind::task, context_kind::fork};

weft_status shout(const void *data, std::size_t len, weft_bytes **reply, void *) {
    std::string text(static_cast<const char *>(data), len);
    text += "!";
    return weft_bytes_new(text.data(), text.size(), reply);
}

struct odd : std::runtime_error {
    explicit odd(int value) : std::runtime_error("odd"), number(value) {}
    int number;
};

} // namespace

TEST(a_callable_runs_and_its_reply_comes_back) {
    using captured = counted<context_theme>;
    for (const context_kind kind : with_callables) {
        weft::context context(kind, "callable");
        CHECK(context.kind() == kind && context.kind_asked() == kind);
        CHECK_EQ(context.name(), std::string("callable"));
        context.execute([mine = captured(1)](std::string_view text) { return std::string(text) + " back"; }, "there and");
        CHECK_EQ(context.wait(), std::string("there and back"));
        CHECK_EQ(context.wait(), std::string("there and back"));
        CHECK_EQ(captured::alive.load(), 0);
        CHECK(!context.is_alive());
        CHECK_EQ(context.stats().executed, 1u);
    }
}

TEST(functions_serve_all_kinds) {
    weft::context isolated(context_kind::isolated);
    for (int i = 0; i < 3; i++) {
        isolated.execute(shout, "hey");
        CHECK_EQ(isolated.wait(), std::string("hey!"));
    }
    CHECK_STATUS(WEFT_INVALID, isolated.execute([](std::string_view) {}));
    CHECK_STATUS(WEFT_INVALID, weft::context(context_kind::process));
    CHECK_STATUS(WEFT_INVALID, weft::context(4711));
    CHECK_STATUS(WEFT_INVALID, weft::context().wait());
}

TEST(exceptions_come_out_of_the_wait) {
    for (const context_kind kind : with_callables) {
        weft::context context(kind);
        context.execute([](std::string_view) { throw odd(7); });
        for (int again = 0; again < 2; again++) {
            if (kind == context_kind::fork)
                CHECK_STATUS(WEFT_FAILED, context.wait());
            else
                check::throws<odd>([&] { context.wait(); }, [](const odd &thrown) { CHECK_EQ(thrown.number, 7); }, "wait", __FILE__, __LINE__);
        }
        CHECK(context.wait_for(0s));
    }
}

TEST(what_runs_is_terminated) {
    for (const context_kind kind : {context_kind::thread, context_kind::fork}) {
        weft::context context(kind);
        context.execute([](std::string_view) { weft::sleep_for(weft::forever); });
        CHECK(!context.wait_for(1us));
        CHECK(context.terminate(weft::forever));
        CHECK_STATUS(WEFT_CANCELLED, context.wait());
        CHECK_STATUS(WEFT_CLOSED, context.execute([](std::string_view) {}));
    }
}

TEST(pools_bound_what_runs) {
    const weft::context_pool pool(context_kind::thread, 2);
    std::vector<weft::context> contexts;
    for (int i = 0; i < 20; i++) {
        contexts.push_back(pool.acquire());
        contexts.back().execute([i](std::string_view) { return std::to_string(i); });
    }
    pool.wait_all();
    for (int i = 0; i < 20; i++) CHECK_EQ(contexts[static_cast<std::size_t>(i)].wait(), std::to_string(i));
    CHECK(pool.stats().peak <= 2 && pool.stats().active == 0);
    const weft::context one = pool.acquire_strictly(weft::forever), two = pool.acquire_strictly(0s);
    CHECK_STATUS(WEFT_WOULD_BLOCK, pool.acquire_strictly(0s, weft::priority::critical));
    CHECK(pool.terminate_all(weft::forever));
    pool.close();
    CHECK_STATUS(WEFT_CLOSED, pool.acquire());
}
