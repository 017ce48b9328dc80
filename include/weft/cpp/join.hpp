// Fork-join: two callables, perhaps at the same time, on the caller's frame.
#ifndef WEFT_CPP_JOIN_HPP
#define WEFT_CPP_JOIN_HPP

#include <type_traits>
#include <utility>

#include "carry.hpp"
#include "error.hpp"
#include "task.hpp"
#include "worker.hpp"

namespace weft {
namespace detail {

template <class A, class B>
using joined = std::conditional_t<std::is_void_v<invoked<A &>> && std::is_void_v<invoked<B &>>, void,
                                  std::pair<stored<invoked<A &>>, stored<invoked<B &>>>>;

template <class A, class B>
auto join(weft_worker *native, A &a, B &b) -> joined<A, B> {
    borrowed_call<A> first{a};
    borrowed_call<B> second{b};
    const weft_status status = weft_join(native, first.entry, &first, second.entry, &second);
    first.rethrow();
    second.rethrow();
    check(status);
    if constexpr (!std::is_void_v<joined<A, B>>) return {std::move(*first.result), std::move(*second.result)};
}

} // namespace detail

/// Runs both callables, perhaps in parallel; `a` runs on this thread. Returns when both have ended: nothing if neither returns
/// anything, else a pair of the results (weft::unit for a callable that returns nothing). If callables throw, both have still ended;
/// a's exception is thrown before b's.
///
/// `on` is the worker that runs the calling task, as given to its callable.
template <class A, class B>
auto join(worker on, A &&a, B &&b) -> detail::joined<std::remove_reference_t<A>, std::remove_reference_t<B>> {
    return detail::join(on.native(), a, b);
}

/// The same for whoever calls: inside a task on its worker, elsewhere on the default runtime.
template <class A, class B>
auto join(A &&a, B &&b) -> detail::joined<std::remove_reference_t<A>, std::remove_reference_t<B>> {
    if (weft_worker *native = weft_worker_current()) return detail::join(native, a, b);
    auto both = [&](worker on) { return detail::join(on.native(), a, b); };
    return detail::run(nullptr, both);
}

} // namespace weft

#endif
