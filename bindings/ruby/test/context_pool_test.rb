# frozen_string_literal: true

# Pools of contexts: that the limit holds, for whom a place is, and what all of them can be asked.

require "test_helper"

class ContextPoolTest < WeftTest::Case
  # Runs that stay until they are let go.
  class Held
    def initialize
      @begun = Thread::Queue.new
      @gate = Thread::Queue.new
    end

    def block
      lambda do |name = nil|
        @begun << name
        @gate.pop
        name
      end
    end

    def begun
      @begun.pop
    end

    def let_go(count = 1)
      count.times { @gate << true }
    end
  end

  def test_names_and_a_place
    pool = Weft::ContextPool.new(:thread, name: "job")
    first = pool.acquire
    assert_equal ["job-1", :thread], [first.name, first.kind]
    assert_equal "mine", pool.acquire(name: "mine").name
    assert_equal 3, first.execute { 3 }.wait
    assert_equal 0, pool.stats[:active]
  end

  def test_a_hundred_contexts_of_a_pool_of_ten
    pool = Weft::ContextPool.new(:thread, max: 10)
    most = Thread::Queue.new
    contexts = Array.new(100) { pool.acquire }
    assert_equal [100, 0, 10], pool.stats.values_at(:out, :active, :available)
    runner = Thread.new { contexts.each_with_index { |context, i| context.execute { most << pool.stats[:active] and i } } }
    runner.join
    pool.wait_all
    assert_equal (0...100).to_a, contexts.map(&:wait)
    assert_operator Array.new(100) { most.pop }.max, :<=, 10
    stats = pool.stats
    assert_operator stats[:peak], :<=, 10
    assert_equal [0, 100, 100, 0], stats.values_at(:active, :acquired, :executed, :failed)
  end

  def test_children_have_places
    pool = Weft::ContextPool.new(:fork, max: 2)
    contexts = Array.new(6) { |i| pool.acquire.execute { i } }
    assert_equal (0...6).to_a, contexts.map(&:wait)
    assert_equal [2, 6, 0], [pool.stats[:max], pool.stats[:executed], pool.stats[:active]]
    assert_operator pool.stats[:peak], :<=, 2
  end

  def test_defaults_by_kind
    defaults = { thread: 5, task: 5, isolated: 4, fork: 2, inline: 1 }
    assert_equal defaults, defaults.to_h { |kind, _| [kind, Weft::ContextPool.new(kind).stats[:max]] }
  end

  def test_a_strict_acquire_takes_a_place
    pool = Weft::ContextPool.new(:thread, max: 1)
    held = pool.acquire(strict: true)
    assert_equal [1, 0], pool.stats.values_at(:active, :available)
    assert_status(Weft::WouldBlockError) { pool.acquire(strict: true, timeout: 0) }
    assert_raises(Weft::TimeoutError) { pool.acquire(strict: true, timeout: 0.01) }
    waiter = Thread.new { pool.acquire(strict: true) }
    Thread.pass until pool.stats[:waiting] == 1
    pool.put(held)
    second = waiter.value
    assert_equal 7, second.execute { 7 }.wait
    assert_equal [0, 0], pool.stats.values_at(:active, :waiting)
    assert_status(Weft::InvalidError) { pool.put(held) }
    assert_raises(Weft::InvalidError) { pool.put(Weft::Context.new) }
    assert_raises(Weft::InvalidError) { Weft::ContextPool.new.put(second) }
  end

  def test_an_execute_that_may_not_wait
    pool = Weft::ContextPool.new(:thread, max: 1)
    held = Held.new
    pool.acquire.execute(&held.block)
    late = pool.acquire(timeout: 0)
    assert_status(Weft::WouldBlockError) { late.execute { flunk } }
    held.begun
    held.let_go
    pool.wait_all
    assert_equal 1, late.execute { 1 }.wait
    assert_raises(Weft::BusyError) { late.execute { flunk } }
    assert_equal 0, pool.stats[:active]
  end

  def test_places_go_by_priority_and_then_by_coming
    pool = Weft::ContextPool.new(:thread, max: 1)
    held = Held.new
    pool.acquire.execute(:first, &held.block)
    held.begun
    wishes = { a: :low, b: :normal, c: :critical, d: :normal, e: :high }
    threads = wishes.each_with_index.map do |(name, priority), i|
      thread = Thread.new { pool.acquire(priority: priority).execute(name, &held.block) }
      Thread.pass until pool.stats[:waiting] == i + 1
      thread
    end
    order = Array.new(5) do
      held.let_go
      held.begun
    end
    held.let_go
    threads.each { |thread| thread.value.wait }
    assert_equal %i[c e b d a], order
    assert_raises(ArgumentError) { pool.acquire(priority: :urgent) }
  end

  def test_waits_for_a_place_end
    pool = Weft::ContextPool.new(:thread, max: 1)
    place = pool.acquire(strict: true)
    waiter = Thread.new { pool.acquire.execute { flunk } }
    Thread.pass until pool.stats[:waiting] == 1
    waiter.kill
    waiter.join
    assert_equal 0, pool.stats[:waiting]
    token = Weft::CancelToken.new
    waiter = Thread.new do
      Thread.current.report_on_exception = false
      token.enter { pool.acquire.execute { flunk } }
    end
    Thread.pass until pool.stats[:waiting] == 1
    token.trigger
    assert_raises(Weft::CancelledError) { waiter.value }
    waiter = Thread.new do
      Thread.current.report_on_exception = false
      pool.acquire(strict: true)
    end
    Thread.pass until pool.stats[:waiting] == 1
    pool.close
    assert_raises(Weft::ClosedError) { waiter.value }
    assert_raises(Weft::ClosedError) { pool.acquire }
    assert_equal 2, place.execute { 2 }.wait
    assert_equal 0, pool.stats[:active]
  end

  def test_wait_all_goes_on_after_failures
    pool = Weft::ContextPool.new(:thread)
    contexts = Array.new(4) { |i| pool.acquire.execute { i.odd? ? raise(KeyError, i.to_s) : i } }
    idle = pool.acquire
    told = {}
    error = assert_raises(KeyError) { pool.wait_all { |context, failure| told[context.name] = failure&.message } }
    assert_equal({ "context-1" => nil, "context-2" => "1", "context-3" => nil, "context-4" => "3" }, told)
    assert_includes %w[1 3], error.message
    assert_equal 2, pool.stats[:failed]
    contexts.each { |context| pool.put(context) }
    assert_same pool, pool.wait_all
    assert_equal 1, pool.stats[:out]
    refute_predicate idle, :alive?
  end

  def test_wait_all_gives_up_in_time
    pool = Weft::ContextPool.new(:thread)
    held = Held.new
    pool.acquire.execute(&held.block)
    assert_raises(Weft::TimeoutError) { pool.wait_all(timeout: 0) }
    assert_raises(Weft::TimeoutError) { pool.wait_all(timeout: 0.01) }
    held.let_go
    pool.wait_all
  end

  def test_terminate_all
    pool = Weft::ContextPool.new(:thread)
    held = Held.new
    polite = Array.new(2) { pool.acquire.execute { Weft.sleep } }
    stubborn = pool.acquire.execute(&held.block)
    held.begun
    told = []
    assert_raises(Weft::TimeoutError) { pool.terminate_all(grace: 0.01) { |context, error| told << context if error } }
    assert_includes told, stubborn
    held.let_go
    assert_same pool, pool.terminate_all(grace: nil)
    polite.each { |context| assert_raises(Weft::CancelledError) { context.wait } }
    assert_equal 1, pool.acquire.execute { 1 }.wait
    children = Weft::ContextPool.new(:fork)
    sleeping = Array.new(2) { children.acquire.execute { sleep } }
    children.terminate_all
    sleeping.each { |context| assert_raises(Weft::CancelledError) { context.wait } }
    assert_equal [0, 2], children.stats.values_at(:active, :failed)
  end

  def test_inline_contexts_are_used_again_and_others_are_not
    pool = Weft::ContextPool.new(:inline)
    first = pool.acquire
    assert_equal 1, first.execute { 1 }.wait
    pool.put(first)
    assert_same first, pool.acquire
    assert_equal 1, pool.stats[:reused]
    threads = Weft::ContextPool.new(:thread)
    used = threads.acquire
    threads.put(used)
    refute_same used, threads.acquire
  end

  def test_many_threads_share_a_pool
    pool = Weft::ContextPool.new(:task, max: 3)
    sums = Array.new(6) { |i| Thread.new { (0...20).sum { |j| pool.acquire.execute { i * 20 + j }.wait } } }
    assert_equal (0...120).sum, sums.sum(&:value)
    assert_equal [0, 120], pool.stats.values_at(:active, :executed)
    assert_operator pool.stats[:peak], :<=, 3
  end

  def test_contexts_that_are_forgotten
    pool = Weft::ContextPool.new(:thread)
    apart { 50.times { pool.acquire.execute { 1 }.wait } && nil }
    until pool.stats[:out] < 50
      GC.start
      Thread.pass
    end
    assert_equal [0, 50], pool.stats.values_at(:active, :executed)
  end

  def test_wrong_arguments
    assert_raises(ArgumentError) { Weft::ContextPool.new(:elsewhere) }
    assert_raises(ArgumentError) { Weft::ContextPool.new(max: 0) }
    assert_raises(ArgumentError) { Weft::ContextPool.new(:process) }
    assert_raises(ArgumentError) { Weft::ContextPool.new.acquire(timeout: "soon") }
  end
end
