// weft::mutex under the standard's guards.
#include "check.hpp"

#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

TEST(guards_exclude) {
    weft::mutex mutex("total");
    constexpr int tasks = 8, rounds = 2000;
    long total = 0;
    std::vector<weft::future<void>> futures;
    for (int i = 0; i < tasks; ++i) {
        futures.push_back(weft::async([&] {
            for (int round = 0; round < rounds; ++round) {
                const std::lock_guard<weft::mutex> guard(mutex);
                ++total;
            }
        }));
    }
    for (auto &future : futures) future.get();
    CHECK_EQ(total, long{tasks} * rounds);
}

TEST(two_at_once_in_any_order) {
    weft::mutex left, right;
    long total = 0;
    const auto add = [&](weft::mutex &first, weft::mutex &second) {
        for (int round = 0; round < 500; ++round) {
            const std::scoped_lock both(first, second);
            ++total;
        }
    };
    weft::future<void> other = weft::async([&] { add(right, left); });
    add(left, right);
    other.get();
    CHECK_EQ(total, 1000);
    CHECK_EQ(weft_deadlock_count(), std::uint64_t{0});
}

TEST(times_and_failures) {
    weft::mutex mutex;
    std::unique_lock<weft::mutex> held(mutex);
    const auto busy = [&] {
        CHECK(!mutex.try_lock());
        CHECK(!mutex.try_lock_for(std::chrono::microseconds(10)));
        CHECK(!mutex.try_lock_until(std::chrono::steady_clock::now() + std::chrono::microseconds(10)));
        CHECK_STATUS(WEFT_BUSY, mutex.unlock());
    };
    std::thread(busy).join();
    CHECK_STATUS(WEFT_DEADLOCK, mutex.lock());
    CHECK_STATUS(WEFT_DEADLOCK, mutex.try_lock());
    held.unlock();
    std::thread([&] {
        CHECK(mutex.try_lock_until(std::chrono::steady_clock::now()));
        mutex.unlock();
    }).join();
    CHECK(held.try_lock_for(weft::forever));
}
