// The process-wide default runtime. Each test runs in a process of its own, where that runtime has not started yet.
#include "check.hpp"

#include <string>

CHILD(configured) {
    weft::runtime_options options;
    options.workers = 3;
    weft::configure_default(options);
    CHECK_EQ(weft::run([](weft::worker on) { return on.runtime().workers(); }), 3);
    CHECK_STATUS(WEFT_BUSY, weft::configure_default(options));
    const auto native = weft::run([](weft::worker on) { return on.runtime().native(); });
    CHECK(weft::async([](weft::worker on) { return on.runtime().native(); }).get() == native);
}

CHILD(restarted) {
    std::atomic<int> ran{0};
    for (int i = 0; i < 1000; ++i) weft::spawn([&ran] { ran.fetch_add(1); });
    weft::shutdown_default();
    CHECK_EQ(ran.load(), 1000);
    CHECK_EQ(weft::run([] { return 8; }), 8); // a new one
    weft::shutdown_default();
}

TEST(takes_options_before_it_runs) {
    const auto ended = check::run_child("configured");
    CHECK_EQ(ended.status, 0);
    CHECK_EQ(ended.output, "");
}

TEST(starts_anew_after_a_shutdown) {
    const auto ended = check::run_child("restarted");
    CHECK_EQ(ended.status, 0);
    CHECK_EQ(ended.output, "");
}
