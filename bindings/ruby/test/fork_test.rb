# frozen_string_literal: true

# In a forked child what was inherited says so, and what is made new works.

require "test_helper"

class ForkTest < WeftTest::Case
  # Runs the block in a forked child; what it returns comes back, exceptions fail the test.
  def in_child
    IO.pipe do |reader, writer|
      pid = fork do
        reader.close
        result = begin
          [:ok, yield]
        rescue Exception => e
          [:error, "#{e.class}: #{e.message}\n#{e.backtrace.join("\n")}"]
        end
        Marshal.dump(result, writer)
        writer.close
        exit!(0)
      end
      writer.close
      kind, result = Marshal.load(reader.read)
      Process.wait(pid)
      assert_predicate $?, :success?
      assert_equal :ok, kind, result
      result
    end
  end

  def test_inherited_objects_say_so
    channel = Weft::Channel.new
    channel << 1
    promise = Weft::Promise.new
    settled = Weft::Promise.new.resolve(1).future
    runtime = Weft::Runtime.new(workers: 1)
    pool = Weft::Pool.new
    pool.async { 1 }.value
    uses = {
      recv: -> { channel.recv }, send: -> { channel << 2 }, each: -> { channel.each { nil } },
      close: -> { channel.close }, closed: -> { channel.closed? }, size: -> { channel.size }, resolve: -> { promise.resolve },
      reject: -> { promise.reject("no") }, value: -> { settled.value }, wait: -> { settled.wait(timeout: 0) },
      state: -> { settled.state }, error: -> { settled.error }, stats: -> { runtime.stats },
      spawn: -> { runtime.run_native(fixture(:square)) }, shutdown: -> { runtime.shutdown },
      async: -> { pool.async { 1 } }
    }
    answers = in_child do
      uses.transform_values do |use|
        use.call
        "nothing"
      rescue Weft::Error => e
        [e.class.name, e.status]
      end
    end
    assert_equal uses.transform_values { ["Weft::ForkedError", 43] }, answers
    in_child { [channel, promise, settled, runtime].each(&:release).size }
    in_child { [channel, promise, settled].map(&:inspect) }
    assert_equal [1, 1], [channel.recv, settled.value], "the parent goes on"
    runtime.shutdown
    pool.shutdown
  end

  def test_new_objects_work
    Weft.async { 1 }.value
    Weft::Runtime.default.run_native(fixture(:on_worker))
    results = in_child do
      channel = Weft::Channel.new(capacity: 1)
      Thread.new { (1..100).each { |i| channel << i } and channel.close }
      number = FFI::MemoryPointer.new(:int64).put_int64(0, 12)
      runtime = Weft::Runtime.new(workers: 2)
      own = runtime.run_native(fixture(:square), number).read_int64
      runtime.shutdown
      default = Weft::Runtime.default.run_native(fixture(:on_worker)).address
      [channel.sum, own, default, Weft.async { Weft.async { 7 }.value }.value, in_child { Weft.async { 8 }.value }]
    end
    assert_equal [5050, 144, 1, 7, 8], results
  end

  def test_forking_while_threads_wait
    empty = Weft::Channel.new
    full = Weft::Channel.new(capacity: 0)
    pending = Weft::Promise.new
    waiting = [waiting { empty.recv }, waiting { full << :there }, waiting { pending.future.value }]
    10.times do
      assert_equal 10, in_child { Array.new(10) { |i| Weft.async { i } }.map(&:value).size }
    end
    empty << :here
    assert_equal :there, full.recv
    pending.resolve(:now)
    assert_equal [:here, full, :now], waiting.map(&:value)
  end

  def test_leaving_a_child_runs_finalisers
    output, status = ruby(<<~'RUBY')
      kept = [Weft::Channel.new << 1, Weft::Promise.new, Weft::Runtime.new(workers: 1), Weft.async { 1 }]
      kept.last.value
      pid = fork { GC.start; kept.size }
      Process.wait(pid)
      p $?.success?
      kept.clear
    RUBY
    assert_equal ["true\n", true], [output, status.success?]
  end

  def test_becoming_a_daemon
    IO.pipe do |reader, writer|
      pid = fork do
        promise = Weft::Promise.new
        Process.daemon(true, true)
        new = Weft.async { 5 }.value
        old = begin
          promise.resolve
        rescue Weft::ForkedError
          :forked
        end
        writer.write("#{new} #{old}")
        exit!(0)
      end
      writer.close
      assert_equal "5 forked", reader.read
      Process.wait(pid)
    end
  end

  def test_after_fork_where_there_was_none
    channel = Weft::Channel.new << 1
    pool = Weft.pool
    assert_nil Weft.after_fork
    assert_equal 1, channel.recv
    assert_same pool, Weft.pool
    in_child do
      fresh = Weft::Channel.new << 2
      Weft.after_fork
      fresh.recv
    end
  end
end
