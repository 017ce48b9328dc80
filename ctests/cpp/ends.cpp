// Channels in bulk: batches, counted ends, and what they leave behind.
#include "check.hpp"
#include "counted.hpp"

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

TEST(batches_of_values) {
    const weft::channel<std::uint64_t> channel(10);
    std::vector<std::uint64_t> out(10), in;
    std::iota(out.begin(), out.end(), 0);
    channel.send_batch(out);
    CHECK(out.empty());
    out = {10, 11};
    CHECK_EQ(channel.send_batch_for(out, 0s), WEFT_WOULD_BLOCK);
    CHECK_EQ(channel.send_batch_for(out, 1us), WEFT_TIMEOUT);
    CHECK_EQ(out.size(), 2u);
    CHECK(channel.recv_batch(in, 3) && channel.recv_batch(in, 100));
    CHECK_EQ(in.size(), 10u);
    for (std::size_t i = 0; i < in.size(); ++i) CHECK_EQ(in[i], i);
    CHECK(channel.recv_batch(in, 0));
    CHECK_EQ(channel.recv_batch_for(in, 5, 0s), WEFT_WOULD_BLOCK);
    CHECK_EQ(channel.recv_batch_for(in, 5, 1us), WEFT_TIMEOUT);
    out.resize(12);
    CHECK_EQ(channel.send_batch_for(out, 0s), WEFT_WOULD_BLOCK); // ten of them went in
    CHECK_EQ(out.size(), 2u);
    channel.close();
    CHECK_STATUS(WEFT_CLOSED, channel.send_batch(out));
    CHECK_EQ(out.size(), 2u);
    CHECK(channel.recv_batch(in, 100));
    CHECK(!channel.recv_batch(in, 100));
    CHECK_EQ(in.size(), 20u);
}

namespace {
struct batch_theme {};
struct ends_theme {};
} // namespace

TEST(batches_of_boxes) {
    using element = counted<batch_theme>;
    {
        const weft::channel<element> channel(5);
        std::vector<element> out, in;
        for (long i = 0; i < 8; ++i) out.emplace_back(i);
        CHECK_EQ(channel.send_batch_for(out, 0s), WEFT_WOULD_BLOCK);
        CHECK_EQ(out.size(), 3u);
        CHECK_EQ(out[0].number(), 5);
        CHECK_EQ(out[2].number(), 7);
        CHECK(channel.recv_batch(in, 4));
        CHECK_EQ(in.size(), 4u);
        for (std::size_t i = 0; i < in.size(); ++i) CHECK_EQ(in[i].number(), static_cast<long>(i));
        channel.send_batch(out);
        CHECK(out.empty());
        CHECK_EQ(element::alive.load(), 8);
    }
    CHECK_EQ(element::alive.load(), 0);
}

TEST(batches_from_many_to_many) {
    const weft::channel<std::unique_ptr<std::uint64_t>> channel(16);
    constexpr std::uint64_t producers = 3, each = 3000;
    std::vector<weft::future<void>> sending;
    for (std::uint64_t p = 0; p < producers; ++p) {
        sending.push_back(weft::async([channel] {
            std::vector<std::unique_ptr<std::uint64_t>> batch;
            for (std::uint64_t i = 1; i <= each; ++i) {
                batch.push_back(std::make_unique<std::uint64_t>(i));
                if (batch.size() == i % 30 + 1 || i == each) channel.send_batch(batch);
            }
        }));
    }
    std::vector<weft::future<std::uint64_t>> receiving;
    for (int c = 0; c < 3; ++c) {
        receiving.push_back(weft::async([channel] {
            std::uint64_t sum = 0;
            for (std::vector<std::unique_ptr<std::uint64_t>> batch; channel.recv_batch(batch, 20); batch.clear()) {
                for (const auto &number : batch) sum += *number;
            }
            return sum;
        }));
    }
    for (auto &sender : sending) sender.get();
    channel.close();
    std::uint64_t sum = 0;
    for (auto &receiver : receiving) sum += receiver.get();
    CHECK_EQ(sum, producers * (each * (each + 1) / 2));
}

TEST(the_last_sender_closes) {
    auto both = weft::ends<std::string>(4, "lines");
    auto &sender = both.first;
    const auto &receiver = both.second;
    std::vector<weft::future<void>> sending;
    for (int i = 0; i < 3; ++i) {
        sending.push_back(weft::async([mine = sender] {
            for (int k = 0; k < 100; ++k) mine.send("line");
        }));
    }
    sender = {};
    CHECK_STATUS(WEFT_INVALID, sender.send("by an empty handle"));
    std::size_t lines = 0;
    for (const std::string &line : receiver) lines += line == "line";
    CHECK_EQ(lines, 300u);
    std::optional<std::string> none;
    CHECK_EQ(receiver.try_recv(none), WEFT_CLOSED);
}

TEST(the_last_receiver_refuses_and_drops) {
    using element = counted<ends_theme>;
    auto both = weft::ends<element>(weft::channel_options{8, nullptr, true, true});
    const auto &sender = both.first;
    auto &receiver = both.second;
    sender.send(element(1));
    std::vector<element> batch;
    batch.emplace_back(2);
    sender.send_batch(batch);
    CHECK_EQ(sender.channel().size(), 2u);
    CHECK_EQ(receiver.recv()->number(), 1);
    auto copy = receiver;
    receiver = {};
    CHECK_EQ(sender.try_send(element(3)), WEFT_OK);
    CHECK_EQ(element::alive.load(), 2);
    copy = {};
    CHECK_EQ(element::alive.load(), 0); // nobody could receive them
    CHECK_EQ(sender.try_send(element(4)), WEFT_CLOSED);
    CHECK_STATUS(WEFT_CLOSED, sender.send(element(5)));
}

TEST(who_waits_is_counted) {
    const weft::channel<int> channel(0);
    CHECK(channel.waiting().senders == 0 && channel.waiting().receivers == 0);
    std::thread receiving([&] { CHECK_EQ(channel.recv().value(), 7); });
    while (channel.waiting().receivers == 0) std::this_thread::yield();
    CHECK_EQ(channel.waiting().senders, 0u);
    channel.send(7);
    receiving.join();
}
