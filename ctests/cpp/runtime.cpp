// Runtimes and tasks: options, handles, spawning from everywhere, both ways to shut down, and timeouts as chrono durations.
#include "check.hpp"
#include "counted.hpp"

#include <cmath>
#include <functional>
#include <future>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

TEST(options) {
    weft::runtime_options options;
    CHECK_EQ(options.size, sizeof(weft_runtime_options));
    options.workers = 3;
    options.name = "mine";
    const weft::runtime runtime(options);
    CHECK_EQ(runtime.workers(), 3);
    CHECK_EQ(runtime.stats().workers, 3u);
    runtime.shutdown();
    options.workers = -1;
    CHECK_STATUS(WEFT_INVALID, weft::runtime(options));
    CHECK_STATUS(WEFT_INVALID, weft::runtime(5000));
}

TEST(placement_and_statistics_of_workers) {
    weft::runtime_options options;
    options.workers = 1;
    options.placement = WEFT_PLACEMENT_COMPACT;
    const weft::runtime runtime(options);
    CHECK(runtime.run([&](weft::worker on) { return runtime.worker_stats(static_cast<std::uint32_t>(on.index()))->cpu >= 0; }));
    runtime.refresh_topology();
    CHECK(!runtime.worker_stats(100000).has_value());
    runtime.shutdown();
    const weft::worker_stats worker = runtime.worker_stats(0).value();
    CHECK_EQ(worker.executed, runtime.stats().executed);
    CHECK_EQ(worker.busy_ns, runtime.stats().busy_ns);
    CHECK(weft::utilisation(worker) > 0 && weft::utilisation(worker) < 1);
    CHECK(weft::mean_task_ns(runtime.stats()) > 0);
    CHECK(weft::steal_efficiency(worker) == 0);
    CHECK_EQ(weft::optimal_worker_count(weft::load::io), 2 * weft::optimal_worker_count(weft::load::cpu));
    CHECK_STATUS(WEFT_INVALID, weft::optimal_worker_count(static_cast<weft::load>(7)));
}

TEST(kinds_and_sizes) {
    weft::runtime_options options;
    options.kind = WEFT_KIND_SINGLE;
    const weft::runtime single(options);
    CHECK(single.kind() == weft::runtime_kind::single);
    CHECK(!single.run_here(weft::run_mode::one_step));
    const auto ran_on = single.async([] { return std::this_thread::get_id(); });
    CHECK(single.run_here());
    CHECK(ran_on.get() == std::this_thread::get_id());
    CHECK(single.run([] { return std::this_thread::get_id(); }) == std::this_thread::get_id());
    CHECK_STATUS(WEFT_UNSUPPORTED, single.lend());
    options.kind = WEFT_KIND_HOSTED;
    options.workers = 1;
    const weft::runtime hosted(options);
    CHECK(!hosted.lend_for(std::chrono::seconds(0)));
    std::thread lender([&] { hosted.lend(); });
    CHECK_EQ(hosted.async([] { return 7; }).get(), 7);
    hosted.shutdown();
    lender.join();
    CHECK_STATUS(WEFT_SHUTDOWN, hosted.lend());
    const weft::runtime multi(1);
    multi.resize(3);
    CHECK_EQ(multi.workers(), 3);
    CHECK_STATUS(WEFT_INVALID, multi.resize(0));
    CHECK_STATUS(WEFT_UNSUPPORTED, multi.run_here());
}

TEST(handles) {
    weft::runtime runtime(1);
    weft::runtime copy = runtime;
    CHECK(copy.native() == runtime.native());
    const weft::runtime moved = std::move(runtime);
    CHECK(!runtime && moved);
    CHECK_STATUS(WEFT_INVALID, runtime.workers());
    CHECK_STATUS(WEFT_INVALID, runtime.spawn([] {})); // an empty handle is not the default runtime
    CHECK_STATUS(WEFT_INVALID, runtime.run([] {}));
    CHECK_STATUS(WEFT_INVALID, runtime.stats());
    CHECK_STATUS(WEFT_INVALID, runtime.worker_stats(0));
    CHECK_STATUS(WEFT_INVALID, runtime.refresh_topology());
    weft::runtime &itself = copy;
    copy = itself;
    CHECK_EQ(copy.run([] { return 1; }), 1);
    copy.shutdown();
    CHECK_STATUS(WEFT_SHUTDOWN, moved.run([] {}));
}

