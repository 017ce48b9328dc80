# frozen_string_literal: true

# Weft.async and the pool of Ruby threads behind it.

require "test_helper"

class PoolTest < WeftTest::Case
  def test_values_and_arguments
    assert_equal 42, Weft.async { 42 }.value
    assert_equal [1, [2, 3]], Weft.async(1, [2, 3]) { |a, b| [a, b] }.value
    assert_nil Weft.async { nil }.value
    assert_raises(ArgumentError) { Weft.async }
    assert_instance_of Weft::Future, Weft.async { 1 }
  end

  def test_blocks_run_on_ruby_threads_and_not_here
    assert_equal "weft.async", Weft.async { Thread.current.name }.value
    refute_same Thread.current, Weft.async { Thread.current }.value
  end

  def fails(depth)
    depth.zero? ? raise(KeyError.new("deep", receiver: self, key: :k)) : fails(depth - 1)
  end

  def test_an_exception_comes_back_with_class_message_and_backtrace
    line = __LINE__ + 1
    error = assert_raises(KeyError) { Weft.async { fails(3) }.value }
    assert_equal ["deep", self, :k], [error.message, error.receiver, error.key]
    assert_equal ["fails"] * 4, error.backtrace_locations.first(4).map(&:base_label)
    assert(error.backtrace.any? { |frame| frame.start_with?("#{__FILE__}:#{line}:") }, error.backtrace.join("\n"))
  end

  def test_what_else_can_end_a_block
    assert_raises(SystemExit) { Weft.async { exit }.value }
    assert_raises(UncaughtThrowError) { Weft.async { throw :ball }.value }
    assert_raises(LocalJumpError) { jump.value }
    assert_equal 5, Weft.async { next 5 }.value
    error = assert_status(Weft::BrokenError) { Weft.async { Thread.exit }.value }
    assert_match(/killed/, error.message)
    assert_equal 1, Weft.async { 1 }.value, "the pool survives"
  end

  def test_blocks_run_at_once
    gate = Weft::Channel.new(capacity: 0)
    futures = Array.new(20) { |i| Weft.async { gate.recv + i } }
    futures.each { gate << 100 }
    assert_equal (100...120).to_a, futures.map(&:value).sort
  end

  def test_threads_are_used_again
    pool = Weft::Pool.new(keep_alive: Float::INFINITY)
    threads = Array.new(100) { pool.async { Thread.current }.value }.uniq
    assert_operator threads.size, :<, 100
    assert_equal [threads.size, 0], [pool.size, pool.queued]
    pool.shutdown
    assert(threads.none?(&:alive?))
  end

  def test_no_more_threads_than_allowed
    pool = Weft::Pool.new(max_threads: 3)
    running = Weft::Channel.new
    gate = Weft::Channel.new(capacity: 0)
    futures = Array.new(10) do |i|
      pool.async do
        running << Thread.current
        gate.recv
        i
      end
    end
    3.times { running.recv }
    assert_equal [3, 0, 7], [pool.size, pool.idle, pool.queued]
    assert_status(Weft::WouldBlockError) { running.recv(timeout: 0) }
    10.times { gate << true }
    assert_equal (0...10).to_a, futures.map(&:value)
    pool.shutdown
    assert_operator pool.size, :zero?
  end

  def test_blocks_that_wait_for_blocks_need_no_threads
    pool = Weft::Pool.new(max_threads: 1)
    nested = ->(depth) { depth.zero? ? 0 : 1 + pool.async { nested[depth - 1] }.value }
    assert_equal 100, pool.async { nested[100] }.value
    assert_equal 1, pool.size
    futures = pool.async { Array.new(20) { |i| pool.async { i } } }.value
    assert_equal (0...20).to_a, pool.async { futures.map { |future| future.wait.value } }.value
  end

  def test_an_idle_thread_leaves
    pool = Weft::Pool.new(keep_alive: 0.01)
    thread = pool.async { Thread.current }.value
    thread.join
    assert_equal [0, 0], [pool.size, pool.idle]
    assert_equal 1, pool.async { 1 }.value
  end

  def test_a_killed_thread_is_replaced
    pool = Weft::Pool.new(max_threads: 1)
    running = Weft::Channel.new(capacity: 0)
    first = pool.async do
      running << Thread.current
      Weft::Channel.new.recv
    end
    victim = running.recv
    second = pool.async { :second }
    assert_equal 1, pool.queued
    victim.kill
    assert_raises(Weft::BrokenError) { first.value }
    assert_equal :second, second.value
  end

  def test_an_idle_thread_that_is_killed_takes_nothing_with_it
    pool = Weft::Pool.new(max_threads: 2, keep_alive: Float::INFINITY)
    200.times do |i|
      victim = pool.async { Thread.current }.value
      future = pool.async { i }
      victim.kill
      begin
        assert_equal i, future.value
      rescue Weft::BrokenError
        # The block ran, or was about to, on the thread that was killed.
      end
      victim.join
    end
    assert_equal :there, pool.async { :there }.value
    pool.shutdown
    assert_equal [0, 0, 0], [pool.size, pool.idle, pool.queued]
  end

  def test_a_thread_that_is_killed_with_a_block_in_hand
    pool = Weft::Pool.new
    future = pool.stub(:take_up, -> { Thread.exit }) { pool.async { flunk }.wait }
    assert_match(/killed/, assert_raises(Weft::BrokenError) { future.value }.message)
    assert_equal 0, pool.queued
    assert_equal 1, pool.async { 1 }.value
    pool.shutdown
  end

  def test_shutdown
    pool = Weft::Pool.new(max_threads: 2)
    gate = Weft::Channel.new
    futures = Array.new(6) { pool.async { gate.recv } }
    assert_raises(Weft::TimeoutError) { pool.shutdown(timeout: 0) }
    assert_raises(Weft::ClosedError) { pool.async { 1 } }
    6.times { |i| gate << i }
    assert_same pool, pool.shutdown
    assert_equal (0...6).to_a, futures.map { |future| future.value(timeout: 0) }.sort, "what was taken is done"
    assert_same pool, pool.shutdown
  end

  def test_shutdown_from_within
    pool = Weft::Pool.new
    assert_status(Weft::DeadlockError) { pool.async { pool.shutdown }.value }
    pool.shutdown
  end

  def test_a_thread_that_cannot_be_started
    pool = Weft::Pool.new
    Thread.stub(:new, ->(*) { raise ThreadError, "no more threads" }) do
      assert_raises(ThreadError) { pool.async { flunk } }
    end
    assert_equal 7, pool.async { 7 }.value
    pool.shutdown
    assert_equal [0, 0, 0], [pool.size, pool.idle, pool.queued]
  end

  def test_bad_options
    [0, -1, 1.5, nil].each { |n| assert_raises(ArgumentError) { Weft::Pool.new(max_threads: n) } }
    [0, -1, "1", Float::NAN].each { |n| assert_raises(ArgumentError) { Weft::Pool.new(keep_alive: n) } }
  end

  def test_a_masked_caller_makes_no_masked_threads
    pool = Weft::Pool.new
    Thread.handle_interrupt(Object => :never) do
      future = pool.async { Timeout.timeout(0.01) { Weft::Channel.new.recv } }
      assert_raises(Timeout::Error) { future.value }
    end
    pool.shutdown
  end

  def test_the_process_ends_although_threads_wait
    output, status = ruby(<<~'RUBY')
      3.times { Weft.async { Weft::Channel.new.recv } }
      3.times { Weft.async { 1 }.value }
      Thread.handle_interrupt(Object => :never) { Weft.async { Weft::Channel.new(capacity: 0) << 1 } }
      puts "end"
    RUBY
    assert_equal "end\n", output
    assert_predicate status, :success?
  end

  private

  def jump
    Weft.async { return }
  end
end
