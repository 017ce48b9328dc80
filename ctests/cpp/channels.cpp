// Channels: pipelines with exact sums, every kind of element, closing from every side, and destructor counts.
#include "check.hpp"
#include "counted.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

TEST(pipeline_of_three_stages) {
    constexpr long count = 20000;
    const weft::channel<long> numbers(64);
    const weft::channel<std::string> texts(64, "texts");
    const weft::channel<std::unique_ptr<long>> boxes(weft::unbounded);

    weft::spawn([numbers] {
        for (long i = 1; i <= count; ++i) numbers.send(i);
        numbers.close();
    }, "numbers");
    std::vector<weft::future<void>> writers, readers;
    for (int i = 0; i < 3; ++i) {
        writers.push_back(weft::async([numbers, texts] {
            for (const long number : numbers) texts.send(std::to_string(number));
        }));
        readers.push_back(weft::async([texts, boxes] {
            for (const std::string &text : texts) boxes.send(std::make_unique<long>(std::stol(text)));
        }));
    }
    for (auto &writer : writers) writer.get();
    texts.close();
    for (auto &reader : readers) reader.get();
    boxes.close();
    long sum = 0, received = 0;
    for (const std::unique_ptr<long> &box : boxes) {
        sum += *box;
        ++received;
    }
    CHECK_EQ(received, count);
    CHECK_EQ(sum, count * (count + 1) / 2);
}

TEST(many_to_many_loses_and_doubles_nothing) {
    for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{1000}, weft::unbounded}) {
        const weft::channel<std::uint64_t> channel(capacity);
        CHECK_EQ(channel.capacity(), capacity);
        constexpr std::uint64_t producers = 4, each = 2000;
        std::vector<weft::future<void>> sending;
        for (std::uint64_t p = 0; p < producers; ++p) {
            sending.push_back(weft::async([channel, p] {
                for (std::uint64_t i = 0; i < each; ++i) channel.send(p << 32 | i);
            }));
        }
        std::vector<weft::future<std::vector<std::uint64_t>>> receiving;
        for (int c = 0; c < 4; ++c) {
            receiving.push_back(weft::async([channel] {
                std::vector<std::uint64_t> mine;
                for (const std::uint64_t element : channel) mine.push_back(element);
                return mine;
            }));
        }
        for (auto &one : sending) one.get();
        channel.close();
        std::vector<int> seen(producers * each);
        for (auto &one : receiving) {
            std::map<std::uint64_t, std::uint64_t> last; // what one consumer gets of one producer is in order
            for (const std::uint64_t element : one.get()) {
                const std::uint64_t producer = element >> 32, index = element & 0xffffffffu;
                ++seen[producer * each + index];
                const auto found = last.find(producer);
                CHECK(found == last.end() || found->second < index);
                last[producer] = index;
            }
        }
        for (const int times : seen) CHECK_EQ(times, 1);
    }
}

TEST(statuses_of_a_full_and_an_empty_channel) {
    const weft::channel<int> channel(2);
    std::optional<int> out = 5;
    CHECK_EQ(channel.try_recv(out), WEFT_WOULD_BLOCK);
    CHECK(!out);
    CHECK_EQ(channel.recv_for(out, std::chrono::microseconds(1)), WEFT_TIMEOUT);
    CHECK_EQ(channel.try_send(1), WEFT_OK);
    CHECK_EQ(channel.send_for(2, std::chrono::hours(1)), WEFT_OK);
    CHECK_EQ(channel.try_send(3), WEFT_WOULD_BLOCK);
    CHECK_EQ(channel.send_for(3, std::chrono::microseconds(1)), WEFT_TIMEOUT);
    CHECK_EQ(channel.send_for(3, std::chrono::seconds(-1)), WEFT_WOULD_BLOCK);
    CHECK_EQ(channel.size(), 2u);
    CHECK(!channel.closed());
    channel.close();
    channel.close();
    CHECK(channel.closed());
    CHECK_EQ(channel.try_send(3), WEFT_CLOSED);
    CHECK_STATUS(WEFT_CLOSED, channel.send(3));
    CHECK_EQ(channel.recv().value_or(-1), 1);
    CHECK_EQ(channel.try_recv(out), WEFT_OK);
    CHECK_EQ(out.value_or(-1), 2);
    CHECK_EQ(channel.try_recv(out), WEFT_CLOSED);
    CHECK(!out);
    CHECK(!channel.recv());
    for (const int element : channel) CHECK_EQ(element, -1); // over at once
}

