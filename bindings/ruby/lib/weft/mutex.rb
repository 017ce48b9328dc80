# frozen_string_literal: true

module Weft
  # A mutex that the library knows: waits for it end by tokens and timeouts, and native functions can share it. Held by a
  # thread, which unlocks it. Not recursive. Where none of this matters, Ruby's own does.
  #
  # @example
  #   mutex = Weft::Mutex.new("accounts")
  #   mutex.synchronize { transfer }
  class Mutex
    # @param name [String, nil] for messages and reports of deadlocks
    def initialize(name = nil)
      text = Native.c_string(name)
      Wait.undisturbed do
        @handle = Handle.new(Native.make { |out| Native.weft_mutex_new(text, out) }, Native.method(:weft_mutex_release))
      end
    end

    # Waits until the calling thread holds it.
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @return [self]
    # @raise [TimeoutError] others hold it; {WouldBlockError} with a timeout of 0
    # @raise [DeadlockError] this thread holds it
    def lock(timeout: nil)
      raise DeadlockError, "this thread holds the mutex" if owned?

      deadline = Deadline.in(timeout)
      @handle.use do |mutex|
        status = nil
        begin
          status = Wait.call(deadline) { |native, left| native.weft_mutex_lock(mutex, left) }
        ensure
          Wait.undisturbed { locked(mutex, status) }
        end
        Error.check(status)
      end
      self
    end

    # @return [Boolean] whether it was free, and is held now
    def try_lock
      return false if owned?

      lock(timeout: 0)
      true
    rescue WouldBlockError
      false
    end

    # @return [self]
    # @raise [BusyError] this thread does not hold it
    def unlock
      @handle.use do |mutex|
        Wait.undisturbed do
          mine = owned?
          @owner = nil if mine
          Error.check(Native.weft_mutex_unlock(mutex))
        end
      end
      self
    end

    # Holds it while the block runs.
    # @param (see #lock)
    # @return what the block gives
    # @raise (see #lock)
    def synchronize(timeout: nil)
      raise DeadlockError, "this thread holds the mutex" if owned?

      begin
        lock(timeout: timeout)
        yield
      ensure
        # Nothing is let in between the question and the answer.
        Wait.undisturbed { unlock if owned? }
      end
    end

    # @return [Boolean] whether the calling thread holds it
    def owned?
      # The thread that forked goes on in the child, where the mutex is nobody's.
      @owner.equal?(::Thread.current) && @pid == ::Process.pid
    end

    # @api private
    # @yieldparam mutex [FFI::Pointer] valid until the block ends
    def use(&block)
      @handle.use(&block)
    end

    # Gives the mutex up now instead of when it is collected. Using it afterwards raises {ReleasedError}.
    # @return [nil]
    def release
      @handle.release
    end

    # @return [String]
    def inspect
      "#<#{self.class}#{' released' if @handle.released?}>"
    end

    private

    # An exception may hide that it was locked.
    def locked(mutex, status)
      case status
      when Native::OK then @owner, @pid = ::Thread.current, ::Process.pid
      when nil then Native.weft_mutex_unlock(mutex)
      end
    end
  end
end
