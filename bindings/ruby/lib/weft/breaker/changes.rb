# frozen_string_literal: true

module Weft
  class Breaker
    # The changes of a breaker's state, for who asks: see {Breaker#changes}. They are kept until then, however many. Several
    # threads may ask: each change goes to one of them.
    class Changes
      include Enumerable

      # A change: the state before, the state since then, when in nanoseconds of the monotonic clock, and its number.
      Change = Struct.new(:from, :to, :time_ns, :generation, keyword_init: true)

      # @api private
      # @param breaker [Breaker] kept: it would have nothing more to tell
      # @param native [FFI::Pointer] it
      def initialize(breaker, native)
        @breaker = breaker
        # Events whose reader was interrupted on the way back from the library: for the next one who asks.
        @left = []
        Wait.undisturbed do
          channel = Changes.channel
          begin
            watch = Native.make { |out| Native.weft_breaker_notify(native, channel, out) }
          rescue StandardError
            Native.weft_channel_release(channel)
            raise
          end
          @handle = Handle.new(channel, Changes.give_back(watch))
        end
      end

      # @param timeout [Numeric, nil] seconds to wait for a change; nil: for ever; 0: do not wait
      # @return [Change] the oldest one that nobody has got
      # @raise [TimeoutError] there was none; {WouldBlockError} with a timeout of 0
      # @raise [ClosedError] {#release} came meanwhile
      def next(timeout: nil)
        deadline = Deadline.in(timeout)
        @left.shift&.then { |change| return change }
        hand = nil
        event = Native::BreakerEvent.new
        begin
          @handle.use do |channel|
            Error.check(Wait.call(deadline) { |native, left| native.weft_channel_recv(channel, event, left) })
          end
          hand = copy(event)
        ensure
          # An exception may hide that there was one: the library writes a time then.
          Wait.undisturbed { @left.push(copy(event)) } if hand.nil? && !event[:time_ns].zero?
        end
      end

      # Yields changes until {#release}.
      # @return [self]
      # @return [Enumerator] without a block
      def each
        return enum_for(:each) unless block_given?

        loop do
          begin
            change = self.next
          rescue ClosedError, ReleasedError
            return self
          end
          yield change
        end
      end

      # For IO.select and event loops: readable as long as there is something to be had. Not to be read.
      # @return [IO] the same one each time
      def to_io
        @handle.use do |channel|
          @io ||= Descriptor.io { |out| Native.weft_channel_fd(channel, Native::SELECT_RECV, out) }
        end
      end

      # Takes it back: who waits gets a {ClosedError}.
      # @return [nil]
      def release
        @handle.use { |channel| Native.weft_channel_close(channel) } unless @handle.released?
      rescue ForkedError
        nil
      ensure
        @handle.release
      end

      # @api private
      def self.channel
        options = Native::ChannelOptions.new
        Error.check(Native.weft_channel_options_init(options, options.size))
        options[:elem_size] = Native::BreakerEvent.size
        options[:capacity] = Native::UNBOUNDED
        Native.make { |out| Native.weft_channel_new(options, out) }
      end

      # @api private
      def self.give_back(watch)
        lambda do |channel|
          Native.weft_watch_off(watch)
          Native.weft_watch_release(watch)
          Native.weft_channel_release(channel)
        end
      end

      private

      def copy(event)
        from, to = [event[:from], event[:to]].map { |state| Native::BREAKER_STATES.key(state) }
        Change.new(from: from, to: to, time_ns: event[:time_ns], generation: event[:generation])
      end
    end
  end
end
