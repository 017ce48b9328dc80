# frozen_string_literal: true

# What contexts keep to, whatever the kind. The numbers are those of docs/contexts.md.

require "test_helper"

class ContextTest < WeftTest::Case
  class Odd < StandardError; end

  ONCE = %i[thread task fork].freeze
  AGAIN = %i[inline isolated].freeze
  BLOCKS = (ONCE + AGAIN).freeze

  def teardown
    refute Process.wait(-1, Process::WNOHANG)
  rescue Errno::ECHILD
    nil # no child is left
  end

  # Runs a block in a new context of each of these kinds.
  def each_of(kinds)
    kinds.each { |kind| yield Weft::Context.new(kind, name: kind.to_s), kind }
  end

  # 1, 3, 8, 9
  def test_a_block_runs_and_its_value_comes_back
    each_of(BLOCKS) do |context, kind|
      assert_same context, context.execute(6, by: 7) { |a, by:| a * by }
      assert_equal 42, context.wait
      assert_equal [kind, kind, kind.to_s], [context.kind, context.asked, context.name]
      assert_nil Weft::Context.new(kind).execute {}.wait
    end
  end

  # 2
  def test_unknown_kinds
    assert_raises(ArgumentError) { Weft::Context.new(:elsewhere) }
    assert_raises(ArgumentError) { Weft::Context.new(:process) }
    assert_raises(ArgumentError) { Weft::Context.new(:thread, process_pool: 1) }
    assert_raises(ArgumentError) { Weft::Context.new(:thread, cancel: 1) }
    assert_raises(ArgumentError) { Weft::Context.new.execute }
    assert_includes Weft::Context.kinds, :thread
  end

  # 5, 6, 7
  def test_each_kind_runs_where_it_says
    where = -> { [Process.pid, Thread.current.object_id] }
    here = where.call
    at = BLOCKS.to_h { |kind| [kind, Weft::Context.new(kind).execute(&where).wait] }
    assert_equal here, at[:inline]
    %i[thread task isolated].each do |kind|
      assert_equal here.first, at[kind].first
      refute_equal here.last, at[kind].last
    end
    refute_equal here.first, at[:fork].first
  end

  # 10, 11, 12
  def test_failures_come_out_at_the_wait
    each_of(BLOCKS) do |context, kind|
      context.execute { raise Odd, "in #{kind}" }
      2.times do
        error = assert_raises(Odd) { context.wait }
        assert_equal "in #{kind}", error.message
        assert_match(/context_test\.rb/, error.backtrace.first)
      end
      assert_equal({ executed: 1, failed: 1 }, context.stats)
      refute_predicate context, :alive?
    end
  end

  # 14, 15, 16, 17, 19, 20
  def test_states
    each_of(%i[thread task fork isolated]) do |context, kind|
      assert_raises(Weft::InvalidError) { context.wait }
      refute_predicate context, :alive?
      IO.pipe do |reader, writer|
        context.execute { reader.read(1) }
        assert_predicate context, :alive?
        assert_status(Weft::BusyError) { context.execute { flunk } }
        assert_raises(Weft::TimeoutError) { context.wait(timeout: 0) }
        writer.write("x")
        assert_equal %w[x x], [context.wait, context.wait]
        refute_predicate context, :alive?
      end
      if ONCE.include?(kind)
        assert_status(Weft::BusyError) { context.execute { flunk } }
      else
        assert_equal 2, context.execute { 2 }.wait
      end
    end
    inline = Weft::Context.new(:inline)
    assert_equal [1, 2], [inline.execute { 1 }.wait, inline.execute { 2 }.wait]
  end

  def test_a_thread_that_is_killed
    %i[thread task isolated].each do |kind|
      context = Weft::Context.new(kind).execute { Thread.current.kill }
      assert_status(Weft::BrokenError) { context.wait }
    end
    isolated = Weft::Context.new(:isolated).execute { Thread.current.kill }
    isolated.wait rescue nil
    assert_equal 1, isolated.execute { 1 }.wait
  end

  # 18
  def test_of_many_that_execute_one_does
    each_of(%i[thread task fork]) do |context|
      threads = Array.new(8) do |i|
        Thread.new do
          context.execute { i }
          i
        rescue Weft::BusyError
          nil
        end
      end
      winners = threads.map(&:value).compact
      assert_equal [winners.first], winners
      assert_equal winners.first, context.wait
    end
  end

  # 21
  def test_a_wait_is_interrupted_and_the_run_goes_on
    each_of(%i[thread task fork isolated]) do |context|
      IO.pipe do |reader, writer|
        context.execute { reader.read(1) }
        thread = waiting { context.wait }
        thread.kill
        thread.join
        writer.write("y")
        assert_equal "y", context.wait
      end
    end
  end

  # 22
  def test_terminate_kills_a_child
    IO.pipe do |reader, writer|
      context = Weft::Context.new(:fork)
      context.execute do
        trap("TERM", "IGNORE")
        writer.write("x")
        sleep
      end
      reader.read(1)
      assert_same context, context.terminate(grace: 0.01)
      assert_raises(Weft::CancelledError) { context.wait }
      assert_status(Weft::ClosedError) { context.execute { 1 } }
      polite = Weft::Context.new(:fork)
      polite.execute do
        writer.write("y")
        sleep
      ensure
        writer.write("z")
      end
      assert_equal "y", reader.read(1)
      polite.terminate(grace: nil)
      assert_equal "z", reader.read(1)
      assert_raises(Weft::CancelledError) { polite.wait }
    end
  end

  # 14, 23, 25
  def test_terminate_asks_and_threads_stay
    each_of(%i[thread task isolated]) do |context|
      never = Weft::Channel.new
      ready = Thread::Queue.new
      context.execute do
        ready << true
        never.recv
      end.tap { ready.pop } if context.kind != :isolated
      context.execute { Weft.sleep } if context.kind == :isolated
      context.terminate(grace: nil)
      assert_raises(Weft::CancelledError) { context.wait }
      refute_predicate context, :alive?
    end
    each_of(%i[thread task]) do |context|
      IO.pipe do |reader, writer|
        context.execute { reader.read(1) }
        started = context.send(:instance_variable_get, :@run)
        Thread.pass until started.instance_variable_get(:@thread)
        assert_status(Weft::TimeoutError) { context.terminate(grace: 0) }
        assert_predicate context, :alive?
        writer.write("x")
        assert_equal "x", context.wait
        assert_same context, context.terminate
      end
    end
  end

  # 25
  def test_tokens
    each_of(BLOCKS) do |_, kind|
      token = Weft::CancelToken.new
      token.trigger("too late")
      context = Weft::Context.new(kind, cancel: token)
      context.execute { flunk }
      assert_raises(Weft::CancelledError) { context.wait }
    end
    %i[thread task fork isolated].each do |kind|
      token = Weft::CancelToken.new
      context = Weft::Context.new(kind, cancel: token).execute { Weft.sleep }
      token.trigger
      assert_raises(Weft::CancelledError) { context.wait }
      token = Weft::CancelToken.new
      context = token.enter { Weft::Context.new(kind).execute { Weft.sleep } }
      token.trigger
      assert_raises(Weft::CancelledError) { context.wait }
    end
  end

  # 26, 27
  def test_contexts_overlap
    there = Weft::Channel.new(capacity: 0)
    back = Weft::Channel.new(capacity: 0)
    first = Weft::Context.new.execute { there << 1 and back.recv }
    second = Weft::Context.new(:isolated).execute { there.recv.tap { back << 2 } }
    child = Weft::Context.new(:fork).execute { 3 }
    assert_equal [2, 1, 3], [first, second, child].map(&:wait)
  end

  # 28
  def test_a_run_does_not_wait_for_itself
    each_of(%i[inline thread task isolated]) do |context|
      context.execute { context.wait }
      assert_raises(Weft::DeadlockError) { context.wait }
    end
    thread = Weft::Context.new
    thread.execute { thread.terminate }
    assert_raises(Weft::DeadlockError) { thread.wait }
  end

  # 29
  def test_replies_of_any_size
    [0, 1, 65_528, 65_536, 20_000_000].each do |size|
      assert_equal size, Weft::Context.new(:fork).execute { "x" * size }.wait.bytesize
    end
    assert_raises(TypeError) { Weft::Context.new(:fork).execute { -> {} }.wait }
  end

  # 30
  def test_a_child_that_ends_says_how
    error = assert_status(Weft::DiedError) { Weft::Context.new(:fork).execute { Process.kill(:KILL, Process.pid) }.wait }
    assert_equal [9, nil], [error.signal, error.exit_status]
    error = assert_status(Weft::DiedError) { Weft::Context.new(:fork).execute { exit(3) }.wait }
    assert_equal [nil, 3], [error.signal, error.exit_status]
    assert_includes error.message, error.pid.to_s
    assert_status(Weft::DiedError) { Weft::Context.new(:fork).execute { exit! }.wait }
  end

  # 31
  def test_nothing_is_left
    children = Array.new(4) { |i| fork { exit!(i) } }
    GC.start
    before = Dir.children("/proc/self/fd").size
    20.times { |i| assert_equal i, Weft::Context.new(:fork).execute { i }.wait }
    assert_equal (0..3).to_a, children.map { |pid| Process.wait2(pid).last.exitstatus }
    assert_operator Dir.children("/proc/self/fd").size, :<=, before
  end

  def test_isolated_copies
    context = Weft::Context.new(:isolated)
    given = ["a"]
    seen = context.execute(given) { |got| got << "b" }.wait
    assert_equal [["a"], %w[a b]], [given, seen]
    context.execute { Thread.current[:kept] = 5 }.wait
    assert_equal 5, context.execute { Thread.current[:kept] }.wait
    assert_raises(TypeError) { context.execute(-> {}) { 1 } }
    assert_equal 1, context.execute { 1 }.wait
    context.terminate
    assert_status(Weft::ClosedError) { context.execute { 1 } }
  end

  def test_processes
    pool = Weft::ProcessPool.new(workers: 1) { |x| x == :raise ? raise(Odd, "there") : x + 1 }
    context = Weft::Context.new(:process, process_pool: pool)
    assert_equal [2, 3], [context.execute(1).wait, context.execute(2).wait]
    assert_raises(Odd) { context.execute(:raise).wait }
    assert_raises(ArgumentError) { context.execute }
    assert_raises(ArgumentError) { context.execute(1) { 2 } }
    assert_equal({ executed: 3, failed: 1 }, context.stats)
    pool.close
    assert_raises(Weft::Error) { context.execute(1) }
  end

  def test_ractors
    output, status = ruby(<<~'RUBY')
      context = Weft::Context.new(:ractor)
      p context.execute(20) { |x| x + 22 }.wait
      begin
        Weft::Context.new(:ractor).execute { raise ArgumentError, "in a Ractor" }.wait
      rescue ArgumentError => e
        p e.message
      end
      around = Object.new
      begin
        Weft::Context.new(:ractor).execute { around }
      rescue ArgumentError
        p :isolation
      end
    RUBY
    assert_equal ["42", '"in a Ractor"', ":isolation"], output.lines(chomp: true).grep_v(/warning|terminated|from|ArgumentError\)/)
    assert_predicate status, :success?
  end if defined?(Ractor)

  # 32
  def test_kinds_that_there_are_not
    output, status = ruby(<<~'RUBY')
      Process.singleton_class.undef_method(:fork)
      Process.define_singleton_method(:respond_to?) { |name, all = false| name != :fork && super(name, all) }
      Object.send(:remove_const, :Ractor) if defined?(Ractor)
      2.times do
        context = Weft::Context.new(:fork)
        p [context.asked, context.kind, context.execute { Process.pid == $$ }.wait]
      end
      p Weft::Context.new(:ractor).kind
      begin
        Weft::Context.new(:fork, exact: true)
      rescue Weft::UnsupportedError => e
        p e.status
      end
      p Weft::Context.kinds
    RUBY
    assert_equal <<~TEXT, output.lines.sort.join
      22
      :isolated
      [:fork, :thread, true]
      [:fork, :thread, true]
      [:inline, :thread, :task, :isolated, :process]
      weft: there is no fork here, thread takes its place
      weft: there is no ractor here, isolated takes its place
    TEXT
    assert_predicate status, :success?
  end
end
