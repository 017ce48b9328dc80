# frozen_string_literal: true

module Weft
  class Context
    # One run of a block: what it has been asked, and what became of it. {#start} is the kind's.
    #
    # @api private
    class Run
      attr_reader :future

      # @param place [Object] the kind
      # @param parent [CancelToken, nil] what stops it, beside {#stop}
      # @param told [#call] when it is over, with whether it failed, before anybody else learns of it
      def initialize(place, parent, told)
        @place = place
        @parent = parent
        @token = CancelToken.new(parent)
        @told = told
        @promise = Promise.new
        @future = @promise.future
        @future.job = self
        # Taken by whoever runs the block, or sees to it that nobody does. Array#pop is a single step under the VM lock.
        @unbegun = [true]
        @thread = nil
      end

      def start(arguments, keywords, block)
        @place.start(self) { perform { block.call(*arguments, **keywords) } }
      end

      # Runs the block here, unless it has been stopped. Interrupts are held back by the caller.
      def perform
        return unless @unbegun.pop

        @thread = ::Thread.current
        begin
          outcome = [true, Wait.disturbed { within_token { yield } }]
        rescue Exception => e # everything is for who waits
          outcome = [false, e]
        ensure
          @thread = nil
          settle(*outcome || [false, BrokenError.new("the thread that ran the block was killed")])
        end
      end

      # {Future#cancel}
      def stop
        @token.trigger
        Wait.undisturbed { settle(false, CancelledError.new("cancelled")) if @unbegun.pop }
      end

      # {Future#value}: nobody else runs it.
      def help; end

      def here?
        @thread.equal?(::Thread.current)
      end

      def over?
        @future.ready?
      end

      # @return [Boolean] whether it can be
      def kill
        false
      end

      def settle(good, value)
        @told.call(!good)
        good ? @promise.resolve(value) : @promise.reject(value)
      end

      private

      # What the thread goes by is not the block's, but for what its token is made of.
      def within_token(&block)
        @token.check
        @token.enter(&block)
      end
    end
    private_constant :Run

    # What the kinds have in common.
    #
    # @api private
    class Place
      def self.there?
        true
      end

      def initialize(name, _process_pool)
        @name = name
      end

      def again?
        false
      end

      def run(parent, told)
        Run.new(self, parent, told)
      end

      # There will be no more runs.
      def close; end
    end
    private_constant :Place

    # Here.
    # @api private
    class Inline < Place
      def again?
        true
      end

      def start(_run)
        yield
      end
    end
    private_constant :Inline

    # A Ruby thread.
    # @api private
    class OwnThread < Place
      def start(_run, &work)
        Wait.thread(@name, &work)
      rescue ThreadError => e
        raise SystemError, e.message
      end
    end
    private_constant :OwnThread

    # A thread of the pool.
    # @api private
    class Task < Place
      def start(_run, &work)
        # What the block goes by is seen to by the run.
        CancelToken.shield { Weft.pool.async { Wait.undisturbed(&work) } }
      rescue ThreadError => e
        raise SystemError, e.message
      end
    end
    private_constant :Task

    # A call of a pool of processes.
    # @api private
    class Process < Place
      # A run whose future is the pool's.
      class Asked < Run
        def initialize(place, parent, told, pool)
          super(place, parent, told)
          @pool = pool
        end

        def start(arguments, keywords, _block)
          raise ArgumentError, "a process gets one request" unless arguments.size == 1 && keywords.empty?

          answer = @pool.async(arguments.first, cancel: @token)
          # Its thread does nothing but wait.
          Wait.thread("weft.process") { await(answer) }
        end

        # Not before the answer is there: what has begun may go on.
        def stop
          @token.trigger
        end

        private

        def await(answer)
          outcome = begin
            [true, Wait.disturbed { answer.value }]
          rescue Exception => e # everything is for who waits
            [false, e]
          end
        ensure
          settle(*outcome || [false, BrokenError.new("the thread that waited for the answer was killed")])
        end
      end
      private_constant :Asked

      def initialize(name, pool)
        super
        raise ArgumentError, "not a ProcessPool: #{pool.inspect}" unless pool.is_a?(ProcessPool)

        @pool = pool
      end

      def again?
        true
      end

      def run(parent, told)
        Asked.new(self, parent, told, @pool)
      end
    end
    private_constant :Process
  end
end
