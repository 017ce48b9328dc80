# frozen_string_literal: true

module Weft
  # Rings of waits none of which can end: see weft_deadlock_watch in weft.h for what is one. The library tells each once, by
  # a message of level :error, with the names of tasks and mutexes, that {Log} gives to who asks; no thread of the library's
  # calls Ruby for that. Waits of Ruby's threads are part of none, since Ruby can end them by a signal: deadlocks are those of
  # native functions.
  #
  # @example
  #   Weft::Log.level = :error
  #   Thread.new { Weft::Log.each { |record| warn(record.message) } }
  module Deadlock
    class << self
      # @return [Integer] how many there have been in this process
      def count
        Native.weft_deadlock_count
      end

      # For tests: has the process abort at a deadlock, with the message on standard error.
      # @param abort [Boolean] false: it is told, and the threads wait on
      def abort=(abort)
        Error.check(Native.weft_deadlock_watch(nil, nil, abort ? Native::DEADLOCK_ABORT : Native::DEADLOCK_REPORT))
      end
    end
  end
end
