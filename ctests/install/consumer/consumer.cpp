// The C++ consumer: what consumer.c does, with weft.hpp, and an exception that comes back from a worker.
#include <cstdint>
#include <iostream>
#include <stdexcept>
#include <string>
#include <weft/weft.hpp>

int main() {
    constexpr std::uint64_t numbers = 1000;
    weft::runtime runtime;
    weft::channel<std::uint64_t> squares(16);

    auto sum = runtime.async([squares] {
        std::uint64_t total = 0;
        for (const std::uint64_t square : squares) total += square;
        return total;
    });
    auto sent = runtime.async([squares, &runtime] {
        runtime.parallel_for(0, numbers, [squares](std::uint64_t index) { squares.send((index + 1) * (index + 1)); });
        squares.close();
    });
    sent.get();
    const std::uint64_t found = sum.get(), expected = numbers * (numbers + 1) * (2 * numbers + 1) / 6;
    std::cout << "the sum of " << numbers << " squares is " << found << '\n';

    bool carried = false;
    try {
        runtime.async([]() -> int { throw std::runtime_error("out of a worker"); }).get();
    } catch (const std::runtime_error &caught) {
        carried = caught.what() == std::string("out of a worker");
    }
    runtime.shutdown();
    return found == expected && carried ? 0 : 1;
}
