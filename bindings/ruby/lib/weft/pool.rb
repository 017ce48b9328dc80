# frozen_string_literal: true

require_relative "pool/job"
require_relative "pool/continuation"

module Weft
  # Ruby threads that run blocks. They are started when needed, used again, and end when they have had
  # nothing to do for a while. Blocks come to them through a channel.
  #
  # A block starts at once as long as no more than `max_threads` blocks run; further ones wait for a thread.
  # A block that waits for the future of one that has not begun runs it itself, so blocks may wait for
  # blocks as deep as they like. Blocks that wait for each other in other ways (through a channel, say) must
  # not be more than `max_threads`.
  #
  # Blocks share threads, and with them thread variables and Thread.current[].
  class Pool
    # @return [Integer] how many blocks run at once at most
    attr_reader :max_threads

    # @param max_threads [Integer]
    # @param keep_alive [Numeric] seconds that a thread without work stays
    # @param name [String] of the threads
    def initialize(max_threads: 256, keep_alive: 1, name: "weft.async")
      unless max_threads.is_a?(Integer) && max_threads.positive?
        raise ArgumentError, "max_threads must be a positive Integer, not #{max_threads.inspect}"
      end
      unless Deadline.seconds?(keep_alive) && keep_alive.positive?
        raise ArgumentError, "keep_alive must be a time in seconds, not #{keep_alive.inspect}"
      end

      @max_threads = max_threads
      @keep_alive = keep_alive
      @name = name
      @jobs = Channel.new(capacity: UNBOUNDED, name: name)
      @lock = ::Mutex.new
      # Under the lock: jobs that no thread has taken up yet; threads; and those of them without a job.
      # There are never fewer idle threads than queued jobs, unless there are max_threads.
      @queued = 0
      @threads = {}
      @idle = {}
    end

    # Runs the block on one of the pool's threads.
    #
    # @param arguments handed to the block, as Thread.new does
    # @param cancel [CancelToken, nil] what the block goes by; nil: what the calling thread goes by, if anything. Triggered
    #   before the block has begun, the block does not run and the future fails with a {CancelledError}
    # @return [Future] the block's value, or the exception it raised with its class, message and backtrace
    # @raise [ClosedError] the pool is shut down
    # @raise [ThreadError] there is no thread and none can be started
    def async(*arguments, cancel: nil, **keywords, &block)
      raise ArgumentError, "no block given" unless block
      raise ArgumentError, "not a CancelToken: #{cancel.inspect}" unless cancel.nil? || cancel.is_a?(CancelToken)

      job = Job.new(cancel || CancelToken.current, block, arguments, keywords)
      enqueue(job)
      job.future
    end

    # Runs the block with a future's value, on one of the pool's threads, when it is there: see {Future#then}.
    #
    # @param future [Future]
    # @param cancel (see #async)
    # @yieldparam value the future's
    # @return [Future] the block's value, the exception it raised, or what the future failed with
    def then(future, cancel: nil, &block)
      raise ArgumentError, "no block given" unless block
      raise ArgumentError, "not a Future: #{future.inspect}" unless future.is_a?(Future)
      raise ArgumentError, "not a CancelToken: #{cancel.inspect}" unless cancel.nil? || cancel.is_a?(CancelToken)

      # Whoever waits for it before the future is settled waits for that first, and helps there.
      job = Job.new(cancel || CancelToken.current, -> { block.call(future.value) }, [], {})
      Continuation.after(future, self, job)
    end

    # @api private
    def self.after_fork
      Continuation.disown
    end

    # @return [Integer] how many threads there are
    def size
      @lock.synchronize { @threads.size }
    end

    # @return [Integer] how many threads have nothing to do
    def idle
      @lock.synchronize { @idle.size }
    end

    # @return [Integer] how many blocks wait for a thread
    def queued
      @lock.synchronize { @queued }
    end

    # Takes no more blocks, and waits until those that have been taken are done and the threads gone.
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @return [self]
    # @raise [TimeoutError] there are threads left; they end when they have done their work
    # @raise [DeadlockError] called by one of the pool's own blocks
    def shutdown(timeout: nil)
      deadline = Deadline.in(timeout)
      raise DeadlockError, "a block cannot wait for the end of the pool that runs it" if Job.pool.equal?(self)

      @jobs.close
      until (threads = @lock.synchronize { @threads.keys }).empty?
        threads.each do |thread|
          Wait.interrupt_point
          raise TimeoutError, "#{threads.size} threads are still at work" unless thread.join(deadline.left / 1e9)
        end
      end
      self
    end

    private

    def enqueue(job)
      Wait.undisturbed do
        @lock.synchronize do
          @jobs.send(job)
          @queued += 1
          grow
        rescue ThreadError
          raise if job.cancel
        end
      end
    end

    # What {Continuation} has for the pool. There is nobody to be told that it cannot be had, but who asks for the future.
    def pass(job)
      enqueue(job)
    rescue ClosedError, ThreadError => e
      job.fail(e)
    end

    # Under the lock: a further thread, if one is needed and allowed.
    def grow
      return if @queued <= @idle.size || @threads.size >= @max_threads

      thread = Wait.thread(@name) { work }
      @threads[thread] = @idle[thread] = true
    end

    # What a thread does. Interrupts are let in while it waits and while a block runs.
    def work
      Job.pool = self
      hand = []
      while take(hand)
        hand.first.run
        hand.clear
        @lock.synchronize { @idle[::Thread.current] = true }
      end
    ensure
      leave(hand)
    end

    # Waits for a job; false when there is none and the thread is to end.
    def take(hand)
      begin
        Wait.disturbed { @jobs.recv_into(hand, timeout: @keep_alive) }
      rescue TimeoutError
        return false if @lock.synchronize { spare? && forget }

        retry
      rescue ClosedError
        return false
      end
      @lock.synchronize { take_up }
      true
    end

    # Under the lock: the job in hand is this thread's now.
    def take_up
      @idle.delete(::Thread.current)
      @queued -= 1
    end

    # Under the lock: whether there are enough idle threads without this one.
    def spare?
      @idle.size > @queued
    end

    def forget
      @idle.delete(::Thread.current)
      @threads.delete(::Thread.current)
    end

    # The thread ends; because somebody killed it, if it still has a job.
    def leave(hand)
      hand.first&.then { |job| job.abandon if job.cancel }
      @lock.synchronize do
        @queued -= 1 if !hand.empty? && @idle.key?(::Thread.current)
        forget
        grow
      rescue ThreadError
        nil # the next #async tries again
      end
    end
  end
end
