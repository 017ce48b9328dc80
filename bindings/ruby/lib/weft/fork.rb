# frozen_string_literal: true

# After a fork the child has none of the library's threads, and what it inherited is marked unusable: it
# raises ForkedError. The library must be told in the child before new objects can be made. Every fork that
# Ruby makes goes through Process._fork, except that of Process.daemon.
module Weft
  # @api private
  module ForkHook
    def _fork
      super.tap { |pid| Weft.after_fork if pid.zero? }
    end

    def daemon(...)
      super.tap { Weft.after_fork }
    end
  end
  private_constant :ForkHook

  Process.singleton_class.prepend(ForkHook)
end