TEST(priorities) {
    std::vector<int> order;
    const weft::runtime runtime(1);
    runtime.run([&] {
        const auto note = [&order](int number) { return [&order, number] { order.push_back(number); }; };
        runtime.spawn(note(3), {"low", weft::priority::low});
        runtime.spawn(note(2), "normal");
        runtime.spawn(note(1), {nullptr, weft::priority::high});
        weft::task_options how("critical", weft::priority::critical);
        how.node = 0;
        static_cast<void>(weft::async(note(0), how));
        how.node = 4711;
        CHECK_STATUS(WEFT_INVALID, weft::spawn(note(9), how));
        how = "not stealable";
        how.stealable = false;
        runtime.spawn(note(2), how);
    });
    runtime.shutdown();
    CHECK(order == (std::vector<int>{0, 1, 2, 2, 3}));
}

TEST(callables_in_memory_of_the_caller) {
    const weft::runtime runtime(1);
    int left = 1000;
    weft::task<std::function<void()>> again([&] {
        if (--left > 0) CHECK(again.submit());
    });
    weft::task once([] {});
    CHECK(runtime.submit(again));
    runtime.run([&] {
        CHECK(once.submit());
        CHECK(!once.submit());
        CHECK_EQ(weft_submit(nullptr, once.native()), WEFT_BUSY);
    });
    runtime.shutdown();
    CHECK_EQ(left, 0);
    CHECK_STATUS(WEFT_SHUTDOWN, static_cast<void>(runtime.submit(once)));
}

TEST(workers_know_themselves) {
    CHECK(!weft::worker::current());
    CHECK_EQ(weft::worker().index(), -1);
    CHECK(!weft::worker().runtime());
    const weft::runtime runtime(2);
    runtime.run([&](weft::worker on) {
        CHECK(on.native() == weft::worker::current().native());
        CHECK(on.index() >= 0);
        CHECK(on.runtime().native() == runtime.native());
        // Free functions mean the runtime of the task that calls them.
        CHECK(weft::async([] { return weft::worker::current().runtime().native(); }).get() == runtime.native());
    });
    runtime.shutdown();
}

namespace {
struct spawned_theme {};
struct discarded_theme {};
struct released_theme {};
} // namespace

TEST(spawning_from_many_threads) {
    using captured = counted<spawned_theme>;
    constexpr int threads = 4, each = 5000;
    std::atomic<long> sum{0};
    const weft::runtime runtime(2);
    const auto before = runtime.stats();
    std::vector<std::thread> spawners;
    for (int t = 0; t < threads; ++t) {
        spawners.emplace_back([&, t] {
            for (int i = 0; i < each; ++i) {
                runtime.spawn([&sum, mine = captured(t * each + i)] { sum.fetch_add(mine.number(), std::memory_order_relaxed); });
            }
        });
    }
    for (auto &thread : spawners) thread.join();
    runtime.shutdown();
    constexpr long count = threads * each;
    CHECK_EQ(sum.load(), count * (count - 1) / 2);
    CHECK_EQ(captured::alive.load(), 0);
    const auto after = runtime.stats();
    CHECK_EQ(after.spawned - before.spawned, static_cast<std::uint64_t>(count));
    CHECK_EQ(after.executed - before.executed, static_cast<std::uint64_t>(count));
}

TEST(draining_runs_what_tasks_spawn) {
    const weft::runtime runtime(2);
    std::atomic<int> ran{0};
    struct tree {
        std::atomic<int> &ran;
        int depth;
        void operator()() const {
            ran.fetch_add(1);
            if (depth > 0) {
                weft::spawn(tree{ran, depth - 1}, "branch");
                weft::spawn(tree{ran, depth - 1});
            }
        }
    };
    runtime.spawn(tree{ran, 11});
    runtime.shutdown();
    CHECK_EQ(ran.load(), 4095);
    runtime.shutdown(); // twice is fine
    CHECK(runtime.shutdown_for(std::chrono::seconds(0)));
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.spawn([] {}));
    CHECK_STATUS(WEFT_SHUTDOWN, runtime.async([] { return 1; }));
}

TEST(move_only_callables_run_once) {
    const weft::runtime runtime(1);
    int got = 0;
    runtime.spawn([&got, owned = std::make_unique<int>(9)]() mutable { got = *std::exchange(owned, nullptr); });
    runtime.shutdown();
    CHECK_EQ(got, 9);
}

