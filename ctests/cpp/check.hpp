// The test harness of the C++ tests: registration, checks that work on any thread, child processes.
//
// Why our own: the packaged C++ test libraries report a failed check by an exception, or are not made for checks on many threads at
// once. Here most checks run inside tasks, where an exception is itself a subject under test. So a check records, prints and goes on.
//
//     TEST(name) { ... }      a property; ./program runs all, ./program part those whose name contains "part"
//     CHILD(name) { ... }     what a child process does: run_child("name") starts this program again with that case. For what ends a
//                             process or can happen only once in it.
//
// The program prints "N passed, M failed" at the end and fails if anything failed or nothing ran.
#ifndef WEFT_CTESTS_CHECK_HPP
#define WEFT_CTESTS_CHECK_HPP

#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <typeinfo>

#include <weft/weft.hpp>

namespace check {

struct registration {
    registration(const char *name, void (*body)(), bool child);
};

/// Records and prints a failure; callable from any thread.
void fail(const char *file, int line, const std::string &what);

inline void that(bool held, const char *text, const char *file, int line) {
    if (!held) fail(file, line, text);
}

template <class A, class B>
void equal(const A &actual, const B &expected, const char *text, const char *file, int line) {
    if (actual == expected) return;
    std::ostringstream out;
    out << text << ": " << actual << ", expected " << expected;
    fail(file, line, out.str());
}

/// The body must throw exactly such an exception; `inspect` then looks at it.
template <class Exception, class Body, class Inspect>
void throws(Body &&body, Inspect &&inspect, const char *text, const char *file, int line) {
    try {
        body();
    } catch (const Exception &caught) {
        inspect(caught);
        return;
    } catch (const std::exception &caught) {
        return fail(file, line, std::string(text) + ": threw " + typeid(caught).name() + ": " + caught.what());
    } catch (...) {
        return fail(file, line, std::string(text) + ": threw something else");
    }
    fail(file, line, std::string(text) + ": threw nothing");
}

/// How a child process ended, and what it wrote to standard output and standard error.
struct child_result {
    int status; // as from waitpid
    std::string output;

    bool aborted() const;
    bool says(const std::string &part) const { return output.find(part) != std::string::npos; }
};

child_result run_child(const std::string &name);

} // namespace check

#define CHECK_CASE(prefix, name, child)                                              \
    static void prefix##name();                                                      \
    static const check::registration registration_##prefix##name(#name, prefix##name, child); \
    static void prefix##name()
#define TEST(name) CHECK_CASE(test_, name, false)
#define CHILD(name) CHECK_CASE(child_, name, true)

#define CHECK(...) check::that(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_EQ(actual, expected) check::equal((actual), (expected), #actual, __FILE__, __LINE__)

/// CHECK_THROWS(std::out_of_range, expression): the very message can be checked with CHECK_THROWS_SAYING.
#define CHECK_THROWS(type, ...)                                                                                \
    check::throws<type>([&] { static_cast<void>(__VA_ARGS__); }, [](const type &) {}, #__VA_ARGS__, __FILE__, __LINE__)
#define CHECK_THROWS_SAYING(type, message, ...)                                                                \
    check::throws<type>([&] { static_cast<void>(__VA_ARGS__); },                                               \
                        [&](const type &caught) { check::equal(std::string(caught.what()), message, #__VA_ARGS__, __FILE__, __LINE__); }, \
                        #__VA_ARGS__, __FILE__, __LINE__)
/// weft::error with this status.
#define CHECK_STATUS(expected, ...)                                                                            \
    check::throws<weft::error>([&] { static_cast<void>(__VA_ARGS__); },                                        \
                               [&](const weft::error &caught) { check::equal(caught.status(), expected, #__VA_ARGS__, __FILE__, __LINE__); }, \
                               #__VA_ARGS__, __FILE__, __LINE__)

#endif
