# frozen_string_literal: true

module Weft
  class Context
    # A thread that stays, as long as its context does. Arguments and values are copied; what the block has around it is not.
    #
    # @api private
    class Isolated < Place
      # A run that passes copies.
      class Copied < Run
        def start(arguments, keywords, block)
          image = Marshal.dump([arguments, keywords])
          @place.start(self) do
            perform do
              arguments, keywords = Marshal.load(image)
              Marshal.load(Marshal.dump(block.call(*arguments, **keywords)))
            end
          end
        end
      end
      private_constant :Copied

      # The thread holds on to the queue, and the queue to what is to be run: not to the context.
      def self.thread(name, queue)
        Wait.thread(name) do
          while (work = Wait.disturbed { queue.pop })
            work.call
            work = nil
          end
        end
      end

      def initialize(name, process_pool)
        super
        @queue = ::Thread::Queue.new
        ObjectSpace.define_finalizer(self, Isolated.closer(@queue))
      end

      def self.closer(queue)
        proc { queue.close }
      end

      def again?
        true
      end

      def run(parent, told)
        Copied.new(self, parent, told)
      end

      def start(_run, &work)
        @thread = Isolated.thread(@name, @queue) unless @thread&.alive?
        @queue.push(work)
      rescue ThreadError => e
        raise SystemError, e.message
      rescue ClosedQueueError
        raise ClosedError, "the context was terminated"
      end

      def close
        @queue.close
      end
    end
    private_constant :Isolated

    # A Ractor. Nobody can ask it to stop; a thread waits for what it gives.
    #
    # @api private
    class InRactor < Place
      def self.there?
        defined?(::Ractor) ? true : false
      end

      # Cannot be stopped once it has begun.
      class Apart < Run
        def start(arguments, keywords, block)
          raise ArgumentError, "Ractors take no keywords" unless keywords.empty?

          @unbegun.pop
          ractor = ::Ractor.new(*arguments, &block)
          Wait.thread("weft.ractor") { await(ractor) }
        end

        private

        def await(ractor)
          outcome = begin
            [true, Wait.disturbed { ractor.respond_to?(:value) ? ractor.value : ractor.take }]
          rescue ::Ractor::RemoteError => e
            [false, e.cause || e]
          end
        ensure
          settle(*outcome || [false, BrokenError.new("the thread that waited for the Ractor was killed")])
        end
      end
      private_constant :Apart

      def run(parent, told)
        Apart.new(self, parent, told)
      end
    end
    private_constant :InRactor
  end
end
