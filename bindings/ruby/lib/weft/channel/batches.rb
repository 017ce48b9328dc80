# frozen_string_literal: true

module Weft
  class Channel
    # Many objects in one call of the library.
    module Batches
      # Puts objects into the channel, in their order, waiting for room. Objects of other senders may come in between.
      #
      # An interrupt takes back what nobody has received yet, as with {Channel#send}; the places in the channel stay taken until a
      # receiver comes by, who does not see them.
      #
      # @param objects [#to_a]
      # @param timeout [Numeric, nil] seconds to wait for room in all; nil: for ever; 0: do not wait
      # @return [Integer] how many were sent: fewer when time was up or the channel was closed meanwhile, the first ones
      # @raise [ClosedError] the channel is closed, and none was sent
      # @raise [TimeoutError] there was no room for a single one; {WouldBlockError} with a timeout of 0
      def send_many(objects, timeout: nil)
        deadline = Deadline.in(timeout)
        objects = objects.to_a
        return 0 if objects.empty?

        @handle.use { |channel| send_all(channel, objects, deadline) }
      end

      # Takes out what is there, up to so many objects; waits for the first one.
      #
      # @param max [Integer] at most
      # @param timeout [Numeric, nil] seconds to wait for one; nil: for ever; 0: do not wait
      # @return [Array] one object at least
      # @raise [ClosedError] the channel is closed and there is nothing left in it
      # @raise [TimeoutError] there was none; {WouldBlockError} with a timeout of 0
      def recv_many(max, timeout: nil)
        raise ArgumentError, "max must be a positive Integer, not #{max.inspect}" unless max.is_a?(Integer) && max.positive?

        hand = []
        deadline = Deadline.in(timeout)
        receiving(hand) do |channel, cell|
          @returned.take(channel, hand)
          receive(channel, deadline, cell, hand) while hand.empty?
          Wait.undisturbed { take_more(channel, hand, max) }
        end
        hand
      end

      # Elements fetched in one call of the library at most, whatever is asked for.
      PIECE = 4096
      private_constant :PIECE

      private

      def send_all(channel, objects, deadline)
        ids = []
        done = nil
        objects.each { |object| ids.push(@objects.add(object)) }
        status, count = send_ids(channel, ids, deadline)
        Error.check(status) if count.zero?
        done = count
      ensure
        # An exception may hide that elements are in the channel by now: without their objects nobody gets them.
        ids.drop(done || 0).each { |id| @objects.delete(id) }
      end

      # @return [Array(Integer, Integer)] the status, and how many elements went in
      def send_ids(channel, ids, deadline)
        cells = FFI::MemoryPointer.new(:uint64, ids.size).write_array_of_uint64(ids)
        sent = FFI::MemoryPointer.new(:size_t)
        count = 0
        status = Wait.call(deadline) do |native, left|
          result = native.weft_channel_send_batch(channel, cells + (count * 8), ids.size - count, left, sent)
          count += sent.read(:size_t)
          result
        end
        [status, count]
      end

      # With interrupts held back: fills the hand up, without waiting.
      def take_more(channel, hand, max)
        while hand.size < max
          due = []
          @returned.take(channel, due)
          break if due.empty?

          hand.concat(due)
        end
        cells = received = nil
        while hand.size < max
          cells ||= FFI::MemoryPointer.new(:uint64, [max - hand.size, PIECE].min)
          received ||= FFI::MemoryPointer.new(:size_t)
          room = [max - hand.size, PIECE].min
          break if Native.weft_channel_recv_batch(channel, cells, room, 0, received) != Native::OK

          received.read(:size_t).times { |i| accept(cells + (i * 8), hand) }
        end
      end
    end
    private_constant :Batches
    include Batches
  end
end
