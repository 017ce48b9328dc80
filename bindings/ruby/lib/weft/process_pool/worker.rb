# frozen_string_literal: true

module Weft
  class ProcessPool
    # What runs in a forked worker.
    #
    # @api private
    class Worker
      def initialize(codec:, trusted:, setup:, surroundings:, handler:)
        @codec = codec
        @trusted = trusted
        @setup = setup
        @surroundings = surroundings
        @handler = handler
      end

      # In the child. Does not return.
      def run(descriptor)
        Child.run do
          surround(**@surroundings)
          @setup&.call
          @server = Server.new(descriptor, @codec, @trusted)
          @server.run(&@handler)
        end
      end

      private

      def surround(env:, directory:, title:, nice:, limits:)
        ENV.replace(env) if env
        Dir.chdir(directory) if directory
        Process.setproctitle(title) if title
        unless nice.zero?
          now = Process.getpriority(Process::PRIO_PROCESS, 0)
          Process.setpriority(Process::PRIO_PROCESS, 0, now + nice)
        end
        limits.each { |name, limit| Process.setrlimit(name, *limit) }
      end
    end
    private_constant :Worker
  end
end
