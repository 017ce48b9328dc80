# frozen_string_literal: true

require_relative "process_pool/call"
require_relative "process_pool/worker"
require_relative "process_pool/births"
require_relative "process_pool/options"

module Weft
  # Worker processes that answer calls. A worker that dies costs the call it was at and nothing else: that fails with a
  # {DiedError}, and another worker takes the dead one's place.
  #
  # With a block, workers are forked by Ruby, and have all that the program had when they were made; with `argv:` they are
  # programs, which call {Weft.serve}. One at a time, a worker answers its calls on its main thread. Objects go there and back
  # by Marshal, if the workers are trusted.
  #
  # @example
  #   pool = Weft::ProcessPool.new(workers: 4, timeout: 30) { |path| parse(File.read(path)) }
  #   documents = pool.map(paths)
  #   pool.drain
  class ProcessPool
    class << self
      # @return [Boolean] in a worker, whether who called wants no answer any more, or has gone; elsewhere false
      def cancelled?
        Server.current&.cancelled? || false
      end

      # @return [Integer] in a worker, the how manieth attempt at the call this is, from 1; elsewhere 0
      def attempt
        Server.current&.attempt || 0
      end
    end

    # @param workers [Integer, nil] how many processes; nil: as many as there are CPUs for this one
    # @param argv [Array<String>, nil] a program and its arguments, instead of a block
    # @param trusted [Boolean] whether workers may have this process make objects of any class. If not, the codec is not
    #   Marshal, and exceptions are made by the name of their class alone, if that is a StandardError that is known here
    # @param codec [#dump, #load, nil] makes Strings of objects and objects of Strings. nil: Marshal; of workers that are not
    #   trusted, Strings are what goes back and forth
    # @param setup [Proc, nil] called in each forked worker before it serves
    # @param options see {Options}: window, timeout, attempts, max_calls, max_rss, and others
    # @yieldparam request [Object] in the worker
    # @yieldreturn [Object] the reply; an exception goes to who asked, with its class, message and backtrace
    # @raise [InvalidError] the library's message says which option is wrong
    # @raise [UnsupportedError] Ruby cannot fork here
    def initialize(argv: nil, trusted: true, codec: nil, setup: nil, **options, &handler)
      raise ArgumentError, "either a block or argv:" unless argv.nil? ^ handler.nil?
      raise ArgumentError, "setup: is for forked workers" if setup && argv
      raise UnsupportedError, "Ruby cannot fork here; use argv:" if handler && !Process.respond_to?(:fork)

      @trusted = trusted
      @codec = Remote.codec(codec, trusted)
      @window = options[:window] || 1
      options = Options.new(argv, **options)
      Wait.undisturbed do
        pointer = options.native { |native| Native.make { |out| Native.weft_process_pool_new(native, out) } }
        @handle = Handle.new(pointer, ProcessPool.method(:give_back))
        if handler
          @worker = Worker.new(codec: @codec, trusted: trusted, setup: setup, surroundings: options.surroundings,
                               handler: handler)
          tend
        end
      end
    end

    # Has a worker answer, and waits for that.
    #
    # @param request [Object]
    # @param timeout [Numeric, nil] seconds that it may take, waiting for a worker included; then the worker that is at it is
    #   killed and replaced. nil: as the pool says
    # @param cancel [CancelToken, nil] asks it to stop; nil: what the calling thread goes by, if anything
    # @param attempts [Integer, nil] how often it may be begun if workers die; nil: as the pool says
    # @return [Object] the reply
    # @raise [Exception] what the handler raised
    # @raise [DiedError, TimeoutError, CancelledError, RejectedError, ShutdownError, ClosedError]
    def call(request, **how)
      future = async(request, **how)
      begin
        future.value
      ensure
        # An interrupt has ended the wait: nobody else will ask.
        future.cancel unless future.ready?
        future.release
      end
    end

    # Has a worker answer.
    #
    # @param (see #call)
    # @return [Call] a {Future} of the reply
    # @raise [ClosedError] the pool has been told to end
    # @raise [RejectedError] `max_waiting` calls wait already
    def async(request, timeout: nil, cancel: nil, attempts: nil)
      bytes = Remote.dump(@codec, request)
      cancel ||= CancelToken.current
      Wait.undisturbed do
        @handle.use do |pool|
          tend if @worker && !@births.alive?
          future = with_call_options(timeout, cancel, attempts) do |options|
            Native.make { |out| Native.weft_process_pool_call(pool, bytes, bytes.bytesize, options, out) }
          end
          Call.new(future, codec: @codec, trusted: @trusted)
        end
      end
    end

    # Has workers answer all of these, and gives the replies in their order. No more requests are taken from the Enumerable
    # than workers can have twice over. The first failure is raised; calls that are open then are cancelled.
    #
    # @param requests [Enumerable]
    # @param how see {#call}
    # @return [Array]
    def map(requests, **how)
      open = []
      replies = []
      most = 2 * stats[:workers] * @window
      requests.each do |request|
        replies.push(take(open)) if open.size >= most
        open.push(async(request, **how))
      end
      replies.push(take(open)) until open.empty?
      replies
    ensure
      open&.each(&:cancel)
    end

    # Changes how many workers there are. Those that are too many finish what they have, and leave.
    # @return [self]
    def resize(workers)
      raise ArgumentError, "workers must be 1 to 4096, not #{workers.inspect}" unless (1..4096).cover?(workers)

      @handle.use { |pool| Error.check(Native.weft_process_pool_resize(pool, workers)) }
      self
    end

    # @return [Hash{Symbol=>Integer}] counters; see weft_process_pool_stats in weft.h for what they count
    def stats
      stats = Native::ProcessPoolStats.new
      stats[:size] = stats.size
      @handle.use { |pool| Error.check(Native.weft_process_pool_stats_get(pool, stats)) }
      (stats.members - [:size]).to_h { |name| [name, stats[name]] }
    end

    # Takes no more calls, has those that are open finished, and waits until all workers have gone and been reaped.
    #
    # @param timeout [Numeric, nil] seconds for the calls; those that are open then fail with {ShutdownError}. 0: none
    # @return [self]
    # @raise [TimeoutError] the time was over; the workers are gone all the same
    def drain(timeout: nil)
      deadline = Deadline.in(timeout)
      status = @handle.use do |pool|
        Wait.released(deadline) { |left| Native::Blocking.weft_process_pool_drain(pool, left) }
      end
      Error.check(status)
      self
    end

    # Ends the pool at once: open calls fail with {ShutdownError}. Waits until all workers have gone. Again: nothing.
    # @return [nil]
    def close
      return if @handle.released?

      begin
        drain(timeout: 0)
      rescue TimeoutError
        nil # calls were open
      end
      @handle.release
    end

    # @return [String]
    def inspect
      "#<#{self.class}#{' closed' if @handle.released?}>"
    end

    # @api private
    def self.give_back(pool)
      # The thread that forks has a reference of its own.
      Native.weft_process_pool_close(pool)
      Native.weft_process_pool_release(pool)
    end

    private

    # Starts the thread that forks.
    def tend
      @handle.use { |pool| @births = Births.new(Native.weft_process_pool_retain(pool), @worker) }
    end

    def take(open)
      open.first.value.tap { open.shift.release }
    end

    def with_call_options(timeout, cancel, attempts)
      return yield(nil) unless timeout || cancel || attempts

      options = Native::ProcessCallOptions.new
      Error.check(Native.weft_process_call_options_init(options, options.size))
      # 0 is the library's word for "as the pool says".
      options[:timeout_ns] = [Deadline.nanoseconds(Deadline.checked(timeout)), 1].max if timeout
      options[:attempts] = attempts if attempts
      CancelToken.pointer(cancel) do |token|
        options[:cancel] = token
        yield options
      end
    end
  end
end
