# frozen_string_literal: true

module Weft
  class ProcessPool
    # The thread that forks a pool's workers. It holds on to the library's pool, not to Ruby's.
    #
    # @api private
    class Births
      # @param pool [FFI::Pointer] a reference to own
      # @param worker [Worker] what runs in the child
      def initialize(pool, worker)
        @pool = pool
        @worker = worker
        @thread = Wait.thread("weft.births") { run }
      end

      # Whether workers that are due will be made.
      def alive?
        @thread.alive?
      end

      private

      def run
        loop { break unless bear }
      ensure
        Native.weft_process_pool_release(@pool)
      end

      # @return [Boolean] whether to go on
      def bear
        out = FFI::MemoryPointer.new(:pointer)
        status = nil
        begin
          Wait.disturbed do
            status = Wait.call(Deadline.in(nil)) { |native, left| native.weft_process_birth_begin(@pool, left, out) }
          end
        rescue InterruptedError
          status = Native::FAILED
        end
        case status
        when Native::OK then fork_for(out.read_pointer)
        when Native::FAILED, Native::SYSTEM, Native::OUT_OF_MEMORY then true
        else false
        end
      ensure
        # If there is one. An exception may hide that; then it is released unfinished.
        Native.weft_process_birth_release(out.read_pointer)
      end

      def fork_for(birth)
        descriptor = Native.weft_process_birth_fd(birth)
        child = begin
          Process.fork || @worker.run(descriptor)
        rescue SystemCallError, NotImplementedError, ::NoMemoryError
          -1
        end
        Native.weft_process_birth_end(birth, child)
        true
      end
    end
    private_constant :Births
  end
end
