# frozen_string_literal: true

module Weft
  class ProcessPool
    # What a worker answers: its reply is made an object when somebody asks for it, once.
    class Call < Future
      # @api private
      def initialize(pointer, codec:, trusted:)
        super(pointer)
        @codec = codec
        @trusted = trusted
        @lock = ::Mutex.new
        @taken = []
      end

      # @return [Integer] how often it has been begun so far, as far as is known: more than once only if it may be
      #   (`attempts:`)
      def attempts
        use { |future| Native.weft_process_call_attempts(future) }
      end

      private

      def object(pointer)
        once { @codec.load(Native.bytes(pointer)) }
      end

      # The library's own failures have no payload.
      def raised(error)
        length = FFI::MemoryPointer.new(:size_t)
        payload = Native.weft_error_payload(error, length)
        return if payload.null?

        once do
          Remote.unpack(Native.weft_error_status(error), Remote.utf8(Native.weft_error_text(error)),
                        Remote.utf8(Native.weft_error_backtrace(error)).lines(chomp: true),
                        payload.read_bytes(length.read(:size_t)), @trusted)
        end
      end

      # The same object each time, for each thread.
      def once
        @lock.synchronize do
          @taken.push(yield) if @taken.empty?
          @taken.first
        end
      end
    end
  end
end