TEST(discarding_destroys_queued_callables_unrun) {
    using captured = counted<discarded_theme>;
    // One thread, held by a task that waits for something the runtime knows nothing of: nothing else can start.
    weft::runtime_options options;
    options.workers = 1;
    options.max_threads = 1;
    const weft::runtime runtime(options);
    std::promise<void> started, release;
    runtime.spawn([&] {
        started.set_value();
        release.get_future().wait();
    });
    started.get_future().wait();
    std::atomic<int> ran{0};
    for (int i = 0; i < 100; ++i) runtime.spawn([&ran, mine = captured(i)] { ran.fetch_add(1); });
    weft::future<int> never = runtime.async([&ran, mine = captured(100)] { return ran.fetch_add(1); });
    CHECK_EQ(captured::alive.load(), 101);
    CHECK(!runtime.shutdown_for(std::chrono::seconds(0), weft::shutdown_mode::discard));
    release.set_value();
    runtime.shutdown();
    CHECK_EQ(ran.load(), 0);
    CHECK_EQ(captured::alive.load(), 0);
    CHECK_STATUS(WEFT_BROKEN, never.get());
    CHECK_EQ(runtime.stats().discarded, 101u);
}

TEST(the_last_handle_discards) {
    using captured = counted<released_theme>;
    std::promise<void> started, release, gone;
    // Destroyed with the last queued callable that holds it, and tells.
    std::shared_ptr<void> witness(nullptr, [&gone](void *) { gone.set_value(); });
    std::atomic<int> ran{0};
    {
        weft::runtime_options options;
        options.workers = 1;
        options.max_threads = 1;
        const weft::runtime runtime(options);
        runtime.spawn([&] {
            started.set_value();
            release.get_future().wait();
        });
        started.get_future().wait();
        for (int i = 0; i < 10; ++i) runtime.spawn([&ran, witness, mine = captured(i)] { ran.fetch_add(1); });
    }
    witness.reset();
    release.set_value();
    gone.get_future().wait();
    CHECK_EQ(ran.load(), 0);
}

TEST(shutting_down_from_inside_is_refused) {
    const weft::runtime runtime(1);
    CHECK_EQ(runtime.async([runtime] {
        try {
            runtime.shutdown();
        } catch (const weft::error &refused) {
            return refused.status();
        }
        return WEFT_OK;
    }).get(), WEFT_DEADLOCK);
    CHECK_EQ(runtime.run([] { return 2; }), 2); // nothing has begun
    runtime.shutdown();
}

TEST(worker_hooks_come_in_pairs) {
    struct hooks {
        std::atomic<int> starts{0}, stops{0};
    } seen;
    weft::runtime_options options;
    options.workers = 2;
    options.hook_arg = &seen;
    options.on_worker_start = [](weft_worker *, void *arg) { static_cast<hooks *>(arg)->starts.fetch_add(1); };
    options.on_worker_stop = [](weft_worker *, void *arg) { static_cast<hooks *>(arg)->stops.fetch_add(1); };
    const weft::runtime runtime(options);
    runtime.parallel_for(0, 100, [](std::size_t) {}, {1});
    runtime.shutdown();
    CHECK(seen.starts.load() >= 1);
    CHECK_EQ(seen.starts.load(), seen.stops.load());
}

TEST(errors_explain_themselves) {
    const weft::error plain(WEFT_TIMEOUT);
    CHECK_EQ(std::string(plain.what()), weft_status_name(WEFT_TIMEOUT));
    CHECK_EQ(plain.status(), WEFT_TIMEOUT);
    CHECK_EQ(weft::error(WEFT_OK, "no failure").status(), WEFT_FAILED);
    try {
        weft::runtime runtime(-3);
        CHECK(!"refused");
    } catch (const weft::error &refused) {
        CHECK(std::string(refused.what()).find("workers") != std::string::npos);
    }
}

TEST(durations_become_nanoseconds) {
    using namespace std::chrono;
    using weft::detail::timeout_ns;
    CHECK_EQ(timeout_ns(seconds(2)), 2000000000);
    CHECK_EQ(timeout_ns(nanoseconds(1)), 1);
    CHECK_EQ(timeout_ns(seconds(0)), 0);
    CHECK_EQ(timeout_ns(hours::min()), 0);
    CHECK_EQ(timeout_ns(weft::forever), WEFT_FOREVER);
    CHECK_EQ(timeout_ns(hours::max()), WEFT_FOREVER);
    CHECK_EQ(timeout_ns(nanoseconds::max() - nanoseconds(1)), WEFT_FOREVER - 1);
    CHECK_EQ(timeout_ns(duration<double>(0.5)), 500000000);
    CHECK_EQ(timeout_ns(duration<double, std::nano>(0.25)), 1); // up, or it would mean not to wait at all
    CHECK_EQ(timeout_ns(duration<double>(std::numeric_limits<double>::infinity())), WEFT_FOREVER);
    CHECK_EQ(timeout_ns(duration<double>(-std::numeric_limits<double>::infinity())), 0);
    CHECK_EQ(timeout_ns(duration<double>(std::nan(""))), 0);
    CHECK_EQ(timeout_ns(duration<std::int64_t, std::ratio<1, 1000000000000>>(1)), 1); // a picosecond
}
