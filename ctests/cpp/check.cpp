// The main function of every C++ test program: runs the registered tests, or one child case.
#include "check.hpp"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

namespace check {
namespace {

struct test_case {
    const char *name;
    void (*body)();
    bool child;
};

std::vector<test_case> &cases() {
    static std::vector<test_case> all;
    return all;
}

std::atomic<long> failures{0};

/// Runs a body and says whether all of its checks held.
bool succeeds(void (*body)()) {
    const long before = failures.load();
    try {
        body();
    } catch (const std::exception &caught) {
        fail("(uncaught)", 0, std::string(typeid(caught).name()) + ": " + caught.what());
    } catch (...) {
        fail("(uncaught)", 0, "an exception that is no std::exception");
    }
    return failures.load() == before;
}

int run_as_child(const char *name) {
    for (const test_case &one : cases()) {
        if (one.child && std::strcmp(one.name, name) == 0) return succeeds(one.body) ? 0 : 1;
    }
    std::fprintf(stderr, "no child case is called %s\n", name);
    return 2;
}

} // namespace

registration::registration(const char *name, void (*body)(), bool child) { cases().push_back({name, body, child}); }

void fail(const char *file, int line, const std::string &what) {
    failures.fetch_add(1);
    std::fprintf(stderr, "%s:%d: %s\n", file, line, what.c_str());
}

bool child_result::aborted() const { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }

child_result run_child(const std::string &name) {
    // The path itself: under valgrind only reading the link gives this program, following it gives valgrind.
    char self[4096] = {};
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) throw std::runtime_error("readlink failed");
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("pipe failed");
    const pid_t pid = fork();
    if (pid < 0) throw std::runtime_error("fork failed");
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execl(self, "child", "--child", name.c_str(), static_cast<char *>(nullptr));
        _exit(127);
    }
    close(ends[1]);
    child_result result{0, {}};
    char buffer[4096];
    ssize_t got = 0;
    while ((got = read(ends[0], buffer, sizeof buffer)) > 0) result.output.append(buffer, static_cast<std::size_t>(got));
    close(ends[0]);
    if (waitpid(pid, &result.status, 0) != pid) throw std::runtime_error("waitpid failed");
    return result;
}

} // namespace check

int main(int argc, char **argv) {
    using namespace check;
    if (argc == 3 && std::strcmp(argv[1], "--child") == 0) return run_as_child(argv[2]);
    const char *filter = argc > 1 ? argv[1] : "";
    int passed = 0, failed = 0;
    for (const test_case &one : cases()) {
        if (one.child || !std::strstr(one.name, filter)) continue;
        std::printf("%s\n", one.name); // before it runs: a test that hangs is the last name
        std::fflush(stdout);
        ++(succeeds(one.body) ? passed : failed);
    }
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
