# frozen_string_literal: true

module Weft
  # A circuit breaker: calls to something that fails are let through no more, for a time; then a few are, whose results
  # decide. Any thread may use it; nothing here waits.
  #
  # @example
  #   breaker = Weft::Breaker.new(consecutive: 3, open_wait: 10)
  #   breaker.run { http.get("/") }   # raises Weft::RejectedError while it is open
  class Breaker
    # @param name [String, nil] for messages
    # @param window [Integer, nil] rates are of so many calls, the last ones
    # @param window_time [Numeric, nil] or of those of the last so many seconds
    # @param minimum_calls [Integer, nil] with less results in the window, rates say nothing
    # @param failure_rate [Float, nil] it opens when this share has failed; 0: whatever the share
    # @param slow [Numeric, nil] a call that takes so many seconds is slow
    # @param slow_rate [Float, nil] it opens when this share was slow
    # @param consecutive [Integer, nil] it opens after so many failures in a row; 0: whatever the number
    # @param probes [Integer, nil] calls that are let through when it is half-open
    # @param probes_to_close [Integer, nil] so many of them have to go well
    # @param open_wait [Numeric, nil] seconds that it is open the first time
    # @param open_wait_max [Numeric, nil] and at most
    # @param backoff [Numeric, nil] so many times longer each time that the probes failed
    # @param jitter [Float, nil] the share of a wait that is left to chance
    # @param probe_wait [Numeric, nil] seconds after which probes are taken for hanging
    # @param abandoned [:ok, :fail, :ignore, nil] what a call counts as that nobody knows the end of
    # @param outcome [#call, nil] takes what a block of {#run} raised, and says :ok, :fail, :ignore or :abandoned. nil: a
    #   StandardError has failed, but for {CancelledError}, {InterruptedError} and {ShutdownError}; those, and whatever else
    #   leaves the block, are :abandoned
    #
    # What is nil is as the library has it: see weft_breaker_options.
    def initialize(name: nil, outcome: nil, **options)
      @outcome = outcome || Breaker.method(:outcome)
      native = Native::BreakerOptions.new
      Error.check(Native.weft_breaker_options_init(native, native.size))
      text = Native.c_string(name)
      native[:name] = text if text
      options.compact.each { |key, value| Breaker.set(native, key, value) }
      Wait.undisturbed do
        pointer = Native.make { |out| Native.weft_breaker_new(native, out) }
        @handle = Handle.new(pointer, Native.method(:weft_breaker_release))
      end
    end

    # Calls the block if that is let through, and records how it ends.
    # @return what the block gives
    # @raise [RejectedError] the block was not called
    def run
      permit = Native::Permit.new
      result = :abandoned
      begin
        @handle.use { |breaker| Error.check(Native.weft_breaker_acquire(breaker, permit)) }
        value = judged(->(outcome) { result = outcome if Breaker.number_of(outcome) }) { yield }
        result = :ok
        value
      ensure
        # Not 0: it was acquired, also if an interrupt came right after that.
        Wait.undisturbed { settle(permit, result) } unless permit[:word][0].zero?
      end
    end

    # For calls that are no blocks.
    # @return [Permit] to be recorded once; collected before that, it is abandoned
    # @raise [RejectedError] do not call
    def acquire
      try_acquire or raise Error.for(Native::REJECTED)
    end

    # @return [Permit, nil] nil: do not call
    def try_acquire
      @handle.use do |breaker|
        Wait.undisturbed do
          words = Native::Permit.new
          status = Native.weft_breaker_acquire(breaker, words)
          next if status == Native::REJECTED

          Error.check(status)
          Permit.new(Native.weft_breaker_retain(breaker), words)
        end
      end
    end

    # @return [:closed, :open, :half_open, :forced_open, :disabled, :metrics_only] asking changes nothing
    def state
      @handle.use { |breaker| Native::BREAKER_STATES.key(Native.weft_breaker_get_state(breaker)) }
    end

    # @return [Float] for how many seconds calls will be rejected, if nothing happens before; infinity: nobody knows
    def retry_after
      nanoseconds = @handle.use { |breaker| Native.weft_breaker_retry_after(breaker) }
      nanoseconds == Native::FOREVER ? Float::INFINITY : nanoseconds / 1e9
    end

    # Puts it into a state. In :forced_open, :disabled and :metrics_only it stays.
    # @return [self]
    def force(state)
      number = Native::BREAKER_STATES.fetch(state) { raise ArgumentError, "no state of a breaker: #{state.inspect}" }
      @handle.use { |breaker| Error.check(Native.weft_breaker_force(breaker, number)) }
      self
    end

    # The changes of state from now on, to be asked for: no thread of the library's calls Ruby when they happen.
    #
    # @example
    #   changes = breaker.changes
    #   Thread.new { changes.each { |change| warn("#{change.from} -> #{change.to}") } }
    #
    # @return [Changes] {Changes#release} takes it back
    def changes
      @handle.use { |breaker| Changes.new(self, breaker) }
    end

    # @return [Hash{Symbol => Integer, Symbol}] what it has seen so far: see weft_breaker_stats
    def stats
      native = Native::BreakerStats.new
      native[:size] = native.size
      @handle.use { |breaker| Error.check(Native.weft_breaker_stats_get(breaker, native)) }
      stats = (native.members - [:size]).to_h { |member| [member, native[member]] }
      stats.merge(state: Native::BREAKER_STATES.key(stats[:state]))
    end

    # Gives the breaker up now instead of when it is collected. Using it afterwards raises {ReleasedError}.
    # @return [nil]
    def release
      @handle.release
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{@handle.released? ? :released : state}>"
    rescue ForkedError => e
      "#<#{self.class} #{e.status_name}>"
    end

    class << self
      # @api private
      def outcome(error)
        case error
        when CancelledError, InterruptedError, ShutdownError then :abandoned
        when StandardError then :fail
        else :abandoned
        end
      end

      # @api private
      def number_of(outcome)
        Native::OUTCOMES.fetch(outcome) { raise ArgumentError, "no outcome of a call: #{outcome.inspect}" }
      end

      # @api private
      def set(native, key, value)
        case key
        when :window, :minimum_calls, :consecutive, :probes, :probes_to_close
          raise ArgumentError, "#{key}: #{value.inspect} is no count" unless value.is_a?(Integer) && COUNTS.cover?(value)

          native[key] = value
        when :failure_rate, :slow_rate, :backoff, :jitter then native[key] = Float(value)
        when :abandoned then native[key] = number_of(value)
        when *TIMES.keys
          raise ArgumentError, "#{key}: #{value.inspect} is negative" if Deadline.checked(value).negative?

          native[TIMES[key]] = Deadline.nanoseconds(value)
        else raise ArgumentError, "unknown option: #{key}"
        end
      end
    end

    COUNTS = (0...2**32)
    TIMES = { window_time: :window_ns, slow: :slow_ns, open_wait: :open_wait_ns, open_wait_max: :open_wait_max_ns,
              probe_wait: :probe_wait_ns }.freeze
    private_constant :COUNTS, :TIMES

    private

    def judged(judge)
      yield
    rescue Exception => e # rubocop:disable Lint/RescueException
      judge.call(@outcome.call(e))
      raise
    end

    def settle(permit, result)
      number = Breaker.number_of(result)
      @handle.use { |breaker| Error.check(Native.weft_breaker_record(breaker, permit, number)) }
    rescue ReleasedError, ForkedError
      # The block released it, or forked: there is nobody to tell.
    end

    # A call that was let through.
    class Permit
      # @api private
      # @param pointer [FFI::Pointer] a reference of its own to the breaker
      def initialize(pointer, words)
        @pointer = pointer
        @words = words
        @generation = Handle.generation
        ObjectSpace.define_finalizer(self, Permit.finalizer(pointer, words))
      end

      # Says how the call ended.
      # @param outcome [:ok, :fail, :ignore, :abandoned]
      # @return [nil]
      # @raise [InvalidError] it has been recorded before
      def record(outcome)
        number = Breaker.number_of(outcome)
        raise ForkedError, "made before this process was forked" unless @generation == Handle.generation

        Error.check(Native.weft_breaker_record(@pointer, @words, number))
      end

      # @api private
      def self.finalizer(pointer, words)
        proc do
          # Of one that has been recorded there is nothing left to say.
          Native.weft_breaker_record(pointer, words, Native::OUTCOMES[:abandoned])
          Native.weft_breaker_release(pointer)
        end
      end
    end
  end
end

require_relative "breaker/changes"
