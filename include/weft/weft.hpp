// Weft for C++17 and later: header only, over the C functions of weft.h.
//
//     #include <weft/weft.hpp>
//
//     weft::future<int> answer = weft::async([] { return 6 * 7; });
//     auto [a, b] = weft::join([] { return fib(30); }, [] { return fib(31); });
//     weft::parallel_for(0, n, [&](std::size_t i) { out[i] = f(in[i]); });
//
//     weft::channel<std::string> lines(100);
//     weft::spawn([lines] { for (std::string& line : lines) consume(line); }, "consumer");
//     lines.send("first");
//     lines.close();
//
//     weft::future<std::string> text = answer.then([](int number) { return std::to_string(number); });
//     weft::select(weft::on_recv(lines, [](std::optional<std::string> line) { ... }), weft::on_settled(text, [] { ... }),
//                  weft::on_timeout(1s, [] { ... }));
//
//     weft::co<int> twice(weft::future<int> number) { co_return 2 * co_await number; } // C++20
//     weft::future<int> later = weft::start(twice(answer));
//
// What holds for everything in here:
//
//   Handles     runtime, future, promise, channel and its ends, cancel_token, timer and thread own one reference to the C object; copying
//               adds a reference, destruction drops it and never blocks. A moved-from or default-constructed handle is empty: using it
//               throws weft::error (WEFT_INVALID).
//   Callables   anything that std::invoke takes. A callable may take a weft::worker as its first parameter; it need not.
//   Failures    a C function's status becomes weft::error. Statuses that are ordinary flow (a timeout, a closed channel) are return
//               values where the function's comment says so.
//   Exceptions  never cross the C functions. What a callable throws is kept and thrown again, as it was, where the result is asked
//               for: future::get and take (also of futures that are made of others), run, join, parallel_for, reduce. Spawned tasks,
//               timers and callbacks (of settled futures, descriptors, deadlocks) have nobody to ask for their result: their exceptions go to the
//               handler of set_unhandled_handler, which by default ends the process.
//   Time        any std::chrono duration, rounded up to nanoseconds. Zero and less never block; weft::forever never gives up.
//
// Free functions run on the runtime of the calling task, outside any task on the process-wide default runtime, which starts on first
// use. The members of weft::runtime run on that runtime.
#ifndef WEFT_HPP
#define WEFT_HPP

// Checked first, so that an old dialect meets one clear sentence and not a page of syntax errors. weft.h itself is fine with C++11.
#if !defined(__cplusplus) || __cplusplus < 201703L
#error "weft/weft.hpp needs C++17 or later (-std=c++17); weft/weft.h serves C and C++11"
#elif !defined(__cpp_exceptions)
#error "weft/weft.hpp reports failures as exceptions and needs them enabled; weft/weft.h does without"
#else

#include "cpp/breaker.hpp"
#include "cpp/cancel.hpp"
#include "cpp/channel.hpp"
#include "cpp/combine.hpp"
#include "cpp/context.hpp"
#include "cpp/coroutine.hpp"
#include "cpp/deadlock.hpp"
#include "cpp/descriptor.hpp"
#include "cpp/ends.hpp"
#include "cpp/error.hpp"
#include "cpp/fork.hpp"
#include "cpp/future.hpp"
#include "cpp/join.hpp"
#include "cpp/link.hpp"
#include "cpp/log.hpp"
#include "cpp/loop.hpp"
#include "cpp/mutex.hpp"
#include "cpp/poll.hpp"
#include "cpp/process.hpp"
#include "cpp/runtime.hpp"
#include "cpp/select.hpp"
#include "cpp/task.hpp"
#include "cpp/thread.hpp"
#include "cpp/time.hpp"
#include "cpp/timer.hpp"
#include "cpp/worker.hpp"

#endif
#endif
