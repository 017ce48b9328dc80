# frozen_string_literal: true

# Runtimes: their options, what they count, how they end, and native functions on their workers.

require "test_helper"

class RuntimeTest < WeftTest::Case
  OF_WORKERS = %i[spawned executed discarded panicked shared local_hits steals remote_steals failed_steals parks wakes
                  blocks busy_ns idle_ns blocked_ns].freeze
  COUNTERS = [*%i[workers threads threads_peak active idle blocked], *OF_WORKERS,
              *%i[ceiling_hits spares_started spares_retired start_failures pin_failures stalls replaced queued]].freeze

  def setup
    @runtime = Weft::Runtime.new(name: "ruby-test", workers: 2)
  end

  def teardown
    @runtime.shutdown
  rescue Weft::ReleasedError
    nil
  end

  def number(value)
    FFI::MemoryPointer.new(:int64).put_int64(0, value)
  end

  def test_options
    runtime = Weft::Runtime.new(name: "all", workers: 3, max_threads: 5, stack_size: 128 * 1024, keep_alive: 0.5)
    assert_equal 3, runtime.workers
    runtime.shutdown
    [0, 0.001, Float::INFINITY].each { |keep_alive| Weft::Runtime.new(workers: 1, keep_alive: keep_alive).shutdown }
    assert_operator Weft::Runtime.new.workers, :>=, 1
  end

  def test_wrong_options
    assert_status(Weft::InvalidError) { Weft::Runtime.new(workers: -1) }
    assert_status(Weft::InvalidError) { Weft::Runtime.new(workers: 4, max_threads: 2) }
    assert_status(Weft::InvalidError) { Weft::Runtime.new(stack_size: 1) }
    assert_raises(ArgumentError) { Weft::Runtime.new(keep_alive: -1) }
    assert_raises(ArgumentError) { Weft::Runtime.new(stack_size: -1) }
    assert_raises(ArgumentError) { Weft::Runtime.new(threads: 4) }
    assert_raises(RangeError) { Weft::Runtime.new(workers: 2**40) }
    assert_raises(TypeError) { Weft::Runtime.new(workers: "2") }
  end

  def test_stats
    assert_equal COUNTERS + [:lanes], @runtime.stats.keys
    100.times { @runtime.run_native(fixture(:square), number(2)) }
    @runtime.shutdown
    stats = @runtime.stats
    assert_equal [2, 100, 100], stats.values_at(:workers, :spawned, :executed)
    assert(stats.values_at(*COUNTERS).all? { |count| count.is_a?(Integer) && count >= 0 })
  end

  def test_stats_of_lanes
    memory = number(0)
    counts = { low: 3, normal: 0, high: 2, critical: 1 }
    counts.each { |priority, count| count.times { @runtime.spawn_native(fixture(:count), memory, priority: priority) } }
    @runtime.shutdown
    lanes = @runtime.stats[:lanes]
    assert_equal counts, lanes.transform_values { |lane| lane[:taken] }
    lanes.each_value { |lane| assert_equal [%i[queued peak taken waited_ns], 0], [lane.keys, lane[:queued]] }
    assert_equal 0, lanes[:normal][:waited_ns]
  end

  def test_worker_stats
    100.times { @runtime.run_native(fixture(:square), number(2)) }
    @runtime.shutdown
    workers = @runtime.worker_stats
    assert_includes 1..2, workers.size
    workers.each do |worker|
      assert_equal [%i[cpu node] + OF_WORKERS, -1, 0], [worker.keys, worker[:cpu], worker[:node]]
    end
    totals = @runtime.stats
    (OF_WORKERS - [:spawned]).each { |name| assert_equal totals[name], workers.sum { |worker| worker[name] }, name }
  end

  def test_placement
    %i[compact scatter].each do |placement|
      runtime = Weft::Runtime.new(workers: 1, placement: placement)
      runtime.run_native(fixture(:square), number(2))
      assert_operator runtime.worker_stats.first[:cpu], :>=, 0
      assert_same runtime, runtime.refresh_topology
      runtime.shutdown
      assert_equal 0, runtime.stats[:pin_failures]
    end
    Weft::Runtime.new(workers: 1, placement: :none).shutdown
    assert_raises(ArgumentError) { Weft::Runtime.new(placement: :everywhere) }
  end

  def test_single
    runtime = Weft::Runtime.new(kind: :single)
    assert_equal [:single, 1, false], [runtime.kind, runtime.workers, runtime.run(:one_step)]
    future = runtime.async_native(fixture(:square), number(7))
    assert_equal :pending, future.state
    assert runtime.run
    assert_equal 49, future.value.read_int64
    assert_status(Weft::UnsupportedError) { runtime.lend }
    assert_raises(ArgumentError) { runtime.run(:for_ever) }
    worker = waiting { runtime.run(:until_shutdown) }
    worker.raise("out")
    assert_equal "out", assert_raises(RuntimeError) { worker.value }.message
    worker = waiting { runtime.run(:until_shutdown) }
    assert_equal 16, runtime.run_native(fixture(:square), number(4)).read_int64
    runtime.shutdown
    assert worker.value
  end

  def test_hosted
    runtime = Weft::Runtime.new(kind: :hosted, workers: 2)
    assert_equal [false, false], [runtime.lend(timeout: 0), runtime.lend(timeout: 0.001)]
    lenders = Array.new(2) { waiting { runtime.lend } }
    results = Array.new(100) { |i| runtime.async_native(fixture(:square), number(i)) }
    assert_equal((0...100).map { |i| i * i }, results.map { |result| result.value.read_int64 })
    lenders.first.kill.join
    runtime.shutdown
    assert lenders.last.value
    assert_equal [:hosted, 0], [runtime.kind, runtime.stats[:threads]]
    assert_raises(ArgumentError) { Weft::Runtime.new(kind: :guest) }
  end

  def test_resize
    assert_same @runtime, @runtime.resize(3)
    assert_equal [:multi, 3], [@runtime.kind, @runtime.workers]
    assert_status(Weft::InvalidError) { @runtime.resize(0) }
    assert_status(Weft::UnsupportedError) { @runtime.run }
  end

  def test_optimal_worker_count
    cpus = Weft.optimal_worker_count
    assert_operator cpus, :>=, 1
    assert_equal [cpus, 2 * cpus, (1.5 * cpus).ceil], %i[cpu io mixed].map { |load| Weft.optimal_worker_count(load) }
    assert_raises(ArgumentError) { Weft.optimal_worker_count(:gpu) }
  end

  def test_async_native
    arguments = Array.new(500) { |i| number(i) }
    futures = arguments.map { |argument| @runtime.async_native(fixture(:square), argument, name: "square") }
    assert_equal((0...500).map { |i| i * i }, futures.map { |future| future.value.read_int64 })
    assert_equal arguments, futures.map(&:value), "the result is the pointer that the function gave"
  end

  def test_native_functions_run_on_workers
    assert_equal 1, @runtime.run_native(fixture(:on_worker)).address
    assert_equal 1, Weft::Runtime.default.run_native(fixture(:on_worker)).address
  end

  def test_native_failures
    future = @runtime.async_native(fixture(:fail), name: "doomed")
    error = assert_raises(Weft::FailedError) { future.value }
    assert_equal [Weft::FailedError::STATUS, "this function always fails"], [error.status, error.message]
    assert_match(/doomed/, error.origin)
    assert_nil error.native_backtrace, "there is one for panics of Rust only"
    assert_equal :failed, future.state
    assert_equal error.message, future.error.message
    [Weft::TimeoutError, Weft::DiedError, Weft::ProtocolError].each do |error_class|
      status = FFI::MemoryPointer.new(:int32).put_int32(0, error_class::STATUS)
      assert_equal error_class, assert_raises(Weft::Error) { @runtime.run_native(fixture(:status), status) }.class
    end
    unknown = FFI::MemoryPointer.new(:int32).put_int32(0, 12_345)
    assert_kind_of Weft::Error, assert_raises(Weft::Error) { @runtime.run_native(fixture(:status), unknown) }
  end

  def test_spawn_native
    memory = number(0)
    1000.times { assert_same @runtime, @runtime.spawn_native(fixture(:count), memory, name: "count") }
    %i[low normal high critical].each do |priority|
      @runtime.spawn_native(fixture(:count), memory, priority: priority)
      @runtime.async_native(fixture(:square), number(3), priority: priority).value
    end
    assert_raises(ArgumentError) { @runtime.spawn_native(fixture(:count), memory, priority: 1) }
    @runtime.shutdown
    assert_equal 1004, memory.read_int64
  end

  def test_native_functions_after_others
    memory = number(0)
    promise = Weft::Promise.new
    failed = Weft::Promise.new
    @runtime.resize(1)
    square = @runtime.async_native(fixture(:square), number(3), after: [promise.future, failed.future])
    @runtime.spawn_native(fixture(:count), memory, after: square)
    promise.resolve
    @runtime.run_native(fixture(:square), number(1))
    assert_equal [:pending, 0], [square.state, memory.read_int64]
    failed.reject("outcomes do not matter")
    assert_equal 9, square.value.read_int64
    @runtime.shutdown
    assert_equal 1, memory.read_int64
    assert_raises(ArgumentError) { @runtime.spawn_native(fixture(:count), memory, after: [square, 1]) }
    square.release
    assert_raises(Weft::ReleasedError) { @runtime.spawn_native(fixture(:count), memory, after: square) }
  end

  def test_stalls
    IO.pipe do |reader, writer|
      told = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([writer.fileno, 0])
      runtime = Weft::Runtime.new(workers: 1, max_threads: 1, on_stall: fixture(:relieve), on_stall_argument: told)
      memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([reader.fileno, 0])
      # While the one blocks, the other is queued; whoever is told of that lets it go on.
      blocked = Array.new(2) { runtime.async_native(fixture(:block), memory) }
      assert_equal 1, blocked.first.value.address
      assert_operator told.get_int64(8), :>=, 1
      assert_operator runtime.stats[:stalls], :>=, 1
      writer.write("\1")
      runtime.shutdown
    end
    assert_raises(ArgumentError) { Weft::Runtime.new(on_stall: proc {}) }
  end

  def test_waiting_for_a_native_function
    IO.pipe do |reader, writer|
      memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([reader.fileno, 0])
      future = @runtime.async_native(fixture(:read), memory)
      assert_nil future.wait(timeout: 0)
      assert_raises(Weft::TimeoutError) { future.value(timeout: 0.01) }
      waiter = waiting { future.value.address }
      writer.write("\x07")
      assert_equal [7, 7], [waiter.value, memory.get_int64(8)]
    end
  end

  def test_the_default_option_struct
    argument = Class.new(FFI::Struct) { layout :value, :int64 }.new
    argument[:value] = -9
    assert_equal 81, @runtime.run_native(fixture(:square), argument).read_int64
    assert_equal 81, argument[:value]
  end

  def test_ruby_code_is_refused
    trampoline = FFI::Function.new(:int32, %i[pointer pointer pointer]) { flunk }
    again = FFI::Function.new(:int32, %i[pointer pointer pointer], trampoline)
    [-> {}, proc {}, method(:flunk), :symbol, 4711, "text", nil, trampoline, again].each do |function|
      %i[spawn_native async_native run_native].each do |name|
        error = assert_raises(ArgumentError) { @runtime.public_send(name, function) }
        assert_match(/Weft\.async/, error.message)
      end
    end
    assert_raises(ArgumentError) { @runtime.run_native(FFI::Pointer::NULL) }
    assert_match(/data/, assert_raises(ArgumentError) { @runtime.run_native(number(1)) }.message)
    assert_equal 0, @runtime.stats[:spawned]
  end

  def test_a_native_function_in_an_ffi_function
    square = FFI::Function.new(:int32, %i[pointer pointer pointer], fixture(:square))
    assert_equal 16, @runtime.run_native(square, number(4)).read_int64
  end

  def test_arguments_that_have_no_fixed_place
    ["text", 1, Object.new, FFI::Buffer.new(8)].each do |argument|
      assert_raises(ArgumentError) { @runtime.async_native(fixture(:square), argument) }
      assert_raises(ArgumentError) { @runtime.spawn_native(fixture(:count), argument) }
    end
  end

  def test_arguments_live_as_long_as_the_function
    IO.pipe do |reader, writer|
      in_flight = Weft.const_get(:InFlight).instance_variable_get(:@futures)
      apart do
        memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([reader.fileno, 0])
        thread = waiting { @runtime.run_native(fixture(:read), memory) }
        Thread.pass until in_flight.any? { |future| future.instance_variable_get(:@keep).equal?(memory) }
        thread.kill.join
      end
      5.times { GC.start }
      memory = in_flight.last.instance_variable_get(:@keep)
      assert_equal [reader.fileno, 0], memory.read_array_of_int64(2)
      writer.write("\x05")
      @runtime.shutdown
      assert_equal 5, memory.get_int64(8)
      # Other tests may have left a long list: it is looked through when it has grown to @look_at.
      calls = Weft.const_get(:InFlight).instance_variable_get(:@look_at) + 64
      calls.times { Weft::Runtime.default.run_native(fixture(:square), number(1)) }
      assert_operator in_flight.size, :<=, 129, "what has ended is let go"
    end
  end

  # The library's object is collected while one of its functions runs, and again others are running when the process
  # ends.
  def test_the_code_of_a_running_function_stays
    output, status = ruby(<<~'RUBY', ENV.fetch("WEFT_FIXTURE"))
      reader, writer = IO.pipe
      memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([reader.fileno, 0])
      runtime = Weft::Runtime.new(workers: 2)
      start = lambda do
        library = FFI::DynamicLibrary.open(ARGV.first, FFI::DynamicLibrary::RTLD_NOW)
        runtime.async_native(library.find_function("fixture_read"), memory)
      end
      future = Thread.new(&start).value
      4.times { GC.start }
      puts File.read("/proc/self/maps").include?(ARGV.first)
      writer.write("\3")
      puts future.value.address
      2.times { start.call }
    RUBY
    assert_equal ["true\n3\n", true], [output, status.success?]
  end

  def test_shutdown
    IO.pipe do |reader, writer|
      memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([reader.fileno, 0])
      @runtime.async_native(fixture(:read), memory)
      assert_status(Weft::WouldBlockError) { @runtime.shutdown(timeout: 0) }
      assert_status(Weft::TimeoutError) { @runtime.shutdown(timeout: 0.01) }
      assert_status(Weft::ShutdownError) { @runtime.spawn_native(fixture(:count), memory) }
      assert_status(Weft::ShutdownError) { @runtime.run_native(fixture(:square), memory) }
      waiter = waiting { @runtime.shutdown(mode: :discard) }
      writer.write("\1")
      assert_same @runtime, waiter.value
      assert_same @runtime, @runtime.shutdown
    end
    assert_raises(ArgumentError) { @runtime.shutdown(mode: :gently) }
  end

  def test_release
    runtime = Weft::Runtime.new(workers: 1)
    assert_equal "#<Weft::Runtime>", runtime.inspect
    runtime.release
    assert_nil runtime.release
    assert_raises(Weft::ReleasedError) { runtime.stats }
    assert_raises(Weft::ReleasedError) { runtime.run_native(fixture(:square), number(1)) }
    assert_equal "#<Weft::Runtime released>", runtime.inspect
  end

  def test_the_default_runtime
    assert_same Weft::Runtime.default, Weft::Runtime.default
    assert_equal 9, Weft::Runtime.default.run_native(fixture(:square), number(3)).read_int64
    assert_status(Weft::BusyError) { Weft::Runtime.configure_default(workers: 1) }
    Weft::Runtime.default.shutdown
    assert_nil Weft::Runtime.configure_default(workers: 1)
    assert_equal 1, Weft::Runtime.default.workers
    assert_nil Weft::Runtime.default.release
    assert_equal 4, Weft::Runtime.default.run_native(fixture(:square), number(2)).read_int64
  end
end
