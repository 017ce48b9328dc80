// moodycamel's queues, unbounded, for benches/peers/channels: see program.rs there for what is said on the pipes, and
// work.rs for what is done. The plain queue cannot wait: its consumers yield.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <vector>

#include <concurrentqueue/blockingconcurrentqueue.h>
#include <concurrentqueue/concurrentqueue.h>

namespace {

constexpr std::size_t batch_size = 64;
// The number of a message that tells one consumer that the producers are done.
constexpr std::uint64_t over = ~std::uint64_t{0};

template <std::size_t Words>
using message = std::array<std::uint64_t, Words>;

template <std::size_t Words>
message<Words> make(std::uint64_t number)
{
    message<Words> m;
    m.fill(number);
    return m;
}

template <std::size_t Words>
std::uint64_t sum(const message<Words> &m)
{
    std::uint64_t total = 0;
    for (std::uint64_t word : m)
        total += word;
    return total;
}

struct measure {
    std::int64_t ns, cpu_ns, p50, p99;
};

std::int64_t now()
{
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
}

std::int64_t cpu_time()
{
    rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0)
        std::abort();
    const auto ns = [](const timeval &t) { return (t.tv_sec * 1000000LL + t.tv_usec) * 1000; };
    return ns(usage.ru_utime) + ns(usage.ru_stime);
}

using part = std::function<std::uint64_t()>;

// Lets threads go all at once and measures until the last one is done; what they return is added up.
measure together(const std::vector<part> &parts, std::uint64_t &total)
{
    std::shared_mutex gate;
    std::atomic<std::size_t> ready{0};
    std::vector<std::uint64_t> sums(parts.size());
    std::vector<std::thread> threads;
    gate.lock();
    for (std::size_t i = 0; i < parts.size(); i++)
        threads.emplace_back([&, i] {
            ready.fetch_add(1);
            ready.notify_one();
            { std::shared_lock wait(gate); }
            sums[i] = parts[i]();
        });
    for (std::size_t there; (there = ready.load()) != parts.size();)
        ready.wait(there);
    const std::int64_t begin = now(), cpu = cpu_time();
    gate.unlock();
    for (std::thread &thread : threads)
        thread.join();
    const measure m{now() - begin, cpu_time() - cpu, 0, 0};
    total = 0;
    for (std::uint64_t s : sums)
        total += s;
    return m;
}

template <class T>
struct yielding {
    static constexpr const char *name = "moodycamel-yield";
    using queue = moodycamel::ConcurrentQueue<T>;

    static void receive(queue &q, moodycamel::ConsumerToken &token, T &m)
    {
        while (!q.try_dequeue(token, m))
            std::this_thread::yield();
    }

    static std::size_t receive_batch(queue &q, moodycamel::ConsumerToken &token, T *m)
    {
        std::size_t count;
        while ((count = q.try_dequeue_bulk(token, m, batch_size)) == 0)
            std::this_thread::yield();
        return count;
    }
};

template <class T>
struct blocking {
    static constexpr const char *name = "moodycamel";
    using queue = moodycamel::BlockingConcurrentQueue<T>;

    static void receive(queue &q, moodycamel::ConsumerToken &token, T &m)
    {
        q.wait_dequeue(token, m);
    }

    static std::size_t receive_batch(queue &q, moodycamel::ConsumerToken &token, T *m)
    {
        return q.wait_dequeue_bulk(token, m, batch_size);
    }
};

template <template <class> class How, std::size_t Words>
struct work {
    using element = message<Words>;
    using how = How<element>;
    using queue = typename how::queue;

    static void expect(std::uint64_t total, std::size_t producers, std::uint64_t share)
    {
        std::uint64_t one = 0;
        for (std::uint64_t i = 0; i < share; i++)
            one += sum(make<Words>(i));
        if (total != one * producers) {
            std::fprintf(stderr, "%s: not each message once\n", how::name);
            std::exit(1);
        }
    }

    static measure stream(std::size_t producers, std::size_t consumers, std::uint64_t messages)
    {
        queue q;
        const std::uint64_t share = messages / producers, own = messages / consumers;
        std::vector<part> parts(producers, [&] {
            moodycamel::ProducerToken token(q);
            for (std::uint64_t i = 0; i < share; i++)
                q.enqueue(token, make<Words>(i));
            return std::uint64_t{0};
        });
        parts.resize(producers + consumers, [&] {
            moodycamel::ConsumerToken token(q);
            std::uint64_t total = 0;
            element m;
            for (std::uint64_t i = 0; i < own; i++) {
                how::receive(q, token, m);
                total += sum(m);
            }
            return total;
        });
        std::uint64_t total;
        const measure m = together(parts, total);
        expect(total, producers, share);
        return m;
    }

