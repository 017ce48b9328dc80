// weft::link: two ends in one process, and a child that dies.
#include "check.hpp"

#include <chrono>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

namespace {

std::pair<weft::link, weft::link> ends(const weft::link_options &how) {
    auto made = weft::link::make(how);
    weft::link far = weft::link::adopt(made.second);
    return {std::move(made.first), std::move(far)};
}

weft::link_options through(weft::link_transport transport) {
    weft::link_options how;
    how.transport = transport;
    how.trusted = true;
    return how;
}

constexpr weft::link_transport transports[] = {weft::link_transport::automatic, weft::link_transport::shared,
                                               weft::link_transport::socket};

} // namespace

TEST(frames_go_both_ways) {
    for (const auto transport : transports) {
        const auto made = ends(through(transport));
        const weft::link &near_end = made.first, &far_end = made.second;
        near_end.send({WEFT_FRAME_REQUEST, 3, 17}, "question");
        const weft::frame request = far_end.recv();
        CHECK_EQ(request.head().kind, std::uint32_t{WEFT_FRAME_REQUEST});
        CHECK_EQ(request.head().flags, std::uint32_t{3});
        CHECK_EQ(request.head().id, std::uint64_t{17});
        CHECK_EQ(request.str(), std::string("question"));
        const std::string large(100000, 'x');
        CHECK_EQ(far_end.send_for({WEFT_FRAME_REPLY, 0, 17}, large.data(), large.size(), std::chrono::seconds(60)), WEFT_OK);
        weft::frame copy = near_end.recv();
        const weft::frame reply = copy;
        CHECK(reply.str() == large);
        CHECK_EQ(reply.data(), copy.data());
        far_end.send({}, std::string());
        CHECK_EQ(near_end.recv().size(), std::size_t{0});
        CHECK_EQ(near_end.stats().received_frames, std::uint64_t{2});
    }
}

TEST(time_and_ends) {
    for (const auto transport : transports) {
        const auto made = ends(through(transport));
        const weft::link &near_end = made.first, &far_end = made.second;
        CHECK(!near_end.recv_for(std::chrono::nanoseconds(0)));
        CHECK(!near_end.recv_for(std::chrono::microseconds(10)));
        CHECK(near_end.fd() >= 0);
        weft_status last;
        do last = near_end.send_for({}, "0123456789", 10, std::chrono::nanoseconds(0));
        while (last == WEFT_OK);
        CHECK_EQ(last, WEFT_WOULD_BLOCK);
        CHECK_STATUS(WEFT_INVALID, near_end.send({WEFT_FRAME_USER - 1, 0, 0}, ""));
        far_end.send({}, "last");
        far_end.close();
        far_end.close();
        CHECK_EQ(near_end.recv_for(weft::forever)->str(), std::string("last"));
        CHECK_STATUS(WEFT_CLOSED, near_end.recv());
        CHECK_STATUS(WEFT_CLOSED, far_end.recv());
    }
    CHECK_STATUS(WEFT_INVALID, weft::link::adopt(-1));
}

TEST(a_look_ends_with_the_view) {
    for (const auto transport : transports) {
        const auto made = ends(through(transport));
        const weft::link &near_end = made.first, &far_end = made.second;
        for (std::uint64_t id = 0; id < 3; ++id) far_end.send({WEFT_FRAME_USER, 0, id}, "here");
        for (std::uint64_t id = 0; id < 3; ++id) {
            weft::frame_view first = near_end.peek();
            const weft::frame_view view = std::move(first);
            CHECK_EQ(view.head().id, id);
            CHECK(view.size() == 4 && std::memcmp(view.data(), "here", 4) == 0);
            CHECK_STATUS(WEFT_BUSY, near_end.recv());
        }
        CHECK(!near_end.recv_for(std::chrono::nanoseconds(0)));
    }
    const auto made = ends({});
    CHECK_STATUS(WEFT_UNSUPPORTED, made.first.peek());
}

TEST(a_child_that_is_killed) {
    auto made = weft::link::make();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        int status = 1;
        try {
            weft_after_fork();
            const weft::link far = weft::link::adopt(made.second);
            far.send({WEFT_FRAME_REPLY, 0, far.recv().head().id}, "still there");
            static_cast<void>(far.recv());
        } catch (...) {
            status = 2;
        }
        _exit(status);
    }
    ::close(made.second);
    const weft::link &near_end = made.first;
    near_end.send({WEFT_FRAME_REQUEST, 0, 5}, "");
    CHECK_EQ(near_end.recv().str(), std::string("still there"));
    kill(child, SIGKILL);
    CHECK_STATUS(WEFT_DIED, near_end.recv());
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
