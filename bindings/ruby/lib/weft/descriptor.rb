# frozen_string_literal: true

module Weft
  # Descriptors of the library's as IO objects.
  # @api private
  module Descriptor
    # The library's descriptor is borrowed; this one is a duplicate, so that it neither closes the library's nor means another
    # file one day.
    # @yieldparam out [FFI::MemoryPointer] where the function puts the descriptor
    # @yieldreturn [Integer] its status
    # @return [IO]
    def self.io
      out = FFI::MemoryPointer.new(:int)
      Error.check(yield(out))
      IO.for_fd(out.read_int, autoclose: false).dup
    end
  end
  private_constant :Descriptor
end
