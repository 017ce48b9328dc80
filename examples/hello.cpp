// Hello, Weft, from C++: prime numbers found by tasks, passed through a channel, counted and sorted on every CPU.
#include <algorithm>
#include <cstddef>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include <weft/weft.hpp>

static bool is_prime(unsigned n) {
    for (unsigned d = 2; d * d <= n; ++d) {
        if (n % d == 0) return false;
    }
    return n > 1;
}

static void quicksort(unsigned *first, unsigned *last) {
    if (last - first < 2) return;
    unsigned *const middle = std::partition(first + 1, last, [&](unsigned n) { return n < *first; });
    std::swap(*first, middle[-1]);
    weft::join([=] { quicksort(first, middle - 1); }, [=] { quicksort(middle, last); });
}

int main() {
    // A task fills a channel; another empties it until it is closed.
    const weft::channel<unsigned> primes(100);
    weft::future<std::vector<unsigned>> collected = weft::async([primes] {
        std::vector<unsigned> all;
        for (const unsigned prime : primes) all.push_back(prime);
        return all;
    }, "collector");
    weft::parallel_for(0, 10000, [&](std::size_t n) {
        if (is_prime(static_cast<unsigned>(n))) primes.send(static_cast<unsigned>(n));
    });
    primes.close();

    // They came in any order.
    std::vector<unsigned> sorted = collected.take();
    weft::run([&] { quicksort(sorted.data(), sorted.data() + sorted.size()); });
    std::cout << sorted.size() << " primes, from " << sorted.front() << " to " << sorted.back() << '\n';

    // What a task throws comes back to whoever asks for its result.
    try {
        weft::async([] { return std::stoi("not a number"); }).get();
    } catch (const std::invalid_argument &) {
        std::cout << "an exception came back from its task\n";
    }
}