TEST(a_value_that_is_not_sent_stays_with_its_owner) {
    const weft::channel<std::unique_ptr<std::string>> channel(1);
    channel.send(std::make_unique<std::string>("first"));
    auto mine = std::make_unique<std::string>("mine");
    CHECK_EQ(channel.try_send(std::move(mine)), WEFT_WOULD_BLOCK);
    CHECK(mine && *mine == "mine");
    // Whether the close meets this sender before it waits or while it waits: it is refused and keeps its value.
    weft::future<std::unique_ptr<std::string>> sender = weft::async([channel, held = std::move(mine)]() mutable {
        CHECK_STATUS(WEFT_CLOSED, channel.send(std::move(held)));
        return std::move(held);
    });
    channel.close();
    CHECK_EQ(*sender.take(), "mine");
    CHECK_EQ(**channel.recv(), "first");
    CHECK(!channel.recv());
}

TEST(rendezvous_passes_hand_to_hand) {
    const weft::channel<std::string> ping(0), pong(0);
    weft::future<void> other = weft::async([ping, pong] {
        for (const std::string &text : ping) pong.send(text + "!");
        pong.close();
    });
    for (int i = 0; i < 1000; ++i) {
        ping.send(std::to_string(i));
        CHECK_EQ(pong.recv().value_or(""), std::to_string(i) + "!");
        CHECK_EQ(ping.size(), 0u);
    }
    ping.close();
    CHECK(!pong.recv());
    other.get();
}

namespace {

struct alignas(64) wide {
    double numbers[8];
};
struct empty {};
using block = std::array<char, 4096>;

} // namespace

TEST(elements_by_value) {
    static_assert(weft::channel<wide>::by_value && weft::channel<empty>::by_value && weft::channel<block>::by_value);
    static_assert(!weft::channel<std::string>::by_value && !weft::channel<std::unique_ptr<int>>::by_value);
    const weft::channel<wide> wides(3);
    wides.send(wide{{1, 2, 3, 4, 5, 6, 7, 8}});
    for (std::optional<wide> got; wides.try_recv(got) == WEFT_OK;) {
        CHECK_EQ(std::accumulate(std::begin(got->numbers), std::end(got->numbers), 0.0), 36.0);
    }
    const weft::channel<block> blocks(1);
    block out;
    out.fill('b');
    blocks.send(out);
    CHECK(blocks.recv() == out);
    const weft::channel<empty> signals(1);
    signals.send(empty{});
    CHECK(signals.recv().has_value());
}

TEST(c_and_cpp_share_a_channel) {
    weft_channel_options options;
    CHECK_EQ(weft_channel_options_init(&options, sizeof options), WEFT_OK);
    options.elem_size = sizeof(std::uint32_t);
    weft_channel *made = nullptr;
    CHECK_EQ(weft_channel_new(&options, &made), WEFT_OK);
    const auto channel = weft::channel<std::uint32_t>::adopt(made);
    const std::uint32_t from_c = 11;
    CHECK_EQ(weft_channel_send(made, &from_c, WEFT_FOREVER), WEFT_OK);
    CHECK_EQ(channel.recv().value_or(0), 11u);
    channel.send(12);
    std::uint32_t to_c = 0;
    CHECK_EQ(weft_channel_recv(channel.native(), &to_c, WEFT_FOREVER), WEFT_OK);
    CHECK_EQ(to_c, 12u);
}

TEST(iterators) {
    const weft::channel<std::string> channel;
    CHECK_EQ(channel.capacity(), 1000u);
    for (const char *text : {"a", "bb", "ccc"}) channel.send(text);
    channel.close();
    auto it = channel.begin();
    CHECK(it != channel.end());
    CHECK_EQ(*it, "a");
    ++it;
    CHECK_EQ(it->size(), 2u);
    std::string moved = std::move(*it);
    it++;
    CHECK_EQ(*it, "ccc");
    ++it;
    CHECK(it == channel.end());
    CHECK_EQ(moved, "bb");
}

TEST(refusals) {
    CHECK_STATUS(WEFT_INVALID, weft::channel<int>::adopt(nullptr).send(1));
    weft::channel<int> first(1);
    const weft::channel<int> second = std::move(first);
    CHECK(!first && second);
    CHECK_STATUS(WEFT_INVALID, first.recv());
    std::optional<int> out;
    CHECK_STATUS(WEFT_INVALID, first.try_recv(out));
    second.send(4);
    first = second;
    CHECK_EQ(first.recv().value_or(0), 4);
}

