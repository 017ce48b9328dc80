# frozen_string_literal: true

module Weft
  # A Ruby thread as the library knows it, for others to end its waits.
  #
  # @example
  #   waiter = Weft::Thread.current            # on the thread that is going to wait
  #   Thread.new { waiter.interrupt }
  #   channel.recv                             # raises Weft::InterruptedError
  class Thread
    class << self
      # @return [Thread] the calling thread; the same one each time
      def current
        known = ::Thread.current.thread_variable_get(:weft_thread)
        return known if known&.usable?

        new.tap { |made| ::Thread.current.thread_variable_set(:weft_thread, made) }
      end

      # The library's wait of the calling thread was ended by a signal, which is Ruby's business, or by #interrupt.
      # @api private
      # @raise [InterruptedError] by #interrupt
      def interrupted
        known = ::Thread.current.thread_variable_get(:weft_thread)
        raise Error.for(Native::INTERRUPTED) if known&.asked?
      end

      private :new
    end

    def initialize
      # Interrupts that no wait has been ended by. Each step is single under the VM lock.
      @asked = []
      Wait.undisturbed do
        pointer = Native.weft_thread_self
        raise ForkedError, "this process was forked, and the library not told" if pointer.null?

        @handle = Handle.new(pointer, Native.method(:weft_thread_release))
      end
    end

    # Has the thread's current wait for a channel, a future, a runtime or the log raise {InterruptedError}, or else its
    # next one that would have to wait; once. Interrupts do not add up. Never waits; any thread, and signal handlers.
    # Waits of Ruby's own (Thread#join, Kernel#sleep) are not ended.
    # @return [self]
    def interrupt
      @handle.use do |thread|
        @asked.push(true)
        Error.check(Native.weft_thread_interrupt(thread))
      end
      self
    end

    # @api private
    def usable?
      @handle.ours?
    end

    # Whether there were interrupts; what comes after this stays for the next wait.
    # @api private
    def asked?
      !@asked.shift(@asked.size).empty?
    end
  end
end
