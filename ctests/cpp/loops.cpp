// parallel_for and reduce: every index once, in pieces no larger than asked for, order kept in reductions, and nothing left behind by
// what throws.
#include "check.hpp"
#include "counted.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

TEST(every_index_once) {
    const std::vector<std::size_t> lengths{0, 1, 2, 3, 63, 64, 1000, 100003};
    for (const std::size_t length : lengths) {
        std::vector<std::atomic<int>> seen(length + 20);
        weft::loop_report report{};
        weft::parallel_for(10, 10 + length, [&](std::size_t i) { seen[i].fetch_add(1, std::memory_order_relaxed); }, {0, &report});
        for (std::size_t i = 0; i < seen.size(); ++i) CHECK_EQ(seen[i].load(), i >= 10 && i < 10 + length ? 1 : 0);
        CHECK_EQ(report.done, length);
        CHECK_EQ(report.failed + report.skipped, 0u);
    }
}

TEST(pieces_keep_to_the_grain) {
    for (const std::size_t grain : {std::size_t{1}, std::size_t{7}, std::size_t{64}, std::size_t{5000}}) {
        std::atomic<std::size_t> covered{0};
        weft::parallel_for_ranges(100, 1100, [&](weft::worker on, std::size_t from, std::size_t to) {
            CHECK(on.index() >= 0);
            CHECK(from >= 100 && from < to && to <= 1100);
            CHECK(to - from <= grain);
            covered.fetch_add(to - from);
        }, {grain});
        CHECK_EQ(covered.load(), 1000u);
    }
}

TEST(nested_loops) {
    constexpr std::size_t side = 200;
    std::vector<std::uint32_t> product(side * side);
    weft::parallel_for(0, side, [&](std::size_t row) {
        weft::parallel_for(0, side, [&](std::size_t column) { product[row * side + column] = static_cast<std::uint32_t>(row * column); });
    });
    const std::uint64_t sum = std::accumulate(product.begin(), product.end(), std::uint64_t{0});
    const std::uint64_t triangle = side * (side - 1) / 2;
    CHECK_EQ(sum, triangle * triangle);
}

TEST(an_exception_ends_the_loop_and_comes_out) {
    constexpr std::size_t length = 100000;
    std::atomic<std::size_t> called{0};
    weft::loop_report report{};
    CHECK_THROWS_SAYING(std::out_of_range, "777", weft::parallel_for(0, length, [&](std::size_t i) {
        called.fetch_add(1, std::memory_order_relaxed);
        if (i == 777) throw std::out_of_range("777");
    }, {10, &report}));
    CHECK_EQ(report.done + report.failed + report.skipped, length);
    CHECK(report.failed >= 1 && report.failed <= 10); // the one piece that 777 lies in
    CHECK(called.load() >= report.done && called.load() <= report.done + report.failed);

    // All at once: any of them may be the first, and it is a whole one.
    try {
        weft::parallel_for(0, 1000, [](std::size_t i) { throw std::runtime_error(std::to_string(i)); }, {1});
        CHECK(!"the loop must throw");
    } catch (const std::runtime_error &caught) {
        CHECK(std::stoul(caught.what()) < 1000);
    }
    CHECK_STATUS(WEFT_NOT_FOUND, weft::parallel_for(0, 10, [](std::size_t) { throw weft::error(WEFT_NOT_FOUND, "in a loop"); }));
}

TEST(refused_loops) {
    bool called = false;
    weft::loop_report report{};
    report.done = 99;
    CHECK_STATUS(WEFT_INVALID, weft::parallel_for(5, 4, [&](std::size_t) { called = true; }, {0, &report}));
    CHECK(!called);
    CHECK_EQ(report.done, 99u);
    CHECK_STATUS(WEFT_INVALID, weft::reduce(5, 4, 0, [](int &, std::size_t) {}, [](int &, int) {}));
}

TEST(sums_in_place) {
    constexpr std::size_t length = 1000000;
    const auto sum = weft::reduce(std::size_t{0}, length, std::uint64_t{0}, [](std::uint64_t &acc, std::size_t i) { acc += i; },
                                  [](std::uint64_t &into, std::uint64_t from) { into += from; });
    CHECK_EQ(sum, std::uint64_t{length} * (length - 1) / 2);
    CHECK_EQ(weft::reduce(3, 3, 42, [](int &, std::size_t) {}, [](int &, int) {}), 42);
}

TEST(order_is_kept) {
    // Joining texts is associative and not commutative: a reduction that mixed neighbours up would show.
    std::string expected;
    for (int i = 0; i < 5000; ++i) expected += std::to_string(i) + ",";
    for (const std::size_t grain : {std::size_t{0}, std::size_t{1}, std::size_t{13}}) {
        const std::string joined = weft::reduce(0, 5000, std::string(), [](std::string &acc, std::size_t i) { acc += std::to_string(i) + ","; },
                                                [](std::string &into, std::string &&from) { into += from; }, {grain});
        CHECK(joined == expected);
    }
    CHECK_EQ(weft::reduce(7, 7, std::string("identity"), [](std::string &, std::size_t) {}, [](std::string &, std::string &&) {}), "identity");
}

TEST(floats_are_the_same_on_any_number_of_workers) {
    std::vector<double> numbers(100000);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = 1.0 / static_cast<double>(i + 1) * (i % 2 ? 1e10 : -1e-10);
    const auto total = [&](const weft::runtime &runtime) {
        return runtime.reduce_ranges(0, numbers.size(), 0.0, [&](double &acc, std::size_t from, std::size_t to) {
            for (; from != to; ++from) acc += numbers[from];
        }, [](double &into, double from) { into += from; }, {100});
    };
    double first = 0;
    for (const int workers : {1, 2, 3, 5}) {
        const weft::runtime runtime(workers);
        const double sum = total(runtime);
        if (workers == 1) first = sum;
        CHECK_EQ(std::memcmp(&sum, &first, sizeof sum), 0);
        runtime.shutdown();
    }
}

