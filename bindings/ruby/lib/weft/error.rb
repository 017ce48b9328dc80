# frozen_string_literal: true

# One exception class for each status number of the library, with the library's own words as the message.
module Weft
  # What every failure of the library is.
  class Error < StandardError
    # The status that a class stands for; for this class, which also serves numbers that have no class of
    # their own, only the default of #status.
    STATUS = 60

    # @return [Integer] the status number: WEFT_TIMEOUT and so on in weft.h
    attr_reader :status

    # @return [String, nil] where a future's failure came from, such as "task resize, worker 3"
    attr_reader :origin

    # @return [String, nil] where a native function written in Rust panicked, in several lines, if RUST_BACKTRACE was set
    attr_reader :native_backtrace

    # @param message [String, nil] nil: the status' name
    # @param status [Integer]
    # @param origin [String, nil]
    # @param native_backtrace [String, nil]
    def initialize(message = nil, status: self.class::STATUS, origin: nil, native_backtrace: nil)
      @status = status
      @origin = origin
      @native_backtrace = native_backtrace
      super(message || Native.weft_status_name(status))
    end

    # @return [String] the status' name in the library: "timeout"
    def status_name
      Native.weft_status_name(status)
    end

    class << self
      # The exception for a status.
      # @api private
      def for(status, message = Native.weft_error_message, **where)
        text = message.dup.force_encoding(Encoding::UTF_8).scrub
        CLASSES.fetch(status, Error).new(text.empty? ? nil : text, status: status, **where)
      end

      # Raises what the status stands for, unless that is success.
      # @api private
      def check(status)
        raise self.for(status) unless status == Native::OK
      end
    end
  end

  # The time given was up.
  class TimeoutError < Error
    STATUS = 2
  end

  # The call would have had to wait, and was told not to. A TimeoutError, because whether the time left has
  # come down to nothing before the call or during it is often chance.
  class WouldBlockError < TimeoutError
    STATUS = 1
  end

  # What was waited for has been cancelled, or who waits: see {CancelToken}.
  class CancelledError < Error
    STATUS = 3
  end

  # {Thread#interrupt} ended a wait. (After a signal the binding goes on waiting by itself.)
  class InterruptedError < Error
    STATUS = 4
  end

  # The channel is closed (and, for a receiver, drained).
  class ClosedError < Error
    STATUS = 5
  end

  # A breaker that is open refused the call.
  class RejectedError < Error
    STATUS = 6
  end

  # A wrong argument.
  class InvalidError < Error
    STATUS = 20
  end

  # An object was used after its #release.
  class ReleasedError < InvalidError
  end

  # Too late or too early for this: the promise is settled already, the default runtime runs.
  class BusyError < Error
    STATUS = 21
  end

  # This machine or this build cannot do it.
  class UnsupportedError < Error
    STATUS = 22
  end

  # A size beyond what can be had.
  class TooLargeError < Error
    STATUS = 23
  end

  # There is no such thing.
  class NotFoundError < Error
    STATUS = 24
  end

  # The wait could never end.
  class DeadlockError < Error
    STATUS = 25
  end

  # The library could not have memory.
  class OutOfMemoryError < Error
    STATUS = 40
  end

  # The operating system refused; the message says what.
  class SystemError < Error
    STATUS = 41
  end

  # The runtime is shut down and takes no new work.
  class ShutdownError < Error
    STATUS = 42
  end

  # The object was made before this process was forked.
  class ForkedError < Error
    STATUS = 43
  end

  # A native function failed.
  class FailedError < Error
    STATUS = 60
  end

  # A worker process failed with an exception whose class is not known here, or is not to be made by a worker.
  class RemoteError < FailedError
    # @return [String] the class's name there
    attr_reader :class_name

    # @param message [String]
    # @param class_name [String]
    def initialize(message, class_name:)
      @class_name = class_name
      super(message)
    end
  end

  # A native function written in Rust panicked.
  class PanicError < Error
    STATUS = 61
  end

  # Nobody is left who could settle the future.
  class BrokenError < Error
    STATUS = 62
  end

  # The process on the other side died.
  class DiedError < Error
    STATUS = 63

    # @return [Integer, nil] the process
    def pid
      origin&.slice(/\Aprocess (\d+)/, 1)&.to_i
    end

    # @return [Integer, nil] the signal that killed it
    def signal
      origin&.slice(/\Aprocess \d+, signal (\d+)/, 1)&.to_i
    end

    # @return [Integer, nil] what it exited with
    def exit_status
      origin&.slice(/\Aprocess \d+, status (\d+)/, 1)&.to_i
    end
  end

  # The other side broke the protocol.
  class ProtocolError < Error
    STATUS = 64
  end

  class Error
    # Status number => class.
    CLASSES = [
      TimeoutError, WouldBlockError, CancelledError, InterruptedError, ClosedError, RejectedError, InvalidError,
      BusyError, UnsupportedError, TooLargeError, NotFoundError, DeadlockError, OutOfMemoryError, SystemError,
      ShutdownError, ForkedError, FailedError, PanicError, BrokenError, DiedError, ProtocolError
    ].to_h { |error| [error::STATUS, error] }.freeze
    private_constant :CLASSES
  end
end
