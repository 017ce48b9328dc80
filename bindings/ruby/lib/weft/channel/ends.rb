# frozen_string_literal: true

module Weft
  class Channel
    # What both ends have in common. Each holds one reference to its end of the channel; #dup gives another.
    #
    # @api private
    class End
      # @return [Channel] for all that channels can do, such as {Weft.select}; holding it counts for no end
      attr_reader :channel

      # @api private
      # @param pointer [FFI::Pointer] the reference to own
      def initialize(channel, pointer)
        @channel = channel
        @handle = Handle.new(pointer, give_back)
      end

      # Gives this reference up; the last one of its end closes the channel. Using it afterwards raises {ReleasedError}. A
      # reference that is collected is given up, too, some time.
      # @return [nil]
      def release
        @handle.release
      end
      alias close release

      # @return [String]
      def inspect
        "#<#{self.class} #{@handle.released? ? 'released' : @channel.inspect}>"
      end

      private

      def initialize_copy(original)
        super
        Wait.undisturbed do
          pointer = original.instance_variable_get(:@handle).use { |handle| retain(handle) }
          @handle = Handle.new(pointer, give_back)
        end
      end

      # Yields the channel, which stays open at this end meanwhile.
      def with_channel
        @handle.use { yield @channel }
      end
    end
    private_constant :End

    # A counted sending end, see {Channel.ends}.
    class Sender < End
      # @see Channel#send
      # @return [self]
      def send(object, timeout: nil)
        with_channel { |channel| channel.send(object, timeout: timeout) }
        self
      end

      # @see Channel#<<
      def <<(object)
        send(object)
      end

      # @see Channel#send_many
      def send_many(objects, timeout: nil)
        with_channel { |channel| channel.send_many(objects, timeout: timeout) }
      end

      private

      def give_back
        Native.method(:weft_sender_release)
      end

      def retain(pointer)
        Native.weft_sender_retain(pointer)
      end
    end

    # A counted receiving end, see {Channel.ends}.
    class Receiver < End
      include Enumerable

      # @see Channel#recv
      def recv(timeout: nil)
        with_channel { |channel| channel.recv(timeout: timeout) }
      end
      alias pop recv

      # @see Channel#recv_many
      def recv_many(max, timeout: nil)
        with_channel { |channel| channel.recv_many(max, timeout: timeout) }
      end

      # @see Channel#each
      def each(&block)
        return enum_for(:each) unless block

        with_channel { |channel| channel.each(&block) }
        self
      end

      # @see Channel#to_io
      def to_io
        with_channel(&:to_io)
      end

      private

      def give_back
        Native.method(:weft_receiver_release)
      end

      def retain(pointer)
        Native.weft_receiver_retain(pointer)
      end
    end

    # A channel with counted ends: closed when the last reference to either end is given up (release), so that the end of a
    # stream needs nobody who knows that all others are done. What is queued can still be received when the last sender has
    # gone; when the last receiver goes it is dropped.
    #
    # @example
    #   sender, receiver = Weft::Channel.ends(capacity: 100)
    #   3.times { |i| Weft.async(sender.dup) { |mine| mine.send(i); mine.release } }
    #   sender.release
    #   receiver.sum   # => 3
    #
    # @param (see #initialize)
    # @return [Array(Sender, Receiver)] one reference to each
    def self.ends(capacity: nil, name: nil)
      Wait.undisturbed do
        out = FFI::MemoryPointer.new(:pointer, 2)
        channel = new(capacity: capacity, name: name) do |options|
          Error.check(Native.weft_channel_ends(options, out, out + out.type_size))
          Native.weft_channel_retain(Native.weft_sender_channel(out.read_pointer))
        end
        sender, receiver = out.read_array_of_pointer(2)
        [Sender.new(channel, sender), Receiver.new(channel, receiver)]
      end
    end
  end
end
