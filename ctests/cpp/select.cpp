// Select: exactly one case happens, values that are not sent come back, and every kind of case.
#include "check.hpp"
#include "counted.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

using namespace std::chrono_literals;

TEST(every_kind_of_case) {
    const weft::channel<int> empty(1), full(1);
    full.send(1);
    weft::promise<std::string> promise;
    const auto future = promise.get_future();
    const auto token = weft::cancel_token::create();
    std::string happened;
    int value = 7;
    const auto once = [&](auto timeout) {
        happened.clear();
        return weft::select(
            weft::on_recv(empty, [&](std::optional<int> got) { happened = got ? "received " + std::to_string(*got) : "closed"; }),
            weft::on_send(full, value, [&](bool sent) { happened = sent ? "sent" : "refused"; }),
            weft::on_settled(future, [&] { happened = "settled " + future.get(); }),
            weft::on_cancel(token, [&] { happened = std::string("cancelled ") + token.reason(); }),
            weft::on_timeout(timeout, [&] { happened = "timeout"; }));
    };
    const std::int64_t begin = weft_now();
    CHECK_EQ(once(2ms), 4u);
    CHECK_EQ(happened, "timeout");
    CHECK(weft_now() >= begin + 2000000);
    empty.send(5);
    CHECK_EQ(once(weft::forever), 0u);
    CHECK_EQ(happened, "received 5");
    CHECK_EQ(full.recv().value(), 1);
    CHECK_EQ(once(weft::forever), 1u);
    CHECK_EQ(happened, "sent");
    promise.set_value("there");
    CHECK_EQ(once(weft::forever), 2u);
    CHECK_EQ(happened, "settled there");

    const auto rest = [&] {
        return weft::try_select(weft::on_recv(empty, [&](std::optional<int> got) { happened = got ? "received" : "closed"; }),
                                weft::on_cancel(token, [&] { happened = std::string("cancelled ") + token.reason(); }));
    };
    CHECK(!rest());
    token.trigger("enough");
    CHECK(rest() == std::size_t{1});
    CHECK_EQ(happened, "cancelled enough");
    empty.close();
    CHECK_EQ(weft::select(weft::on_recv(empty, [&](std::optional<int> got) { happened = got ? "received" : "closed"; })), 0u);
    CHECK_EQ(happened, "closed");
    CHECK_EQ(weft::select(weft::on_send(empty, value, [&](bool sent) { happened = sent ? "sent" : "refused"; })), 0u);
    CHECK_EQ(happened, "refused");
    CHECK_STATUS(WEFT_INVALID, weft::select(weft::on_settled(weft::future<int>(), [] {})));
}

namespace {
struct select_theme {};
} // namespace

TEST(values_that_are_not_sent_come_back) {
    using element = counted<select_theme>;
    {
        const weft::channel<element> full(1), room(1);
        full.send(element(1));
        element first(2), second(3);
        CHECK(!weft::try_select(weft::on_send(full, first, [](bool) { CHECK(!"sent"); })));
        CHECK_EQ(first.number(), 2);
        CHECK_EQ(weft::select(weft::on_send(full, first, [](bool) { CHECK(!"sent"); }),
                              weft::on_send(room, second, [&](bool sent) {
                                  CHECK(sent);
                                  CHECK_EQ(first.number(), 2); // back already
                              })), 1u);
        CHECK_EQ(second.number(), element::moved_out);
        full.close();
        CHECK_EQ(weft::select(weft::on_send(full, first, [](bool sent) { CHECK(!sent); })), 0u);
        CHECK_EQ(first.number(), 2);
        weft::thread::current().interrupt();
        CHECK_STATUS(WEFT_INTERRUPTED, weft::select(weft::on_send(room, first, [](bool) { CHECK(!"sent"); })));
        CHECK_EQ(first.number(), 2);
        CHECK_THROWS_SAYING(std::runtime_error, "in the handler", weft::select(weft::on_recv(room, [](std::optional<element> got) {
            CHECK_EQ(got->number(), 3);
            throw std::runtime_error("in the handler");
        })));
    }
    CHECK_EQ(element::alive.load(), 0);
}

TEST(two_channels_each_way) {
    constexpr long count = 3000;
    const weft::channel<std::unique_ptr<long>> left(0), right(2);
    const auto produce = [&](long from) {
        return weft::async([=] {
            long here = 0;
            for (long i = from; i < from + count; ++i) {
                auto value = std::make_unique<long>(i);
                here += weft::select(weft::on_send(left, value, [](bool sent) { CHECK(sent); }),
                                     weft::on_send(right, value, [](bool sent) { CHECK(sent); })) == 0;
                CHECK(!value);
            }
            return here;
        });
    };
    const auto consume = [&] {
        return weft::async([=] {
            long sum = 0;
            for (bool open = true; open;) {
                const auto add = [&](std::optional<std::unique_ptr<long>> got) {
                    if (got) sum += **got;
                    else open = false;
                };
                weft::select(weft::on_recv(left, add), weft::on_recv(right, add));
            }
            return sum;
        });
    };
    std::vector<weft::future<long>> producers, consumers;
    for (int i = 0; i < 2; ++i) {
        producers.push_back(produce(i * count));
        consumers.push_back(consume());
    }
    for (auto &producer : producers) producer.get();
    // A consumer ends with the first channel it finds closed: the one that may still hold elements is closed when it is empty.
    left.close();
    long sum = 0;
    for (auto &consumer : consumers) sum += consumer.get();
    for (std::optional<std::unique_ptr<long>> rest; right.try_recv(rest) == WEFT_OK;) sum += **rest;
    CHECK_EQ(sum, 2 * count * (2 * count - 1) / 2);
}

TEST(descriptors) {
    const weft::channel<int> channel(1);
    pollfd both[] = {{channel.recv_fd(), POLLIN, 0}, {channel.send_fd(), POLLIN, 0}};
    const auto readable = [&] {
        both[0].revents = both[1].revents = 0;
        poll(both, 2, 0);
        return std::to_string(both[0].revents == POLLIN) + std::to_string(both[1].revents == POLLIN);
    };
    CHECK_EQ(readable(), "01");
    channel.send(1);
    CHECK_EQ(readable(), "10");
    std::optional<int> got;
    CHECK_EQ(channel.try_recv(got), WEFT_OK);
    CHECK_EQ(readable(), "01");
    channel.close();
    CHECK_EQ(readable(), "11");
    CHECK_EQ(channel.recv_fd(), both[0].fd);
    CHECK_STATUS(WEFT_INVALID, weft::receiver<int>().channel().recv_fd());
}
