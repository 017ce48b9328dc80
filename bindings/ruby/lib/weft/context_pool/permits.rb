# frozen_string_literal: true

module Weft
  class ContextPool
    # So many places, for whoever comes first among those of the highest priority. A place that is given back goes to who
    # waits, not to who happens to come.
    #
    # @api private
    class Permits
      Ticket = Struct.new(:priority, :number, :promise)
      private_constant :Ticket

      def initialize(most)
        @most = most
        @lock = ::Mutex.new
        @free = most
        @peak = 0
        @waiting = []
        @number = 0
        @closed = false
      end

      # Interrupts are held back by the caller, and let in while this waits.
      # @raise [TimeoutError, ClosedError]
      def take(timeout, priority)
        deadline = Deadline.in(timeout)
        ticket = @lock.synchronize { try || line_up(deadline, priority) }
        return if ticket == true

        has = false
        begin
          Wait.disturbed { ticket.promise.future.value(timeout: timeout) }
          has = true
        ensure
          # It may have been given the place, and not have come to know.
          @lock.synchronize { give_to_next if !@waiting.delete(ticket) && ticket.promise.future.state == :ready } unless has
        end
      end

      def give
        @lock.synchronize { give_to_next }
      end

      def close
        @lock.synchronize do
          @closed = true
          @waiting.each { |ticket| ticket.promise.reject(closed) }
          @waiting.clear
        end
      end

      def closed?
        @lock.synchronize { @closed }
      end

      # @raise [ClosedError]
      def check
        raise closed if closed?
      end

      def stats
        @lock.synchronize do
          { max: @most, active: @most - @free, available: @free, waiting: @waiting.size, peak: @peak }
        end
      end

      private

      def try
        raise closed if @closed
        return if @free.zero?

        @free -= 1
        @peak = [@peak, @most - @free].max
        true
      end

      def line_up(deadline, priority)
        raise WouldBlockError, "all places are taken" unless deadline.wait?

        Ticket.new(priority, @number += 1, Promise.new).tap do |ticket|
          at = @waiting.index { |other| other.priority < priority } || @waiting.size
          @waiting.insert(at, ticket)
        end
      end

      def give_to_next
        ticket = @waiting.shift
        ticket ? ticket.promise.resolve(true) : @free += 1
      end

      def closed
        ClosedError.new("the pool of contexts is closed")
      end
    end
    private_constant :Permits
  end
end
