# frozen_string_literal: true

module Weft
  # Worker threads and the native functions that run on them.
  #
  # Ruby code never runs here: see {Weft.async} for that. Promises, futures and channels need no runtime.
  #
  # A native function is an address: a symbol of a library found with FFI::DynamicLibrary, or an
  # FFI::Function made from one. The memory that its argument points at is kept while an {#async_native} or
  # {#run_native} has not ended; for {#spawn_native} that is up to the caller.
  #
  # @example
  #   library = FFI::DynamicLibrary.open("libresize.so", FFI::DynamicLibrary::RTLD_NOW)
  #   resize = library.find_function("resize")   # weft_status resize(weft_worker *, void *arg, void **result)
  #   runtime = Weft::Runtime.new(workers: 4)
  #   futures = images.map { |image| runtime.async_native(resize, image) }
  #   futures.each(&:value)
  #   runtime.shutdown
  class Runtime
    # Stands for the default runtime's handle: the library has it, and knows it as NULL.
    class NoHandle
      def use
        yield nil
      end

      def release; end

      def released?
        false
      end
    end
    private_constant :NoHandle

    # Memory of the functions that are told of stalls: kept for good.
    STALL_ARGUMENTS = []
    private_constant :STALL_ARGUMENTS

    class << self
      # @return [Runtime] the process-wide runtime, started when it is first used
      def default
        @default ||= Default.new
      end

      # Sets the options of the default runtime, before its first use. Takes what {#initialize} takes.
      # @return [nil]
      # @raise [BusyError] it runs already
      def configure_default(**options)
        with_options(**options) { |native| Error.check(Native.weft_runtime_configure_default(native)) }
      end

      # @api private
      # @yieldparam options [Native::RuntimeOptions] valid until the block ends
      def with_options(name: nil, workers: nil, max_threads: nil, stack_size: nil, keep_alive: nil,
                       placement: nil, kind: nil, on_stall: nil, on_stall_argument: nil)
        options = Native::RuntimeOptions.new
        Error.check(Native.weft_runtime_options_init(options, options.size))
        name = Native.c_string(name)
        options[:name] = name if name
        options[:workers] = workers if workers
        options[:max_threads] = max_threads if max_threads
        options[:stack_size] = not_negative(:stack_size, stack_size) if stack_size
        # 0 is the library's word for "the default"; here it means none at all.
        options[:keep_alive_ns] = [Deadline.nanoseconds(not_negative(:keep_alive, keep_alive)), 1].max if keep_alive
        options[:placement] = placement_number(placement) if placement
        options[:kind] = kind_number(kind) if kind
        options[:on_stall] = NativeFunction.pointer(on_stall) if on_stall
        options[:hook_arg] = NativeFunction.argument(on_stall_argument)
        # A runtime may outlive every Ruby object that knows of it, and a stall the runtime's shutdown.
        STALL_ARGUMENTS.push(on_stall_argument) if on_stall_argument
        yield options
      end

      private

      def kind_number(kind)
        Native::KINDS.fetch(kind) do
          raise ArgumentError, "kind must be :multi, :single, :hosted or :auto, not #{kind.inspect}"
        end
      end

      def placement_number(placement)
        Native::PLACEMENTS.fetch(placement) do
          raise ArgumentError, "placement must be :none, :compact or :scatter, not #{placement.inspect}"
        end
      end

      def not_negative(name, number)
        raise ArgumentError, "#{name} must not be negative" if number.negative?

        number
      end
    end

    # @param name [String, nil] prefix of the workers' thread names
    # @param workers [Integer, nil] threads that run at once; nil: as many as there are CPUs for this process
    # @param max_threads [Integer, nil] limit of running and waiting threads together
    # @param stack_size [Integer, nil] bytes of a worker's stack
    # @param keep_alive [Numeric, nil] seconds that a spare thread stays; Float::INFINITY: for ever
    # @param placement [:none, :compact, :scatter, nil] whether threads are bound to CPUs, side by side or far apart
    # @param kind [:multi, :single, :hosted, :auto, nil] whose threads run the native functions: the runtime's own, the one
    #   that calls {#run}, those that call {#lend}; :auto is :single where one thread is enough, else :multi
    # @param on_stall [FFI::Pointer, nil] void function(const weft_stall *stall, void *arg), told on a thread of the
    #   library's when functions are queued and every worker is blocked. Ruby code learns of stalls from {Log} and {#stats}
    # @param on_stall_argument [FFI::Pointer, #to_ptr, nil] arg; kept for good
    # @raise [InvalidError] the library's message says which option is wrong
    def initialize(**options)
      Wait.undisturbed do
        pointer = self.class.with_options(**options) do |native|
          Native.make { |out| Native.weft_runtime_new(native, out) }
        end
        @handle = Handle.new(pointer, Native.method(:weft_runtime_release))
      end
    end

    # Starts a native function on a worker and forgets it.
    #
    # @param function [FFI::Pointer] void function(weft_worker *worker, void *arg)
    # @param argument [FFI::Pointer, #to_ptr, nil] arg; its memory must stay until the function has ended
    # @param name [String, nil] of the task, for messages
    # @param priority [:low, :normal, :high, :critical] what comes first
    # @param cancel [CancelToken, nil] what the function goes by; nil: what the calling thread goes by, if anything
    # @param after [Future, Array<Future>] the function is queued when these are settled, whatever their outcome
    # @return [self]
    # @raise [ArgumentError] the function is Ruby code
    # @raise [ShutdownError] the runtime is shut down
    def spawn_native(function, argument = nil, **how)
      function = NativeFunction.pointer(function)
      argument = NativeFunction.argument(argument)
      with_spawn_options(**how) do |options|
        @handle.use { |runtime| Error.check(Native.weft_spawn_with(runtime, function, argument, options)) }
      end
      self
    end

    # Starts a native function on a worker.
    #
    # @param function [FFI::Pointer] weft_status function(weft_worker *worker, void *arg, void **result)
    # @param argument [FFI::Pointer, #to_ptr, nil] arg; kept until the function has ended
    # @param name [String, nil] of the task, for messages
    # @param priority [:low, :normal, :high, :critical] what comes first
    # @param cancel [CancelToken, nil] what the function goes by; nil: what the calling thread goes by, if anything
    # @param after [Future, Array<Future>] the function is queued when these are settled, whatever their outcome
    # @return [Future] the result as an FFI::Pointer; or an {Error} with the function's status and message
    # @raise [ArgumentError] the function is Ruby code
    # @raise [ShutdownError] the runtime is shut down
    def async_native(function, argument = nil, **how)
      function = NativeFunction.pointer(function)
      pointer = NativeFunction.argument(argument)
      Wait.undisturbed do
        future = with_spawn_options(**how) do |options|
          @handle.use do |runtime|
            Native.make { |out| Native.weft_async(runtime, function, pointer, options, out) }
          end
        end
        Future.new(future, keep: argument).tap { |made| InFlight.add(made) if argument }
      end
    end

    # Runs a native function on a worker and waits for its result. An interrupt ends the wait at once; the
    # function goes on and its argument is kept until it has ended.
    #
    # @param (see #async_native)
    # @return [FFI::Pointer] the result
    # @raise [Error] the function's status and message
    # @raise [ArgumentError] the function is Ruby code
    def run_native(function, argument = nil, **how)
      async_native(function, argument, **how).value
    end

    # Ends the runtime: new work is refused from now on, what is queued is done or dropped, the threads go.
    #
    # @param mode [:drain, :discard] do what is queued, or drop what can be dropped
    # @param timeout [Numeric, nil] seconds to wait for the end; nil: for ever; 0: do not wait
    # @return [self] all threads are gone
    # @raise [TimeoutError] they are not yet; the end goes on in the background. {WouldBlockError} with 0
    def shutdown(mode: :drain, timeout: nil)
      mode = Native::SHUTDOWN_MODES.fetch(mode) do
        raise ArgumentError, "mode must be :drain or :discard, not #{mode.inspect}"
      end
      deadline = Deadline.in(timeout)
      status = @handle.use do |runtime|
        Wait.call(deadline) { |native, left| native.weft_runtime_shutdown(runtime, mode, left) }
      end
      Error.check(status)
      self
    end

    # Makes the calling thread the worker of a single runtime. Other Ruby threads run meanwhile, and interrupt it while it waits.
    #
    # @param mode [:until_idle, :one_step, :until_shutdown] until nothing is left to run, one function, until the runtime ends
    # @return [Boolean] false: there was nothing to run for :one_step
    # @raise [BusyError] another thread is its worker
    # @raise [UnsupportedError] the runtime is of another kind
    def run(mode = :until_idle)
      mode = Native::RUN_MODES.fetch(mode) do
        raise ArgumentError, "mode must be :until_idle, :one_step or :until_shutdown, not #{mode.inspect}"
      end
      visit(Deadline.in(nil)) { |runtime, _left| Native::Blocking.weft_runtime_run(runtime, mode) }
    end

    # Lends the calling thread to a hosted runtime. Other Ruby threads run meanwhile, and interrupt it while it waits.
    #
    # @param timeout [Numeric, nil] seconds; nil: until the runtime ends; 0: as long as there is something to run
    # @return [Boolean] whether the runtime has ended
    # @raise [BusyError] all seats are taken
    # @raise [UnsupportedError] the runtime is of another kind
    def lend(timeout: nil)
      visit(Deadline.in(timeout)) { |runtime, left| Native::Blocking.weft_runtime_lend(runtime, left) }
    end

    # Changes how many threads run at once.
    # @return [self]
    # @raise [InvalidError] below 1, or above max_threads
    def resize(workers)
      @handle.use { |runtime| Error.check(Native.weft_runtime_resize(runtime, workers)) }
      self
    end

    # @return [:multi, :single, :hosted] whose threads run the native functions
    def kind
      Native::KINDS.key(@handle.use { |runtime| Native.weft_runtime_kind(runtime) })
    end

    # @return [Integer] how many threads run at once
    def workers
      stats[:workers]
    end

    # @return [Hash{Symbol=>Integer, Hash}] counters; see weft_runtime_stats in weft.h for what they count. Those of the
    #   lanes are in a hash for each priority (:low to :critical), under :lanes
    def stats
      stats = Native::RuntimeStats.new
      stats[:size] = stats.size
      @handle.use { |runtime| Error.check(Native.weft_runtime_stats_get(runtime, stats)) }
      lanes = Native::PRIORITIES.keys.zip(stats[:lanes].map { |lane| lane.members.zip(lane.values).to_h }).to_h
      (stats.members - [:size]).to_h { |name| [name, stats[name]] }.merge(lanes: lanes)
    end

    # @return [Array<Hash{Symbol=>Integer}>] the same for each worker, by number; see weft_worker_stats in weft.h
    def worker_stats
      @handle.use do |runtime|
        (0..).lazy.map { |index| stats_of_worker(runtime, index) }.take_while(&:itself).to_a
      end
    end

    # Reads again which CPUs this process may use, and has threads that are bound to CPUs move accordingly.
    # @return [self]
    def refresh_topology
      @handle.use { |runtime| Error.check(Native.weft_topology_refresh(runtime)) }
      self
    end

    # Gives the runtime up now instead of when it is collected. Without a {#shutdown} before, what is queued
    # and can be dropped is dropped. Using it afterwards raises {ReleasedError}.
    # @return [nil]
    def release
      @handle.release
      nil
    end

    # @return [String]
    def inspect
      "#<#{self.class}#{' released' if @handle.released?}>"
    end

    private

    # The thread works for the runtime; false when it has left without an end.
    def visit(deadline)
      status = @handle.use { |runtime| Wait.released(deadline) { |left| yield(runtime, left) } }
      return false if [Native::WOULD_BLOCK, Native::TIMEOUT].include?(status)

      Error.check(status)
      true
    end

    def stats_of_worker(runtime, index)
      stats = Native::WorkerStats.new
      stats[:size] = stats.size
      Error.check(Native.weft_runtime_worker_stats_get(runtime, index, stats))
      (stats.members - [:size]).to_h { |name| [name, stats[name]] }
    rescue NotFoundError
      nil
    end

    def with_spawn_options(name: nil, priority: :normal, cancel: nil, after: [])
      number = Native::PRIORITIES.fetch(priority) do
        raise ArgumentError, "priority must be :low, :normal, :high or :critical, not #{priority.inspect}"
      end
      after = Array(after)
      return yield(nil) unless name || number != 0 || cancel || !after.empty?

      options = Native::SpawnOptions.new
      Error.check(Native.weft_spawn_options_init(options, options.size))
      name = name && Native.c_string(name)
      options[:name] = name
      options[:priority] = number
      CancelToken.pointer(cancel) do |token|
        options[:cancel] = token
        Future.references(after) do |array|
          options[:after] = array
          options[:after_len] = after.size
          yield options
        end
      end
    end

    # The process-wide runtime.
    class Default < Runtime
      def initialize # rather than making one
        @handle = NoHandle.new
      end
    end
    private_constant :Default
  end
end
