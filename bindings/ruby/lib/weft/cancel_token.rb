# frozen_string_literal: true

module Weft
  # A request to stop, for whatever carries it: blocks of {Weft.async}, native functions, and stretches of a thread's own
  # code. Their waits raise {CancelledError} once it has been triggered. A token triggers those that have it as their
  # parent.
  #
  # Tokens are entered by threads, not by fibers: do not switch fibers inside {#enter} and {shield}.
  #
  # @example
  #   token = Weft::CancelToken.new
  #   future = Weft.async(cancel: token) { channel.recv }
  #   token.trigger("nobody needs it any more")
  #   future.value   # raises Weft::CancelledError
  class CancelToken
    class << self
      # @return [CancelToken, nil] what the calling thread goes by
      def current
        ::Thread.current.thread_variable_get(:weft_token)
      end

      # While the block runs, nothing that was there before ends the waits of the calling thread, and what it starts
      # carries no token: for cleanup that waits. Tokens entered inside count as usual.
      # @return what the block gives
      def shield
        before = current
        status = Native.weft_cancel_shield_begin
        begin
          Error.check(status)
          self.current = nil
          yield
        ensure
          self.current = before
          Error.check(Native.weft_cancel_shield_end) if status == Native::OK
        end
      end

      # @api private
      def current=(token)
        ::Thread.current.thread_variable_set(:weft_token, token)
      end
    end

    # @param parent [CancelToken, nil] a token that triggers this one, too
    def initialize(parent = nil)
      Wait.undisturbed do
        pointer = CancelToken.pointer(parent) { |above| Native.make { |out| Native.weft_cancel_token_new(above, out) } }
        @handle = Handle.new(pointer, Native.method(:weft_cancel_token_release))
      end
    end

    # Asks whatever carries the token to stop. What has begun goes on until it waits, or looks ({Weft.cancelled?}). The
    # first reason stays. Never waits; any thread, and signal handlers.
    #
    # @param reason [String, nil]
    # @return [self]
    def trigger(reason = nil)
      @handle.use { |token| Error.check(Native.weft_cancel_token_trigger(token, reason)) }
      self
    end

    # Triggers it when this much time has passed, for the reason "deadline". Of several deadlines the earliest counts.
    #
    # @param seconds [Numeric, nil] nil: never
    # @return [self]
    def trigger_after(seconds)
      time = seconds.nil? ? Native::FOREVER : Deadline.nanoseconds(Deadline.checked(seconds))
      @handle.use { |token| Error.check(Native.weft_cancel_token_after(token, time)) }
      self
    end

    # @return [Boolean] whether it, or one above it, has been triggered
    def triggered?
      @handle.use { |token| Native.weft_cancel_token_triggered(token) }
    end

    # @return [String, nil] why; nil unless triggered
    def reason
      @handle.use { |token| Native.weft_cancel_token_reason(token)&.dup&.force_encoding(Encoding::UTF_8) }
    end

    # While the block runs, the calling thread goes by this token instead of the one it had: its waits, and what it
    # starts. To go by both, make a token with the other as its parent.
    # @return what the block gives
    # @raise [CancelledError] from waits inside
    def enter
      @handle.use do |token|
        before = CancelToken.current
        status = Native.weft_cancel_token_enter(token)
        begin
          Error.check(status)
          CancelToken.current = self
          yield
        ensure
          CancelToken.current = before
          Error.check(Native.weft_cancel_token_leave(token)) if status == Native::OK
        end
      end
    end

    # @api private
    # @raise [CancelledError] it has been triggered
    def check
      return unless triggered?

      raise CancelledError, ["cancelled", reason].reject(&:empty?).join(": ")
    end

    # Gives the token up now instead of when it is collected; what carries it keeps it. Using it afterwards raises
    # {ReleasedError}.
    # @return [nil]
    def release
      @handle.release
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{@handle.released? ? :released : reason.inspect}>"
    rescue ForkedError => e
      "#<#{self.class} #{e.status_name}>"
    end

    # @api private
    # @yieldparam pointer [FFI::Pointer, nil] the library's token, valid until the block ends
    def self.pointer(token, &block)
      return yield(nil) if token.nil?
      raise ArgumentError, "not a CancelToken: #{token.inspect}" unless token.is_a?(CancelToken)

      token.use(&block)
    end

    # @api private
    def use(&block)
      @handle.use(&block)
    end
  end
end
