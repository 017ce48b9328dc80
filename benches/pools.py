"""Calls of 2 worker processes as Python's standard library makes them: a peer of Weft's process pools.

It begins by a line with its names. Then each line it gets, `NAME BYTES CALLS`, is answered by `P50 P99`, in nanoseconds. It ends with
its input.
"""

import concurrent.futures
import multiprocessing
import sys
import time


def echo(data):
    return data


def main():
    fork = multiprocessing.get_context("fork")
    # The executor starts a worker for each of the first calls.
    executor = concurrent.futures.ProcessPoolExecutor(2, mp_context=fork)
    for future in [executor.submit(echo, b"") for _ in range(2)]:
        future.result()
    with fork.Pool(2) as pool, executor:
        ways = {
            "Python-Pool.apply": lambda data: pool.apply(echo, (data,)),
            "Python-executor": lambda data: executor.submit(echo, data).result(),
        }
        print(*ways, flush=True)
        for line in sys.stdin:
            name, size, calls = line.split()
            call, took = ways[name], []
            for i in range(int(calls)):
                data = i.to_bytes(8, "little") + bytes(int(size) - 8)
                begin = time.perf_counter_ns()
                answer = call(data)
                took.append(time.perf_counter_ns() - begin)
                if answer != data:
                    sys.exit(f"{name}: another answer")
            took.sort()
            print(took[len(took) // 2], took[len(took) * 99 // 100], flush=True)


main()
