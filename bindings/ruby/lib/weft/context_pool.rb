# frozen_string_literal: true

require_relative "context_pool/permits"

module Weft
  # Contexts of one kind, of which so many run at once. Any number may be acquired: a context takes its place when it is
  # executed, and gives it back when the run is over.
  #
  # @example
  #   pool = Weft::ContextPool.new(:fork, max: 4)
  #   contexts = pages.map { |page| pool.acquire.execute(page) { |page| render(page) } }   # at most 4 children
  #   pool.wait_all
  #   contexts.map(&:wait)
  class ContextPool
    # By kind, how many run at once if nobody says.
    DEFAULTS = { inline: 1, thread: 5, task: 5, fork: 2, isolated: 4, ractor: 4, process: 2 }.freeze

    # A context that has a place while it runs.
    class Pooled < Context
      # @api private
      def initialize(pool, kind, timeout:, priority:, permits:, count:, **options)
        super(kind, **options)
        @pool = pool
        @permits = permits
        @count = count
        lend(timeout, priority)
      end

      # As {Context#execute}; waits for a place.
      # @raise [TimeoutError] there was none in the time that {ContextPool#acquire} was given
      # @raise [ClosedError] the pool is closed, or the context was terminated
      def execute(*arguments, **keywords, &block)
        Wait.undisturbed do
          @lock.synchronize { check }
          @permits.take(@timeout, @priority) unless @holds.pop
          begin
            super
          rescue Exception
            @permits.give
            raise
          end
        end
        self
      end

      # @api private
      attr_reader :pool

      # @api private
      def lend(timeout, priority)
        @timeout = timeout
        @priority = priority
        # What a strict acquire has taken: Array#pop is a single step under the VM lock.
        @holds = []
        self
      end

      # @api private
      def hold
        @permits.take(@timeout, @priority)
        @holds.push(true)
      end

      # @api private
      def give_up
        @permits.give if @holds.pop
      end

      private

      def over(failed)
        super
        @count.call(failed)
        @permits.give
      end
    end
    private_constant :Pooled

    # @return [Symbol] what its contexts are asked to be
    attr_reader :kind

    # @param kind [Symbol] see {Context}
    # @param max [Integer, nil] how many run at once; nil: see {DEFAULTS}
    # @param name [String] what the names of contexts begin with
    # @param options of its contexts, see {Context#initialize}
    def initialize(kind = :thread, max: nil, name: "context", **options)
      Context.new(kind, **options)
      unless max.nil? || (max.is_a?(Integer) && max.positive?)
        raise ArgumentError, "max must be a positive Integer, not #{max.inspect}"
      end

      @kind = kind
      @name = name
      @options = options
      @permits = Permits.new(max || DEFAULTS.fetch(kind))
      @lock = ::Mutex.new
      # Those that are out, as long as somebody has them.
      @out = ObjectSpace::WeakMap.new
      @idle = []
      @counts = { acquired: 0, reused: 0, executed: 0, failed: 0 }
    end

    # A context of the pool's.
    #
    # @param name [String, nil]
    # @param timeout [Numeric, nil] seconds that its execute waits for a place; if strict, that this does
    # @param priority [:low, :normal, :high, :critical] the order of those that wait for a place; then who came first
    # @param strict [Boolean] whether it takes its place now, for its first execute, or until {#put}
    # @return [Context]
    # @raise [ClosedError]
    # @raise [TimeoutError]
    def acquire(name: nil, timeout: nil, priority: :normal, strict: false)
      number = Native::PRIORITIES.fetch(priority) do
        raise ArgumentError, "priority must be :low, :normal, :high or :critical, not #{priority.inspect}"
      end
      Deadline.in(timeout)
      @permits.check
      Wait.undisturbed do
        context, reused = made(name, timeout, number)
        context.hold if strict
        @lock.synchronize do
          @counts[:acquired] += 1
          @counts[:reused] += 1 if reused
          @out[context] = true
        end
        context
      end
    end

    # Gives a context back. What it runs goes on.
    # @return [self]
    # @raise [InvalidError] it is not out, or another pool's
    def put(context)
      Wait.undisturbed do
        @lock.synchronize do
          unless context.is_a?(Pooled) && context.pool.equal?(self) && out.include?(context)
            raise InvalidError, "#{context.inspect} is not out of this pool"
          end

          @out = out.each_with_object(ObjectSpace::WeakMap.new) { |one, map| map[one] = true unless one.equal?(context) }
          @idle.push(context) if context.again?
        end
        context.give_up
      end
      self
    end

    # Waits for the end of all contexts that are out and have been executed. A failure of one is no hindrance.
    #
    # @param timeout [Numeric, nil] seconds for all together
    # @yieldparam context [Context] each of them
    # @yieldparam error [Exception, nil] what came of it; {TimeoutError} if it goes on
    # @return [self] all went well
    # @raise [Exception] the first failure, after all have been told of
    def wait_all(timeout: nil, &told)
      deadline = Deadline.in(timeout)
      each_out(told) do |context|
        next unless (future = context.future)

        future.wait(timeout: left(deadline)) ? future.error : TimeoutError.new("#{context} goes on")
      end
    end

    # {Context#terminate} of all contexts that are out. They have the grace together. The pool stays open.
    #
    # @param grace [Numeric, nil] seconds
    # @yield (see #wait_all)
    # @return [self]
    # @raise [Exception] the first failure, after all have been told of
    def terminate_all(grace: 2, &told)
      deadline = Deadline.in(grace)
      @lock.synchronize { out }.each(&:ask)
      each_out(told, all: true) do |context|
        context.terminate(grace: left(deadline))
        nil
      rescue TimeoutError, DeadlockError => e
        e
      end
    end

    # Nobody gets a context or a place any more; who waits for one gets a {ClosedError}. What runs goes on.
    # @return [self]
    def close
      Wait.undisturbed { @permits.close }
      self
    end

    # @return [Hash{Symbol=>Integer}] max, active, available, waiting and peak of places; out, acquired and reused of
    #   contexts; executed and failed of runs
    def stats
      @permits.stats.merge(@lock.synchronize { { out: out.size, **@counts } })
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{@kind} #{stats}>"
    end

    private

    def made(name, timeout, priority)
      idle = @lock.synchronize { @idle.pop }
      return [idle.lend(timeout, priority), true] if idle

      name ||= "#{@name}-#{@lock.synchronize { @counts[:acquired] } + 1}"
      [Pooled.new(self, @kind, timeout: timeout, priority: priority, permits: @permits, count: method(:count), name: name,
                               **@options), false]
    end

    # Under the lock.
    def out
      @out.keys
    end

    def count(failed)
      @lock.synchronize do
        @counts[:executed] += 1
        @counts[:failed] += 1 if failed
      end
    end

    # For {Future#wait}.
    def left(deadline)
      return 0 unless deadline.wait?

      left = deadline.left
      left == Native::FOREVER ? nil : left / 1e9
    end

    def each_out(told, all: false)
      first = nil
      @lock.synchronize { out }.each do |context|
        next unless all || context.future

        error = yield context
        told&.call(context, error)
        first ||= error
      end
      raise first if first

      self
    end
  end
end
