# frozen_string_literal: true

# How a Ruby thread waits inside the library: with a deadline, and so that Ruby can interrupt it.
#
# A call with the VM lock released is interrupted like this: whoever interrupts the thread (Thread#raise,
# Thread#kill, a signal's handler) makes Ruby send it a signal, again and again until the thread has left
# the call. weft_thread_interruptible makes the library's wait return when that signal's handler has run.
# Back in the VM the thread runs what was sent to it, which usually raises; if it does not, the wait goes
# on with the time that is left.
#
# "Again and again" is for a signal that comes when the thread is on its way into the wait, a matter of a
# microsecond. Where no thread is at hand to repeat the signal, Ruby starts a timer whose signals go to the
# process, so any thread may get them, and expects whoever does to pass them on to the right one.
module Weft
  # A point in time from which timeouts in nanoseconds are counted off.
  # @api private
  class Deadline
    # @param timeout [Numeric, nil] seconds; nil: none; 0 or less: do not wait
    # @return [Deadline]
    def self.in(timeout)
      return NEVER if timeout.nil?
      return NOW unless checked(timeout).positive?

      nanoseconds = Deadline.nanoseconds(timeout)
      nanoseconds == Native::FOREVER ? NEVER : new(Deadline.now + nanoseconds)
    end

    # @return [Numeric] the time
    # @raise [ArgumentError] it is none
    def self.checked(time)
      raise ArgumentError, "a time is in seconds or nil, not #{time.inspect}" unless seconds?(time)

      time
    end

    # @return [Boolean] whether this can be compared and calculated with
    def self.seconds?(number)
      number.is_a?(Numeric) && number.real? && !(number.respond_to?(:nan?) && number.nan?)
    end

    # @return [Integer] the library's clock
    def self.now
      Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
    end

    # @param seconds [Numeric] not negative; infinity and what does not fit become "for ever"
    # @return [Integer] nanoseconds, rounded up so that a wait is never turned into none
    def self.nanoseconds(seconds)
      return Native::FOREVER if seconds.respond_to?(:infinite?) && seconds.infinite?

      [(seconds * 1_000_000_000).ceil, Native::FOREVER].min
    end

    def initialize(time)
      @time = time
    end

    # @return [Boolean] whether there is any waiting to do
    def wait?
      @time != 0
    end

    # @return [Integer] what is left, for the library. At least 1 where waiting was asked for: with 0 the
    #   library would say "would block" instead of "timeout".
    def left
      return Native::FOREVER if @time.nil?

      [@time - Deadline.now, 1].max
    end

    NEVER = new(nil).freeze
    NOW = new(0).freeze
    private_constant :NEVER, :NOW
  end
  private_constant :Deadline

  # @api private
  module Wait
    # Runs a call of the library that may have to wait.
    #
    # An exception that comes out of here may hide the result of a call that has been carried out: Ruby
    # raises on the way back into the VM. Callers take that into account.
    #
    # @param deadline [Deadline]
    # @yieldparam native [Module] whose function is to be called
    # @yieldparam timeout [Integer] the timeout to call it with
    # @yieldreturn [Integer] its status
    # @return [Integer] the status; never WEFT_INTERRUPTED
    # @raise [InterruptedError] by {Thread#interrupt}
    def self.call(deadline)
      status = yield(Native, 0)
      case status
      when Native::WOULD_BLOCK then return status unless deadline.wait?
      when Native::INTERRUPTED then Thread.interrupted
      else return status
      end
      released(deadline) { |timeout| yield(Native::Blocking, timeout) }
    end

    # Runs such a call with the VM lock released from the start: it may take long without waiting.
    #
    # @param (see .call)
    # @yieldparam timeout [Integer] the timeout to call a function of {Native::Blocking} with
    # @yieldreturn [Integer] its status
    # @return [Integer] the status; never WEFT_INTERRUPTED
    def self.released(deadline)
      # A setting of the native thread, which is not ours alone: put back afterwards.
      before = Native.weft_thread_interruptible(1)
      begin
        loop do
          interrupt_point
          status = yield(deadline.wait? ? deadline.left : 0)
          return status unless status == Native::INTERRUPTED

          Thread.interrupted
          # It may have been the timer's signal: among other things this signals the threads it is for.
          ::Thread.pass
        end
      ensure
        Native.weft_thread_interruptible(before)
      end
    end

    # Lets in what Thread.handle_interrupt holds back until the thread waits. What has arrived before the
    # wait would not end it any more.
    def self.interrupt_point
      Native::Blocking.interrupt_point if ::Thread.pending_interrupt?
    end

    # Runs the block with interrupts held back. For short things that do not wait.
    def self.undisturbed(&block)
      ::Thread.handle_interrupt(HELD_BACK, &block)
    end

    # Inside #undisturbed: runs the block with interrupts let in.
    def self.disturbed(&block)
      ::Thread.handle_interrupt(LET_IN, &block)
    end

    # Starts a thread whose block runs with interrupts held back from its first step (a thread inherits that
    # from its maker). The block must let them in where it waits: else not even the process' exit ends it.
    def self.thread(name)
      undisturbed do
        thread = ::Thread.new do
          ::Thread.current.report_on_exception = false
          yield
        end
        thread.tap { thread.name = name }
      end
    end

    HELD_BACK = { Object => :never }.freeze
    LET_IN = { Object => :immediate }.freeze
    private_constant :HELD_BACK, :LET_IN
  end
  private_constant :Wait
end
