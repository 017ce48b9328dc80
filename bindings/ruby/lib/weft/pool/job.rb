# frozen_string_literal: true

module Weft
  class Pool
    # One block with its promise: run once, by the thread that is first to claim it.
    #
    # @api private
    class Job
      # The pool that the current thread belongs to, if any.
      def self.pool
        ::Thread.current.thread_variable_get(:weft_pool)
      end

      def self.pool=(pool)
        ::Thread.current.thread_variable_set(:weft_pool, pool)
      end

      # @param cancel [CancelToken, nil] what ends it, beside {#stop}
      def initialize(cancel, block, arguments, keywords)
        @token = CancelToken.new(cancel)
        @promise = Promise.new
        @promise.future.job = self
        # Taken out by whoever claims the job; Array#pop is a single step under the VM lock.
        @work = [[block, arguments, keywords]]
      end

      # @return [Future]
      def future
        @promise.future
      end

      # Runs the block, unless somebody has claimed it. Interrupts are held back by the caller and let in
      # while the block runs.
      def run
        block, arguments, keywords = @work.pop
        return unless block

        begin
          @promise.resolve(Wait.disturbed { carrying_token { block.call(*arguments, **keywords) } })
        rescue Exception => e # everything is for who asks for the value
          @promise.reject(e)
        ensure
          abandon
        end
      end

      # Runs the block here if nobody has begun it and this thread is a pool's, so that threads that wait
      # for blocks cannot use up all threads.
      def help
        Wait.undisturbed { without_tokens { run } } if Job.pool
      end

      # Claims the block in order not to run it.
      # @return [Boolean] false when it was claimed before
      def cancel
        !@work.pop.nil?
      end

      # Asks the block to stop; if it has not begun it does not run.
      def stop
        @token.trigger
        Wait.undisturbed { @promise.reject(CancelledError.new("cancelled")) if cancel }
      end

      # There is no thread to run the block.
      def fail(error)
        cancel
        @promise.reject(error) unless future.ready?
      end

      # Settles the promise if nothing else has: the thread was killed before the block could end.
      def abandon
        @promise.reject(BrokenError.new("the thread that was to run the block was killed")) unless future.ready?
      end

      private

      # Cancelled before it has begun, the block does not run.
      def carrying_token(&block)
        @token.check
        @token.enter(&block)
      end

      # What the thread that helps goes by is not the block's.
      def without_tokens(&block)
        CancelToken.current ? CancelToken.shield(&block) : yield
      end
    end
    private_constant :Job
  end
end
