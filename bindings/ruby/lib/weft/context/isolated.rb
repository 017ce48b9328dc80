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

      # What is to be run, and the thread that does. It does not hold on to the context.
      class Line
        def initialize(name)
          @name = name
          @lock = ::Mutex.new
          @queue = ::Thread::Queue.new
          @manned = false
        end

        def push(work)
          @lock.synchronize do
            man unless @manned
            @queue.push(work)
          end
        end

        # May be called by a finaliser.
        def close
          @queue.close
        end

        private

        # Under the lock.
        def man
          Wait.thread(@name) { work }
          @manned = true
        end

        def work
          while (work = Wait.disturbed { @queue.pop })
            work.call
            work = nil
          end
        ensure
          # Killed, it leaves what has come meanwhile to another one.
          @lock.synchronize do
            @manned = false
            man unless @queue.empty?
          rescue ThreadError
            nil # the next one that comes tries again
          end
        end
      end
      private_constant :Line

      def self.closer(line)
        proc { line.close }
      end

      def initialize(name, process_pool)
        super
        @line = Line.new(name)
        ObjectSpace.define_finalizer(self, Isolated.closer(@line))
      end

      def again?
        true
      end

      def run(parent, told)
        Copied.new(self, parent, told)
      end

      def start(_run, &work)
        @line.push(work)
      rescue ThreadError => e
        raise SystemError, e.message
      rescue ClosedQueueError
        raise ClosedError, "the context was terminated"
      end

      def close
        @line.close
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
