# frozen_string_literal: true

module Weft
  # One reference to an object of the library, given back once: by #release, or by a finaliser.
  #
  # A release must not pull the object from under a call of another thread. So every call announces itself
  # before it looks whether the handle has been released, and a release marks the handle before it looks
  # whether anybody is inside; whoever leaves a released handle last gives the reference back. Array#push
  # and #pop are single steps under the VM lock, which makes this work without a lock of our own: one could
  # neither be taken in a finaliser nor in a signal handler.
  #
  # @api private
  class Handle
    @generation = 0

    class << self
      # @return [Integer] how many forks lie between this process and the one that loaded the library
      attr_reader :generation

      # All handles there are belong to the parent from now on. The library knows that too, but its functions
      # without a status cannot say so.
      def disown_all
        @generation += 1
      end

      # Made here, so that the finaliser does not hold on to the handle.
      def finalizer(owned, give_back)
        proc { owned.pop&.then { |pointer| give_back.call(pointer) } }
      end
    end

    # @param pointer [FFI::Pointer] the reference to own
    # @param give_back [#call] takes the pointer; must neither block nor raise
    def initialize(pointer, give_back)
      @pointer = pointer
      @give_back = give_back
      @owned = [pointer]
      @users = []
      @released = false
      @generation = Handle.generation
      ObjectSpace.define_finalizer(self, Handle.finalizer(@owned, give_back))
    end

    # @yieldparam pointer [FFI::Pointer] valid until the block ends
    # @return what the block gives
    # @raise [ReleasedError, ForkedError]
    def use
      @users.push(true)
      begin
        raise ReleasedError, "used after its release" if @released
        raise ForkedError, "made before this process was forked" unless ours?

        yield @pointer
      ensure
        @users.pop
        give_back if @released
      end
    end

    # Gives the reference up; at once, or when the calls under way have ended. Again: nothing happens.
    def release
      @released = true
      give_back
      nil
    end

    def released?
      @released
    end

    # @return [Boolean] whether it was made in this process
    def ours?
      @generation == Handle.generation
    end

    private

    def give_back
      @owned.pop&.then { |pointer| @give_back.call(pointer) } if @users.empty?
    end
  end
  private_constant :Handle
end
