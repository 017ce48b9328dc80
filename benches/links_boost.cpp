// Boost's message_queue, in shared memory, one for each direction: a peer of Weft's links.
#include <boost/interprocess/ipc/message_queue.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>

#include "links.h"

namespace {

namespace ipc = boost::interprocess;

struct end {
    std::unique_ptr<ipc::message_queue> out, in;
    std::string names[2];
    bool first;
    std::size_t longest;
};

template <class F> auto checked(F f)
{
    try {
        return f();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "Boost: %s\n", error.what());
        std::exit(1);
    }
}

} // namespace

void *peer_open(const char *name, int first, std::size_t longest, std::size_t room)
{
    return checked([&]() -> void * {
        auto self = std::make_unique<end>();
        self->first = first != 0;
        self->longest = longest;
        std::unique_ptr<ipc::message_queue> ways[2];
        for (int way = 0; way < 2; way++) {
            self->names[way] = std::string(name) + (way ? "-back" : "-there");
            const char *called = self->names[way].c_str();
            ways[way] = first ? std::make_unique<ipc::message_queue>(ipc::create_only, called, room, longest)
                              : std::make_unique<ipc::message_queue>(ipc::open_only, called);
        }
        self->out = std::move(ways[first ? 0 : 1]);
        self->in = std::move(ways[first ? 1 : 0]);
        return self.release();
    });
}

void peer_send(void *self, const void *data, std::size_t len)
{
    checked([&] { static_cast<end *>(self)->out->send(data, len, 0); return 0; });
}

std::size_t peer_recv(void *self, void *into)
{
    return checked([&] {
        ipc::message_queue::size_type len = 0;
        unsigned priority = 0;
        static_cast<end *>(self)->in->receive(into, static_cast<end *>(self)->longest, len, priority);
        return static_cast<std::size_t>(len);
    });
}

void peer_close(void *self)
{
    std::unique_ptr<end> one(static_cast<end *>(self));
    if (one->first)
        for (const std::string &name : one->names)
            ipc::message_queue::remove(name.c_str());
}
