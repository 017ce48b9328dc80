# frozen_string_literal: true

require_relative "select/cases"

module Weft
  # One wait for several events, of which exactly one happens: see {Weft.select}.
  class Select
    # @api private
    def initialize
      @cases = []
    end

    # Receives from a channel.
    #
    # @param channel [Channel]
    # @param closed [#call, nil] called instead of the block when the channel is closed and drained; nil: {ClosedError}
    # @yieldparam object [Object] what was received; without a block, {Weft.select} gives it
    # @return [self]
    def receive(channel, closed: nil, &block)
      add(ReceiveCase.new(channel, closed, block))
    end

    # Sends an object.
    #
    # @param channel [Channel]
    # @param object [Object]
    # @param closed [#call, nil] called instead of the block when the channel is closed; nil: {ClosedError}
    # @yield when it has been sent
    # @return [self]
    def send(channel, object, closed: nil, &block)
      add(SendCase.new(channel, object, closed, block))
    end

    # Waits for a future to be settled, whatever the outcome.
    #
    # @param future [Future]
    # @yieldparam future [Future] without a block, {Weft.select} gives it
    # @return [self]
    def settled(future, &block)
      add(FutureCase.new(future, block))
    end

    # Waits for a token to be triggered.
    #
    # @param token [CancelToken]
    # @yieldparam token [CancelToken] without a block, {Weft.select} gives it
    # @return [self]
    def triggered(token, &block)
      add(TokenCase.new(token, block))
    end

    # @api private
    # @return what the block of the case that happened gives
    def run(timeout)
      raise ArgumentError, "there is nothing to wait for" if @cases.empty?

      deadline = Deadline.in(timeout)
      fired = nil
      stay(0) { fired = wait(deadline) }
      fired.handle
    end

    private

    def add(one)
      @cases.push(one)
      self
    end

    # All cases are where they wait while the block runs.
    def stay(index, &block)
      return yield if index == @cases.size

      @cases[index].stay { stay(index + 1, &block) }
    end

    # @return the case that has happened
    def wait(deadline)
      natives = FFI::MemoryPointer.new(Native::SelectCase, @cases.size)
      structs = Array.new(@cases.size) { |i| Native::SelectCase.new(natives + (i * Native::SelectCase.size)) }
      @cases.zip(structs) { |one, struct| one.fill(struct) }
      fired = FFI::MemoryPointer.new(:size_t)
      loop do
        at_hand = @cases.find(&:at_hand?)
        return at_hand if at_hand

        Error.check(Wait.call(deadline) { |native, left| native.weft_select(natives, @cases.size, left, fired) })
        index = fired.read(:size_t)
        return @cases[index] if @cases[index].settle(structs[index][:status])
      end
    end
  end

  class << self
    # Waits for several events at once, and has exactly one of them happen, chosen fairly among those that can. Interrupts
    # lose nothing, as everywhere in {Channel}.
    #
    # @example
    #   Weft.select(timeout: 1) do |s|
    #     s.receive(numbers) { |number| sum += number }
    #     s.send(results, sum) { sum = 0 }
    #     s.settled(answer) { |future| puts future.value }
    #     s.triggered(token) { |token| raise token.reason }
    #   end
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @yieldparam cases [Select] to add the events to; their blocks run on this thread, afterwards
    # @return what the block of the event that happened gives
    # @raise [TimeoutError] nothing has happened; {WouldBlockError} with a timeout of 0
    # @raise [ClosedError] a channel is closed, and its case has no `closed:`
    def select(timeout: nil)
      Select.new.tap { |select| yield select }.run(timeout)
    end
  end
end