namespace {
struct left_theme {};
struct traffic_theme {};
struct brittle_theme {};
struct closed_theme {};
} // namespace

TEST(elements_left_behind_are_destroyed) {
    using value = solitary<left_theme>;
    for (const std::size_t capacity : {std::size_t{16}, weft::unbounded}) {
        weft::channel<value> channel(capacity);
        for (int i = 0; i < 10; ++i) channel.send(value(i));
        CHECK_EQ(channel.recv()->number(), 0);
        CHECK_EQ(value::alive.load(), 9);
        {
            auto it = channel.begin(); // holds one, and a handle of its own
            CHECK_EQ(it->number(), 1);
            channel = weft::channel<value>(1);
            CHECK_EQ(value::alive.load(), 9);
        }
        CHECK_EQ(value::alive.load(), 0);
    }
}

TEST(traffic_destroys_every_element_once) {
    using value = solitary<traffic_theme>;
    {
        const weft::channel<value> channel(8);
        std::vector<weft::future<long>> senders, receivers;
        for (int s = 0; s < 4; ++s) {
            senders.push_back(weft::async([channel, s] {
                long sent = 0;
                for (int i = 0; i < 1000; ++i) {
                    // Impatient on purpose: some sends give up, and what they hold comes back.
                    value mine(s * 1000 + i);
                    const weft_status status = channel.send_for(std::move(mine), std::chrono::microseconds(i % 5));
                    CHECK_EQ(mine.number(), status == WEFT_OK ? value::moved_out : s * 1000 + i);
                    if (status == WEFT_OK) sent += s * 1000 + i;
                }
                return sent;
            }));
            receivers.push_back(weft::async([channel] {
                long got = 0;
                for (const value &element : channel) got += element.number();
                return got;
            }));
        }
        long sent = 0, got = 0;
        for (auto &one : senders) sent += one.get();
        channel.close();
        for (auto &one : receivers) got += one.get();
        CHECK_EQ(got, sent);
    }
    CHECK_EQ(value::alive.load(), 0);
    CHECK(value::made.load() >= 4000);
}

TEST(closing_among_traffic_accounts_for_every_element) {
    using value = counted<closed_theme>;
    long sent = 0, got = 0;
    {
        const weft::channel<value> channel(4);
        const weft::channel<int> progress(weft::unbounded);
        std::vector<weft::future<long>> senders;
        for (int s = 0; s < 4; ++s) {
            senders.push_back(weft::async([channel, progress] {
                for (long mine = 0;; ++mine) {
                    try {
                        channel.send(value(1));
                    } catch (const weft::error &closed) {
                        CHECK_EQ(closed.status(), WEFT_CLOSED);
                        return mine;
                    }
                    progress.send(1);
                }
            }));
        }
        weft::future<long> receiver = weft::async([channel] {
            long mine = 0;
            for (const value &element : channel) mine += element.number();
            return mine;
        });
        for (int i = 0; i < 1000; ++i) static_cast<void>(progress.recv()); // the senders are in full swing
        channel.close();
        for (auto &one : senders) sent += one.get();
        got = receiver.get();
    }
    CHECK_EQ(got, sent);
    CHECK_EQ(value::alive.load(), 0);
}

TEST(elements_whose_moves_throw) {
    using value = brittle<brittle_theme>;
    {
        const weft::channel<value> channel(4);
        value bad(-1), good(1);
        value::armed = true;
        CHECK_THROWS(std::range_error, channel.send(bad));
        CHECK_THROWS(std::range_error, channel.send(std::move(bad)));
        CHECK_EQ(channel.size(), 0u); // it never got in
        channel.send(good);
        value::armed = false;
        channel.send(bad);
        channel.send(bad);
        channel.send(good);
        value::armed = true;
        CHECK_EQ(channel.recv()->number(), 1);
        CHECK_THROWS(std::range_error, channel.recv()); // it came out, could not be handed over and is gone
        CHECK_EQ(value::alive.load(), 2 + 2);
        std::optional<value> out;
        CHECK_THROWS(std::range_error, channel.try_recv(out));
        CHECK(!out);
        CHECK_EQ(channel.recv()->number(), 1);
        CHECK_EQ(channel.size(), 0u);
        value::armed = false;
    }
    CHECK_EQ(value::alive.load(), 0);
}
