# frozen_string_literal: true

module Weft
  # A result that is there now or will be: of a {Promise}, of a block given to {Weft.async}, or of a native
  # function on a worker ({Runtime#async_native}). Any number of threads may wait for it and read it, again
  # and again.
  class Future
    # @api private
    # @param pointer [FFI::Pointer] the reference to own
    # @param objects [Objects, nil] where value and error are, for a promise's future; nil for a native one
    # @param keep [Object, nil] something the library uses until the future is settled
    def initialize(pointer, objects: nil, keep: nil)
      @handle = Handle.new(pointer, Native.method(:weft_future_release))
      @objects = objects
      @keep = keep
    end

    # @api private
    # @return [Pool::Job, nil] the block that will settle this future
    attr_writer :job

    # Waits for the result and gives it.
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @return [Object] the promise's value; the result of a native function as an FFI::Pointer
    # @raise [TimeoutError] there is no result yet
    # @raise [Exception] what the promise was rejected with, as it was: class, message, backtrace, cause
    # @raise [Error] a native function failed, or nobody is left to settle the promise (BrokenError)
    def value(timeout: nil)
      with_settled(timeout) do |future, waited|
        Error.check(waited)
        out = FFI::MemoryPointer.new(:pointer)
        status = Native.weft_future_get(future, 0, out)
        return object(out.read_pointer) if status == Native::OK

        error = failure(future) || Error.for(status)
        # Without this Ruby would note the exception that the caller is handling as its cause.
        raise error, cause: error.cause
      end
    end

    # Waits until there is a result, and does not care which.
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @return [self, nil] nil when time was up, like Thread#join
    def wait(timeout: nil)
      with_settled(timeout) do |_, waited|
        return if [Native::TIMEOUT, Native::WOULD_BLOCK].include?(waited)

        Error.check(waited)
        self
      end
    end

    # @return [Symbol] :pending, :ready, :failed, or :cancelled, which is failed with a {CancelledError}
    def state
      @handle.use do |future|
        # No state: the wait says why.
        Native::FUTURE_STATES.fetch(Native.weft_future_state(future)) do
          raise Error.for(Native.weft_future_wait(future, 0))
        end
      end
    end

    # @return [Boolean] whether {#value} answers at once, be it by raising
    def ready?
      state != :pending
    end

    # @return [Exception, nil] what {#value} raises; nil while pending and after success. Does not wait.
    def error
      @handle.use { |future| failure(future) }
    end

    # Asks whoever is to settle it to stop. A block that has not begun does not run; one that has sees its waits end with a
    # {CancelledError}, and {Weft.cancelled?}; so do native functions. A promise's owner asks {Promise#cancelled?}. Waits
    # for nothing: the future is settled when it is.
    # @return [self]
    def cancel
      @handle.use { |future| Native.weft_future_cancel(future) }
      @job&.stop
      self
    end

    # Goes on with the value: runs the block on a thread of the default pool when it is there. If there is none because of a
    # failure, the block does not run, and the new future has that failure. ({Pool#then} does it on a pool of one's own.)
    #
    # @example
    #   Weft.async { fetch(url) }.then { |page| parse(page) }.value
    #
    # @param cancel [CancelToken, nil] what the block goes by, see {Pool#async}
    # @yieldparam value
    # @return [Future] the block's value, or the exception it raised
    def then(cancel: nil, &block)
      Weft.pool.then(self, cancel: cancel, &block)
    end

    # The future for IO.select and event loops: readable from when it is settled. Not to be read.
    # @return [IO] the same one each time
    def to_io
      @handle.use { |future| @io ||= Descriptor.io { |out| Native.weft_future_fd(future, out) } }
    end

    # Has an object come through a channel when this future is settled: one channel for any number of futures, in the order
    # in which they are settled.
    #
    # @example
    #   done = Weft::Channel.new(capacity: Weft::UNBOUNDED)
    #   futures.each { |future| future.notify(done) }
    #   done.first(futures.size).each { |future| puts future.value }
    #
    # @param channel [Channel] an unbounded one, so that nobody waits for room; closed, it gets nothing
    # @param object [Object] what comes through it
    # @return [self]
    # @raise [InvalidError] the channel is bounded
    def notify(channel, object = self)
      raise ArgumentError, "not a Channel: #{channel.inspect}" unless channel.is_a?(Channel)

      @handle.use { |future| channel.notify(future, object) }
      self
    end

    # @api private
    # @yieldparam future [FFI::Pointer] valid until the block ends
    def use(&block)
      @handle.use(&block)
    end

    # Gives the future up now instead of when it is collected. Using it afterwards raises {ReleasedError}.
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

    # @api private
    # @return [FFI::Pointer] a reference to the library's future, to be released
    def retain
      use { |future| Native.weft_future_retain(future) }
    end

    # Runs the block that will settle this one, if nobody has begun it and this thread is a pool's.
    # @api private
    def help
      @job&.help
    end

    # Yields the library's futures, kept from being released meanwhile, as an array for C.
    # @api private
    # @yieldparam array [FFI::MemoryPointer, nil]
    def self.references(futures)
      return yield(nil) if futures.empty?

      pointers = []
      begin
        futures.each do |future|
          raise ArgumentError, "not a Future: #{future.inspect}" unless future.is_a?(Future)

          pointers.push(future.retain)
        end
        yield FFI::MemoryPointer.new(:pointer, pointers.size).write_array_of_pointer(pointers)
      ensure
        pointers.each { |pointer| Native.weft_future_release(pointer) }
      end
    end

    private

    # Waits, and yields the pointer with the status of the wait.
    def with_settled(timeout)
      deadline = Deadline.in(timeout)
      help if timeout.nil?
      @handle.use do |future|
        yield future, Wait.call(deadline) { |native, left| native.weft_future_wait(future, left) }
      end
    end

    def object(pointer)
      @objects ? @objects.fetch(pointer.address) : pointer
    end

    # @return [Exception, nil]
    def failure(future)
      error = Native.weft_future_error(future)
      return if error.null?

      raised(error) || Error.for(Native.weft_error_status(error), Native.weft_error_text(error),
                                 origin: Native.weft_error_origin(error), native_backtrace: backtrace(error))
    end

    def backtrace(error)
      text = Native.weft_error_backtrace(error)
      text unless text.empty?
    end

    # The Ruby exception behind a failure, if a Ruby exception it was: the payload is its id.
    def raised(error)
      return unless @objects

      length = FFI::MemoryPointer.new(:size_t)
      payload = Native.weft_error_payload(error, length)
      @objects.fetch(payload.read_uint64) unless payload.null?
    end
  end
end
