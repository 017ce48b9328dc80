# frozen_string_literal: true

module Weft
  class Select
    # What a case does: #stay runs a block while it is where it waits, #fill describes it to the library, #at_hand? says
    # whether there is something already that the library does not know of, #settle whether it has happened, now that the
    # library says so, and #handle calls its block.
    #
    # @api private
    class Case
      def initialize(block)
        @block = block
      end

      def at_hand?
        false
      end

      def settle(_status)
        true
      end

      private

      def describe(struct, operation, handle, element = nil)
        struct[:op] = operation
        struct[:handle] = handle
        struct[:elem] = element
      end

      def call_with(object)
        @block ? @block.call(object) : object
      end
    end
    private_constant :Case

    # @api private
    class ChannelCase < Case
      def initialize(channel, closed, block)
        super(block)
        raise ArgumentError, "not a Channel: #{channel.inspect}" unless channel.is_a?(Channel)

        @channel = channel
        @if_closed = closed
        @closed = false
      end

      def settle(status)
        @closed = status == Native::CLOSED
        Error.check(status) unless @closed
        true
      end

      private

      def handle_closed
        raise ClosedError, "the channel is closed" unless @if_closed

        @if_closed.call
      end
    end
    private_constant :ChannelCase

    # @api private
    class ReceiveCase < ChannelCase
      def stay
        @hand = []
        @channel.receiving(@hand) do |pointer, cell|
          @pointer = pointer
          @cell = cell
          yield
        end
      end

      def fill(struct)
        describe(struct, Native::SELECT_RECV, @pointer, @cell)
      end

      # Objects whose receiver was interrupted come first.
      def at_hand?
        @channel.take(@pointer, @hand)
        !@hand.empty?
      end

      # An id without an object is none.
      def settle(status)
        super
        @channel.take(@pointer, @hand, @closed ? nil : @cell)
        @closed || !@hand.empty?
      end

      def handle
        @hand.empty? ? handle_closed : call_with(@hand.first)
      end
    end
    private_constant :ReceiveCase

    # @api private
    class SendCase < ChannelCase
      def initialize(channel, object, closed, block)
        super(channel, closed, block)
        @object = object
        @sent = false
      end

      def stay
        @channel.sending(@object) do |pointer, cell|
          @pointer = pointer
          @cell = cell
          yield
          @sent
        end
      end

      def fill(struct)
        describe(struct, Native::SELECT_SEND, @pointer, @cell)
      end

      def settle(status)
        super
        @sent = !@closed
        true
      end

      def handle
        @closed ? handle_closed : @block&.call
      end
    end
    private_constant :SendCase

    # @api private
    class FutureCase < Case
      def initialize(future, block)
        super(block)
        raise ArgumentError, "not a Future: #{future.inspect}" unless future.is_a?(Future)

        @future = future
      end

      def stay
        @future.use do |pointer|
          @pointer = pointer
          yield
        end
      end

      def fill(struct)
        describe(struct, Native::SELECT_FUTURE, @pointer)
      end

      def handle
        call_with(@future)
      end
    end
    private_constant :FutureCase

    # @api private
    class TokenCase < Case
      def initialize(token, block)
        super(block)
        raise ArgumentError, "not a CancelToken: #{token.inspect}" unless token.is_a?(CancelToken)

        @token = token
      end

      def stay
        @token.use do |pointer|
          @pointer = pointer
          yield
        end
      end

      def fill(struct)
        describe(struct, Native::SELECT_CANCEL, @pointer)
      end

      def handle
        call_with(@token)
      end
    end
    private_constant :TokenCase
  end
end
