# frozen_string_literal: true

module Weft
  class Pool
    # Blocks that go on with a future ({Future#then}). When it is settled its job comes through one channel, from which one
    # thread passes jobs on to their pools: it runs no block, so blocks that take their time hold up nobody.
    #
    # @api private
    module Continuation
      @lock = ::Mutex.new

      class << self
        # Has the job run by the pool when the future is settled.
        def after(future, pool, job)
          future.notify(channel, [pool, job])
          job.future
        end

        # A forked child has neither the thread nor the channel.
        def disown
          @channel = @thread = nil
          @lock = ::Mutex.new
        end

        private

        def channel
          return @channel if @channel && @thread&.alive?

          @lock.synchronize do
            @channel ||= Channel.new(capacity: UNBOUNDED, name: "weft.then")
            @thread = start(@channel) unless @thread&.alive?
            @channel
          end
        end

        def start(settled)
          Wait.thread("weft.then") do
            hand = []
            loop do
              Wait.disturbed { settled.recv_into(hand) }
              pool, job = hand.pop
              pool.send(:pass, job)
            end
          end
        end
      end
    end
    private_constant :Continuation
  end
end