    static measure batch(std::size_t producers, std::size_t consumers, std::uint64_t messages)
    {
        queue q;
        const std::uint64_t share = messages / producers;
        std::atomic<std::size_t> open{producers};
        std::vector<part> parts(producers, [&] {
            moodycamel::ProducerToken token(q);
            element batch[batch_size];
            for (std::uint64_t first = 0; first < share; first += batch_size) {
                for (std::size_t i = 0; i < batch_size; i++)
                    batch[i] = make<Words>(first + i);
                q.enqueue_bulk(token, batch, batch_size);
            }
            if (open.fetch_sub(1) == 1)
                for (std::size_t i = 0; i < consumers; i++)
                    q.enqueue(token, make<Words>(over));
            return std::uint64_t{0};
        });
        // There is no close. The last producer sends an end for each consumer; as producers have no order among each
        // other, who meets an end goes on until nothing is left. Ends are not eaten twice: what is too much goes back.
        parts.resize(producers + consumers, [&] {
            moodycamel::ConsumerToken token(q);
            std::uint64_t total = 0;
            element batch[batch_size];
            std::size_t ends = 0;
            while (ends == 0)
                for (std::size_t i = 0, count = how::receive_batch(q, token, batch); i < count; i++)
                    if (batch[i][0] == over)
                        ends++;
                    else
                        total += sum(batch[i]);
            for (; ends > 1; ends--)
                q.enqueue(make<Words>(over));
            for (element m; q.try_dequeue(m);) {
                if (m[0] == over) {
                    q.enqueue(m);
                    break;
                }
                total += sum(m);
            }
            return total;
        });
        std::uint64_t total;
        const measure m = together(parts, total);
        for (element rest; q.try_dequeue(rest);)
            if (rest[0] != over)
                total += sum(rest);
        expect(total, producers, share);
        return m;
    }

    static measure trips(std::uint64_t count)
    {
        queue there, back;
        std::vector<std::int64_t> samples(count);
        std::uint64_t total;
        measure m = together(
            {[&] {
                 moodycamel::ProducerToken to(there);
                 moodycamel::ConsumerToken from(back);
                 std::int64_t last = now();
                 element got;
                 for (std::uint64_t i = 0; i < count; i++) {
                     there.enqueue(to, make<Words>(i));
                     how::receive(back, from, got);
                     if (got[0] != i)
                         std::abort();
                     const std::int64_t at = now();
                     samples[i] = at - last;
                     last = at;
                 }
                 return std::uint64_t{0};
             },
             [&] {
                 moodycamel::ProducerToken to(back);
                 moodycamel::ConsumerToken from(there);
                 element got;
                 for (std::uint64_t i = 0; i < count; i++) {
                     how::receive(there, from, got);
                     back.enqueue(to, got);
                 }
                 return std::uint64_t{0};
             }},
            total);
        std::sort(samples.begin(), samples.end());
        m.p50 = samples[samples.size() / 2];
        m.p99 = samples[samples.size() * 99 / 100];
        return m;
    }

    static bool run(const std::string &kind, std::size_t producers, std::size_t consumers, std::uint64_t messages,
                    measure &m)
    {
        if (kind == "stream")
            m = stream(producers, consumers, messages);
        else if (kind == "batch")
            m = batch(producers, consumers, messages);
        else if (kind == "trips")
            m = trips(messages);
        else
            return false;
        return true;
    }
};

template <template <class> class How>
bool run(std::size_t bytes, const std::string &kind, std::size_t producers, std::size_t consumers,
         std::uint64_t messages, measure &m)
{
    return bytes == 8    ? work<How, 1>::run(kind, producers, consumers, messages, m)
           : bytes == 64 ? work<How, 8>::run(kind, producers, consumers, messages, m)
                         : false;
}

} // namespace

int main()
{
    std::cout << blocking<int>::name << ' ' << yielding<int>::name << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string name, kind;
        std::size_t bytes, producers, consumers;
        long long capacity;
        std::uint64_t messages;
        if (!(words >> name >> kind >> bytes >> producers >> consumers >> capacity >> messages)) {
            std::cerr << "not a line of the protocol: " << line << '\n';
            return 1;
        }
        measure m{};
        // Round trips have one message on its way; elsewhere a queue without a limit is no peer of one that has one.
        const bool fits = capacity < 0 || kind == "trips";
        if (fits && (name == blocking<int>::name ? run<blocking>(bytes, kind, producers, consumers, messages, m)
                                                 : run<yielding>(bytes, kind, producers, consumers, messages, m)))
            std::cout << m.ns << ' ' << m.cpu_ns << ' ' << m.p50 << ' ' << m.p99 << std::endl;
        else
            std::cout << '-' << std::endl;
    }
}
