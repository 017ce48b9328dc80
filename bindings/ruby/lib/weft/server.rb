# frozen_string_literal: true

module Weft
  # The side of a worker: asks for calls, and has them answered on the thread that asks. No code of the library's is below
  # the handler's, so a handler may do whatever Ruby code may do.
  #
  # @api private
  class Server
    ENDS = [Native::CLOSED, Native::DIED, Native::PROTOCOL].freeze
    private_constant :ENDS

    class << self
      # @return [Server, nil] what this process serves at
      attr_accessor :current
    end

    # @param descriptor [Integer] of the link; -1: what the environment says
    # @param codec [#dump, #load]
    # @param trusted [Boolean]
    def initialize(descriptor, codec, trusted)
      @codec = codec
      @trusted = trusted
      Wait.undisturbed do
        pointer = Native.make { |out| Native.weft_server_new(descriptor, out) }
        @handle = Handle.new(pointer, Native.method(:weft_server_release))
      end
    end

    # Serves until there is no more to do. What ends it otherwise ends the process: the link stays open until then, since the
    # pool kills who hangs up, and how the process has ended would not be known.
    # @return [nil]
    def run(&handler)
      Server.current = self
      while (request = take)
        break unless answer(request, handler)
      end
      Server.current = nil
      @handle.release
    end

    # @return [Boolean] whether the caller wants no answer any more
    def cancelled?
      @handle.use { |server| Native.weft_server_cancelled(server) }
    end

    # @return [Integer]
    def attempt
      @handle.use { |server| Native.weft_server_attempt(server) }
    end

    private

    # @return [String, nil] the next request; nil: that was all
    def take
      out = FFI::MemoryPointer.new(:pointer)
      status = wait { |native, server, left| native.weft_server_next(server, left, out) }
      return if ENDS.include?(status)

      Error.check(status)
      begin
        Native.bytes(out.read_pointer)
      ensure
        Native.weft_bytes_release(out.read_pointer)
      end
    end

    # @return [Boolean] whether there is somebody to answer
    def answer(request, handler)
      reply = Remote.dump(@codec, handler.call(@codec.load(request)))
    rescue SystemExit, SignalException
      raise
    rescue Exception => e # everything is for who asked
      failed(e)
    else
      replied(reply)
    end

    def replied(reply)
      memory = FFI::MemoryPointer.new(:char, [reply.bytesize, 1].max).put_bytes(0, reply)
      sent?(wait { |native, server, left| native.weft_server_reply(server, memory, reply.bytesize, left) })
    end

    def failed(error)
      status, message, backtrace, what = Remote.pack(error, @trusted)
      memory = FFI::MemoryPointer.new(:char, what.bytesize).put_bytes(0, what)
      payload = Native.make { |out| Native.weft_bytes_new(memory, what.bytesize, out) }
      begin
        sent?(wait { |native, server, left| native.weft_server_fail(server, status, message, backtrace, payload, left) })
      ensure
        Native.weft_bytes_release(payload)
      end
    end

    def sent?(status)
      return false if ENDS.include?(status)

      Error.check(status)
      true
    end

    # What the handler has left the thread with is no reason to stop.
    def wait
      @handle.use do |server|
        Wait.call(Deadline.in(nil)) { |native, left| yield(native, server, left) }
      end
    end
  end
  private_constant :Server
end
