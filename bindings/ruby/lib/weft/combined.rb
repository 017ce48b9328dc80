# frozen_string_literal: true

module Weft
  # A future that is made of others: see {Weft.all}, {Weft.any} and {Weft.race}. Its value and its error are theirs.
  class Combined < Future
    # @api private
    # @yieldparam futures [FFI::Pointer] an array for C
    # @yieldparam count [Integer]
    # @yieldparam out [FFI::MemoryPointer] where the function puts the handle
    # @yieldreturn [Integer] its status
    def self.of(sources)
      sources = sources.flatten
      Wait.undisturbed do
        pointer = Future.references(sources) do |array|
          Native.make { |out| yield(array, sources.size, out) }
        end
        new(pointer, sources: sources)
      end
    end

    # @api private
    def initialize(pointer, sources:)
      super(pointer)
      @sources = sources
    end

    # Waits for the result and gives it: of {Weft.all} an Array of all values, else the winner's value.
    #
    # @param (see Future#value)
    # @return [Object]
    # @raise [TimeoutError] there is no result yet
    # @raise [Exception] what one of the others failed with, as it was; {CancelledError} after {Future#cancel}
    def value(timeout: nil)
      with_settled(timeout) do |future, waited|
        Error.check(waited)
        decisive = winner(future)
        error = failure(future) unless decisive
        raise error, cause: error.cause if error

        decisive ? decisive.value(timeout: 0) : @sources.map { |source| source.value(timeout: 0) }
      end
    end

    # @return [Integer, nil] the index of the future that settled this one; nil while it is pending, and when no single one
    #   did
    def winner_index
      @handle.use { |future| index(future) }
    end

    private

    def failure(future)
      error = super
      error && (winner(future)&.error || error)
    end

    def winner(future)
      index(future)&.then { |index| @sources[index] }
    end

    def index(future)
      return if @sources.empty?

      out = FFI::MemoryPointer.new(:size_t)
      status = Native.weft_future_winner(future, out)
      return if [Native::WOULD_BLOCK, Native::NOT_FOUND].include?(status)

      Error.check(status)
      out.read(:size_t)
    end

    # Of {Weft.all}, whose blocks are all needed.
    # @api private
    class All < Combined
      def help
        @sources.each(&:help)
      end
    end
  end

  class << self
    # A future that is ready when all of these are, and fails as soon as one of them does.
    #
    # @example
    #   Weft.all(Weft.async { 1 }, Weft.async { 2 }).value   # => [1, 2]
    #
    # @param futures [Array<Future>]
    # @return [Combined] all values, in the order of the futures
    def all(*futures)
      Combined::All.of(futures) { |array, count, out| Native.weft_future_all(array, count, out) }
    end

    # A future with the first value among these; when all have failed, with the last failure.
    #
    # @param futures [Array<Future>] one at least
    # @return [Combined]
    def any(*futures)
      Combined.of(futures) { |array, count, out| Native.weft_future_any(array, count, out) }
    end

    # A future that is settled as the first of these is, be it by a value or a failure.
    #
    # @param futures [Array<Future>] one at least
    # @return [Combined]
    def race(*futures)
      Combined.of(futures) { |array, count, out| Native.weft_future_race(array, count, out) }
    end
  end
end