namespace {

struct alignas(32) aligned_sum {
    std::uint64_t sum = 0;
};

struct totals_theme {};

/// An accumulator that owns memory and is counted.
struct tally {
    counted<totals_theme> mark{};
    std::vector<std::size_t> indices{};
};

} // namespace

TEST(accumulators_that_bits_cannot_copy) {
    const auto wide = weft::reduce(0, 10000, aligned_sum{}, [](aligned_sum &acc, std::size_t i) {
        CHECK(reinterpret_cast<std::uintptr_t>(&acc) % 32 == 0);
        acc.sum += i;
    }, [](aligned_sum &into, aligned_sum &&from) { into.sum += from.sum; });
    CHECK_EQ(wide.sum, 49995000u);

    {
        const tally all = weft::reduce(0, 10000, tally{}, [](tally &acc, std::size_t i) { acc.indices.push_back(i); },
                                       [](tally &into, tally &&from) { into.indices.insert(into.indices.end(), from.indices.begin(), from.indices.end()); }, {50});
        CHECK_EQ(all.indices.size(), 10000u);
        for (std::size_t i = 0; i < all.indices.size(); ++i) CHECK_EQ(all.indices[i], i);
        CHECK_EQ(counted<totals_theme>::alive.load(), 1);
    }
    CHECK_EQ(counted<totals_theme>::alive.load(), 0);
}

TEST(failed_reductions_leave_nothing_behind) {
    for (int round = 0; round < 50; ++round) {
        CHECK_THROWS_SAYING(std::out_of_range, "fold", weft::reduce(0, 1000, tally{}, [](tally &acc, std::size_t i) {
            acc.indices.push_back(i);
            if (i == 613) throw std::out_of_range("fold");
        }, [](tally &into, tally &&from) { into.indices.insert(into.indices.end(), from.indices.begin(), from.indices.end()); }, {10}));
        CHECK_EQ(counted<totals_theme>::alive.load(), 0);

        CHECK_THROWS_SAYING(std::logic_error, "combine", weft::reduce(0, 1000, tally{}, [](tally &acc, std::size_t i) { acc.indices.push_back(i); },
            [](tally &, tally &&from) {
                if (from.indices.back() == 999) throw std::logic_error("combine");
            }, {10}));
        CHECK_EQ(counted<totals_theme>::alive.load(), 0);
    }
    CHECK(counted<totals_theme>::made.load() > 0);
}

TEST(options_of_loops_and_reductions) {
    const weft::runtime runtime(2);
    weft::loop_report report;
    weft::loop_options options;
    options.report = &report;
    options.grain = 1;
    options.timeout_ns = 0;
    CHECK_STATUS(WEFT_TIMEOUT, runtime.run([&] { weft::parallel_for(0, 100, [](std::size_t) {}, options); }));
    CHECK_EQ(report.skipped, 100u);
    const auto add = [](int &into, int from) { into += from; };
    CHECK_STATUS(WEFT_TIMEOUT, weft::reduce_ranges(0, 100, 0, [](int &acc, std::size_t from, std::size_t to) { acc += int(to - from); }, add, options));
    options.timeout_ns = WEFT_FOREVER;
    // A body's own timeout is a failure like others, and is repaired.
    std::atomic<bool> failed{false};
    options.on_failure = WEFT_ON_FAILURE_REDO;
    runtime.run([&] {
        weft::parallel_for(0, 100, [&](std::size_t i) {
            if (i == 50 && !failed.exchange(true)) throw weft::error(WEFT_TIMEOUT, "a query took too long");
        }, options);
    });
    CHECK(report.done == 100 && report.fell_back == 1);
    CHECK_STATUS(WEFT_INVALID, weft::reduce_ranges(0, 100, 0, [](int &, std::size_t, std::size_t) {}, add, options));
    options.on_failure = WEFT_ON_FAILURE_STOP;
    options.serial_below = 1000;
    CHECK_EQ(weft::reduce_ranges(0, 100, 0, [](int &acc, std::size_t from, std::size_t to) { acc += to - from == 1 ? 1 : 1000; }, add, options), 100);
}

TEST(a_token_ends_loops_and_tasks) {
    const weft::runtime runtime(2);
    const auto root = weft::cancel_token::create();
    const auto token = root.child();
    std::atomic<std::size_t> calls{0};
    weft::loop_options options{1};
    options.cancel = token;
    const auto loop = [&] {
        runtime.parallel_for(0, 100000, [&](std::size_t i) {
            calls.fetch_add(1);
            if (i == 100) root.trigger("found");
        }, options);
    };
    CHECK_THROWS_SAYING(weft::error, "cancelled: found", loop());
    CHECK(calls.load() < 100000);
    CHECK(token.triggered() && std::strcmp(token.reason(), "found") == 0);
    runtime.run([&] {
        CHECK(!weft::cancelled());
        const weft::cancel_scope scope(token);
        CHECK(weft::cancelled());
        const weft::cancel_shield shield;
        CHECK(!weft::cancelled());
    });
    weft::task_options carrying;
    carrying.cancel = token;
    auto future = runtime.async([] { return 1; }, carrying);
    CHECK_STATUS(WEFT_CANCELLED, future.get());
}
