# frozen_string_literal: true

module Weft
  # What the library has to say: failures that nobody else is told of, stalls, repairs. Silent until {Log.level=} is
  # called; then messages are kept, at most 4096, for who asks.
  #
  # @example
  #   Weft::Log.level = :warn
  #   Thread.new { Weft::Log.each { |record| warn("#{record.runtime}: #{record.message}") } }
  module Log
    # One message: its level (:error to :debug), the worker's number (-1 outside), when in nanoseconds of the monotonic
    # clock, the runtime's and the task's name (or ""), and what happened.
    Record = Struct.new(:level, :worker, :time_ns, :runtime, :task, :message, keyword_init: true)

    # Records whose reader was interrupted on the way back from the library: for the next one who asks.
    @left = []

    class << self
      include Enumerable

      # @param level [:off, :error, :warn, :info, :debug] messages of this level and graver ones are kept from now on;
      #   with :off those that are kept can still be read
      def level=(level)
        number = Native::LOG_LEVELS.fetch(level) do
          raise ArgumentError, "level must be :off, :error, :warn, :info or :debug, not #{level.inspect}"
        end
        Error.check(Native.weft_log_set(nil, nil, number))
      end

      # The oldest message that is kept. Each goes to one of those who ask.
      #
      # @param timeout [Numeric, nil] seconds to wait for one; nil: for ever; 0: do not wait
      # @return [Record]
      # @raise [ClosedError] there is none, and none is kept
      # @raise [TimeoutError] there was none; {WouldBlockError} with a timeout of 0
      def next(timeout: nil)
        hand = []
        next_into(hand, timeout: timeout)
        hand.first
      end

      # The same into an Array. For those who have to know what they hold when an interrupt comes before this method
      # returns.
      # @api private
      def next_into(hand, timeout: nil)
        deadline = Deadline.in(timeout)
        @left.shift&.then { |record| return hand.push(record) }
        raw = Native::LogRecord.new
        raw[:size] = raw.size
        begin
          Error.check(Wait.call(deadline) { |native, left| native.weft_log_next(raw, left) })
          hand.push(copy(raw))
        ensure
          # An exception may hide that there was one: the library fills in the strings, each of them.
          Wait.undisturbed { @left.push(copy(raw)) } if hand.empty? && !raw[:message].null?
        end
      end

      # Yields the messages until none is kept any more.
      # @return [self]
      # @return [Enumerator] without a block
      def each
        return enum_for(:each) unless block_given?

        loop do
          begin
            record = self.next
          rescue ClosedError
            return self
          end
          yield record
        end
      end

      private

      # The strings are the library's, until this thread asks again.
      def copy(raw)
        runtime, task, message = %i[runtime task message].map do |name|
          raw[name].read_string.force_encoding(Encoding::UTF_8).scrub
        end
        Record.new(level: Native::LOG_LEVELS.key(raw[:level]), worker: raw[:worker], time_ns: raw[:time_ns],
                   runtime: runtime, task: task, message: message)
      end
    end
  end
end
