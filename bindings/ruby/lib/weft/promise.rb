# frozen_string_literal: true

module Weft
  # The writing end of a {Future}: settled once, by any thread, with a value or an exception.
  #
  # A promise that is collected or released unsettled fails its future with {BrokenError}, so nobody waits
  # for what cannot come any more.
  #
  # @example
  #   promise = Weft::Promise.new
  #   Thread.new { promise.resolve(6 * 7) }
  #   promise.future.value   # => 42
  class Promise
    # @return [Future] always the same one
    attr_reader :future

    def initialize
      @objects = Objects.new
      Wait.undisturbed do
        future = FFI::MemoryPointer.new(:pointer)
        promise = Native.make { |out| Native.weft_promise_new(out, future) }
        @handle = Handle.new(promise, Native.method(:weft_promise_release))
        @future = Future.new(future.read_pointer, objects: @objects)
      end
    end

    # Settles the promise with a value. Never waits; may be called in a signal handler.
    #
    # @param value [Object] any object; it stays the object it is
    # @return [self]
    # @raise [BusyError] the promise is settled already
    def resolve(value = nil)
      settle(value) do |promise, id|
        # The library carries the id where C programs have a pointer.
        Native.weft_promise_resolve(promise, FFI::Pointer.new(id), nil, nil)
      end
    end

    # Settles the promise with an exception, which {Future#value} will raise. Never waits.
    #
    # @param error [Exception, String] a String stands for a {FailedError} with this message
    # @return [self]
    # @raise [BusyError] the promise is settled already
    def reject(error)
      error = FailedError.new(error) if error.is_a?(String)
      raise ArgumentError, "not an exception: #{error.inspect}" unless error.is_a?(Exception)

      status = error.is_a?(Error) ? error.status : Native::FAILED
      settle(error) do |promise, id|
        with_payload(id) { |payload| Native.weft_promise_reject(promise, status, text(error), payload) }
      end
    end

    # @return [Boolean] whether somebody has asked by {Future#cancel} for it not to be settled with a value any more
    def cancelled?
      @handle.use { |promise| Native.weft_promise_cancelled(promise) }
    end

    # Gives the promise up now instead of when it is collected. Using it afterwards raises {ReleasedError}.
    # @return [nil]
    def release
      @handle.release
    end

    # @return [String]
    def inspect
      "#<#{self.class} of #{@future.inspect}>"
    end

    private

    # The object must be in the table before anybody can learn its id, and must go again if another thread
    # was first.
    def settle(object)
      Wait.undisturbed do
        @handle.use do |promise|
          id = @objects.add(object)
          status = yield(promise, id)
          @objects.delete(id) unless status == Native::OK
          Error.check(status)
        end
      end
      self
    end

    def with_payload(id)
      cell = FFI::MemoryPointer.new(:uint64).put_uint64(0, id)
      payload = Native.make { |out| Native.weft_bytes_new(cell, cell.size, out) }
      begin
        yield payload
      ensure
        Native.weft_bytes_release(payload)
      end
    end

    # What a C program that looks at the future reads: UTF-8 without a zero byte. An exception's own #message may
    # fail in any way.
    def text(error)
      utf8 = error.message.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
      "#{error.class}: #{utf8.scrub}".tr("\0", "?")
    rescue StandardError
      error.class.name.to_s
    end
  end
end
