# frozen_string_literal: true

require_relative "context/places"
require_relative "context/forked"
require_relative "context/isolated"

module Weft
  # Where a block runs, and what became of it: the same few words for a thread, a child process, or right here.
  #
  #   :inline    here, before {#execute} returns; again and again
  #   :thread    on a Ruby thread of its own; once
  #   :task      on a thread of the default {Pool}; once
  #   :fork      in a forked child, which has a copy of everything; once. The value comes back by Marshal
  #   :isolated  on a thread of its own that stays; arguments and value are copied by Marshal; again and again
  #   :ractor    in a Ractor, with what Ractors demand of blocks; once. Where there are none, :isolated
  #   :process   as a call of a {ProcessPool}, whose handler gets what {#execute} is given; again and again
  #
  # What the block raises comes out at {#wait}, whatever the kind.
  #
  # @example
  #   context = Weft::Context.new(:fork)
  #   context.execute(report) { |report| render(report) }
  #   context.wait(timeout: 60)
  class Context
    # @api private
    PLACES = { inline: Inline, thread: OwnThread, task: Task, fork: Forked, isolated: Isolated, ractor: InRactor,
               process: Process }.freeze
    INSTEAD = { fork: :thread, ractor: :isolated }.freeze
    private_constant :PLACES, :INSTEAD

    # @return [Symbol] what it is
    attr_reader :kind

    # @return [Symbol] what was asked for
    attr_reader :asked

    # @return [String, nil]
    attr_reader :name

    @told = {}

    class << self
      # @return [Array<Symbol>] the kinds that there are here
      def kinds
        PLACES.keys.select { |kind| PLACES.fetch(kind).there? }
      end

      # What serves for a kind.
      # @api private
      # @return [Symbol]
      def find(kind, exact)
        place = PLACES.fetch(kind) do
          raise ArgumentError, "kind must be one of #{PLACES.keys.join(', ')}, not #{kind.inspect}"
        end
        return kind if place.there?
        raise UnsupportedError, "there is no #{kind} here" if exact

        INSTEAD.fetch(kind).tap { |instead| tell_once(kind, instead) }
      end

      private

      def tell_once(kind, instead)
        return if @told[kind]

        @told[kind] = true
        $stderr.write("weft: there is no #{kind} here, #{instead} takes its place\n")
      end
    end

    # Nothing is started.
    #
    # @param kind [Symbol] see above
    # @param name [String, nil] of threads, and in messages
    # @param cancel [CancelToken, nil] what its runs go by; nil: what the thread that executes goes by, if anything. A child
    #   gets SIGTERM then
    # @param process_pool [ProcessPool, nil] for :process
    # @param exact [Boolean] whether a kind that there is not is an {UnsupportedError}; else another takes its place, which
    #   {#kind} tells
    def initialize(kind = :thread, name: nil, cancel: nil, process_pool: nil, exact: false)
      raise ArgumentError, "not a CancelToken: #{cancel.inspect}" unless cancel.nil? || cancel.is_a?(CancelToken)
      raise ArgumentError, "process_pool: is for :process, and needed there" if (kind == :process) ^ !process_pool.nil?

      @asked = kind
      @kind = Context.find(kind, exact)
      @name = name
      @cancel = cancel
      @place = PLACES.fetch(@kind).new(name || "weft.#{@kind}", process_pool)
      @lock = ::Mutex.new
      @run = nil
      @closed = false
      @executed = @failed = 0
    end

    # Runs the block there. On failure nothing has run.
    #
    # @param arguments handed to the block; of :process, one: the request, and no block
    # @return [self]
    # @raise [BusyError] it is being executed; or was, and is for one use
    # @raise [ClosedError] it was terminated
    # @raise [SystemError] there is no thread or process to be had
    def execute(*arguments, **keywords, &block)
      raise ArgumentError, "a block, or :process" if block.nil? ^ (@kind == :process)

      Wait.undisturbed { admitted { |run| run.start(arguments, keywords, block) } }
      self
    end

    # Waits for the end of the run, and gives what the block gave; the same each time.
    #
    # @param timeout [Numeric, nil] seconds; nil: for ever; 0: do not wait
    # @return [Object]
    # @raise [Exception] what the block raised
    # @raise [TimeoutError] it goes on
    # @raise [InvalidError] it was never executed
    # @raise [DeadlockError] the run is what calls this
    # @raise [CancelledError] it was asked to stop
    # @raise [DiedError] the child has ended without a value
    def wait(timeout: nil)
      run = @lock.synchronize { @run } or raise InvalidError, "#{self} was never executed"
      raise DeadlockError, "#{self} cannot wait for itself" if run.here?

      run.future.value(timeout: timeout)
    end

    # @return [Boolean] whether a run goes on
    def alive?
      run = @lock.synchronize { @run }
      !run.nil? && !run.over?
    end

    # Ends the context: it is not executed any more, and a run that goes on is asked to stop, by its token; a child by SIGTERM.
    # Then a child is killed; a thread never.
    #
    # @param grace [Numeric, nil] seconds that it has; nil: for ever
    # @return [self] nothing runs any more
    # @raise [TimeoutError] it still runs, and goes on
    # @raise [DeadlockError] the run is what calls this; it has been asked to stop
    def terminate(grace: 2)
      deadline = Deadline.in(grace)
      run = ask
      return self if run.nil? || run.over?
      raise DeadlockError, "#{self} cannot wait for its own end" if run.here?
      return self if run.future.wait(timeout: grace.nil? ? nil : deadline.wait? ? deadline.left / 1e9 : 0)

      raise TimeoutError, "#{self} still runs" unless run.kill

      run.future.wait
      self
    end

    # @return [Hash{Symbol=>Integer}] runs that have begun, and those of them that failed
    def stats
      @lock.synchronize { { executed: @executed, failed: @failed } }
    end

    # @return [String]
    def to_s
      ["#{@kind} context", @name].compact.join(" ")
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{self}#{' alive' if alive?}>"
    end

    # @api private
    # @return [Future, nil] of the last run
    def future
      @lock.synchronize { @run&.future }
    end

    # @api private
    # Whether it may be used again, by others: nobody knows what is left on threads.
    def again?
      @kind == :inline && @lock.synchronize { !@closed && (@run.nil? || @run.over?) }
    end

    # @api private
    # The first half of {#terminate}.
    def ask
      run = @lock.synchronize do
        @closed = true
        @run
      end
      @place.close
      run.future.cancel unless run.nil? || run.over?
      run
    end

    private

    # One executes at a time: whoever comes while a run is being started is told that it is busy.
    def admitted
      before = nil
      run = @lock.synchronize do
        check
        before = @run
        @executed += 1
        @run = @place.run(@cancel || CancelToken.current, method(:over))
      end
      begin
        yield run
      rescue Exception
        @lock.synchronize do
          @run = before
          @executed -= 1
        end
        raise
      end
    end

    # Under the lock: that it may be executed.
    def check
      raise ClosedError, "#{self} was terminated" if @closed
      raise BusyError, "#{self} is being executed" if @run && !@run.over?
      raise BusyError, "#{self} is for one use" if @run && !@place.again?
    end

    def over(failed)
      @lock.synchronize { @failed += 1 } if failed
    end
  end
end
