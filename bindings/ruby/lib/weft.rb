# frozen_string_literal: true

# Weft for Ruby: promises, futures and channels that Ruby's own threads share, and native functions that
# run on Weft's workers.
#
# The one rule that shapes everything here: no Ruby code ever runs on a worker thread of the library. A
# Ruby thread waits inside the library with the VM lock released, and every such wait can be interrupted
# (Ctrl-C, Thread#kill, Thread#raise, Timeout.timeout). Objects never cross into the library either: a
# table on the Ruby side holds them, and ids travel.
module Weft
end

require_relative "weft/version"
require_relative "weft/native"
require_relative "weft/error"
require_relative "weft/wait"
require_relative "weft/handle"
require_relative "weft/thread"
require_relative "weft/cancel_token"
require_relative "weft/log"
require_relative "weft/objects"
require_relative "weft/descriptor"
require_relative "weft/future"
require_relative "weft/combined"
require_relative "weft/promise"
require_relative "weft/channel"
require_relative "weft/select"
require_relative "weft/mutex"
require_relative "weft/deadlock"
require_relative "weft/breaker"
require_relative "weft/native_function"
require_relative "weft/runtime"
require_relative "weft/pool"
require_relative "weft/remote"
require_relative "weft/child"
require_relative "weft/server"
require_relative "weft/process_pool"
require_relative "weft/context"
require_relative "weft/context_pool"
require_relative "weft/fork"

module Weft
  # The capacity of a channel that never makes a sender wait.
  UNBOUNDED = Float::INFINITY

  @pool_lock = ::Mutex.new
  @pid = Process.pid

  class << self
    # Runs the block on one of the default pool's Ruby threads.
    #
    # @param arguments handed to the block, as Thread.new does
    # @param cancel [CancelToken, nil] what the block goes by, see {Pool#async}
    # @return [Future] the block's value, or the exception it raised with its class, message and backtrace
    # @example
    #   Weft.async(6, 7) { |a, b| a * b }.value   # => 42
    def async(*arguments, cancel: nil, **keywords, &block)
      pool.async(*arguments, cancel: cancel, **keywords, &block)
    end

    # Waits like Kernel#sleep, and ends like all waits of Weft's: by a token that the thread has entered, and by
    # {Thread#interrupt}.
    #
    # @param seconds [Numeric, nil] nil: until something else ends it
    # @return [nil] the time is over, never before
    # @raise [CancelledError, InterruptedError]
    def sleep(seconds = nil)
      deadline = Deadline.in(seconds)
      Error.check(Wait.released(deadline) { |left| Native::Blocking.weft_sleep(left) }) if deadline.wait?
    end

    # @return [Boolean] whether what the calling thread goes by has been triggered: for code that runs long without waiting
    def cancelled?
      Native.weft_cancelled(nil)
    end

    # What a program does that a pool of processes has started ({ProcessPool#initialize}, `argv:`): has the block answer calls,
    # one after the other on the calling thread, until the pool needs it no more. Ctrl-C is ignored meanwhile and after.
    #
    # @param trusted [Boolean] as the pool has it
    # @param codec [#dump, #load, nil] as the pool has it
    # @yieldparam request [Object]
    # @yieldreturn [Object] the reply; an exception goes to who asked, except SystemExit and signals
    # @return [nil] then the program is to end
    # @raise [InvalidError] no pool has started this process
    def serve(trusted: true, codec: nil, &handler)
      raise ArgumentError, "no block given" unless handler

      codec = Remote.codec(codec, trusted)
      trap("INT", "IGNORE")
      @server = Server.new(-1, codec, trusted)
      @server.run(&handler)
    end

    # @return [Pool] the pool that {async} uses; made on first use, and anew in a forked child
    def pool
      @pool || @pool_lock.synchronize { @pool ||= Pool.new }
    end

    # @return [String] the loaded library's version, "0.1.0"
    def library_version
      number = Native.weft_version
      [number >> 24, number >> 16 & 0xff, number >> 8 & 0xff].join(".")
    end

    # @param load [:cpu, :io, :mixed] what the work mostly does: compute, wait, or both
    # @return [Integer] how many workers suit it here, by the CPUs that this process may use
    def optimal_worker_count(load = :cpu)
      Native.weft_optimal_worker_count(Native::LOADS.fetch(load) do
        raise ArgumentError, "load must be :cpu, :io or :mixed, not #{load.inspect}"
      end)
    end

    # @return [Array<Symbol>] what the library can use on this machine, such as :futex or :numa
    def capabilities
      bits = Native.weft_capabilities
      Native::CAPABILITIES.filter_map { |name, bit| name if bits & bit != 0 }
    end

    # Lets a forked child make new objects. Process.fork and Process.daemon call it by themselves; needed
    # only after a fork that Ruby did not make. Where there was no fork it does nothing.
    # @return [nil]
    def after_fork
      return if Process.pid == @pid

      Error.check(Native.weft_after_fork)
      Handle.disown_all
      @pool = nil
      Pool.after_fork
      @pid = Process.pid
      nil
    end
  end
end
