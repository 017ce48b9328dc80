# frozen_string_literal: true

require "test_helper"

class BreakerTest < WeftTest::Case
  def test_run_gives_what_the_block_gives
    breaker = Weft::Breaker.new
    assert_equal 42, (breaker.run { 42 })
    assert_nil(breaker.run { nil })
    assert_equal 2, breaker.stats[:ok]
    assert_equal :closed, breaker.state
    assert_equal 0, breaker.retry_after
  end

  def test_failures_open_it
    breaker = Weft::Breaker.new(name: "payments", consecutive: 2)
    2.times { assert_raises(KeyError) { breaker.run { {}.fetch(:missing) } } }
    assert_equal :open, breaker.state
    assert_operator breaker.retry_after, :>, 0
    error = assert_raises(Weft::RejectedError) { breaker.run { flunk "it was called" } }
    assert_includes error.message, "payments"
    assert_nil breaker.try_acquire
    assert_raises(Weft::RejectedError) { breaker.acquire }
    assert_equal [2, 3, 1], breaker.stats.values_at(:failed, :rejected, :opened)
  end

  def test_what_leaves_the_block_otherwise_is_abandoned
    breaker = Weft::Breaker.new(consecutive: 1)
    assert_raises(Weft::CancelledError) { breaker.run { raise Weft::CancelledError } }
    assert_raises(NotImplementedError) { breaker.run { raise NotImplementedError } }
    assert_equal :gone, (breaker.run { break :gone })
    catch(:out) { breaker.run { throw :out } }
    assert_equal [4, 4, 0], breaker.stats.values_at(:abandoned, :ignored, :failed)
    assert_equal :closed, breaker.state
  end

  def test_a_killed_thread_leaves_no_probe_behind
    breaker = Weft::Breaker.new.force(:half_open)
    inside = Thread::Queue.new
    thread = Thread.new { breaker.run { inside.push(true) && Thread.stop } }
    inside.pop
    assert_nil breaker.try_acquire
    thread.kill.join
    assert_equal 7, (breaker.run { 7 })
    assert_equal :closed, breaker.state
  end

  def test_the_program_says_what_counts
    outcomes = { KeyError => :ignore, IndexError => :ok, ArgumentError => :fail }
    breaker = Weft::Breaker.new(consecutive: 1, abandoned: :fail, outcome: ->(error) { outcomes.fetch(error.class, :abandoned) })
    assert_raises(KeyError) { breaker.run { raise KeyError } }
    assert_raises(IndexError) { breaker.run { raise IndexError } }
    assert_equal [1, 1, 0], breaker.stats.values_at(:ok, :ignored, :failed)
    assert_raises(IOError) { breaker.run { raise IOError } }
    assert_equal [1, 1, :open], breaker.stats.values_at(:abandoned, :failed, :state)
  end

  def test_an_outcome_that_is_none_leaves_no_probe_behind
    breaker = Weft::Breaker.new(outcome: ->(_error) { :perhaps }).force(:half_open)
    error = assert_raises(ArgumentError) { breaker.run { raise KeyError } }
    assert_includes error.message, "perhaps"
    assert_kind_of KeyError, error.cause
    assert_equal 1, breaker.stats[:abandoned]
    assert_equal 7, (breaker.run { 7 })
  end

  def test_permits
    breaker = Weft::Breaker.new
    permit = breaker.acquire
    assert_nil permit.record(:ok)
    assert_raises(Weft::InvalidError) { permit.record(:ok) }
    assert_raises(ArgumentError) { breaker.acquire.record(:perhaps) }
    breaker.try_acquire.record(:fail)
    breaker.acquire.record(:ignore)
    assert_equal [1, 1, 1], breaker.stats.values_at(:ok, :failed, :ignored)
    late = breaker.acquire
    breaker.force(:closed)
    late.record(:fail)
    assert_equal [1, 1], breaker.stats.values_at(:late, :failed)
  end

  def test_a_permit_that_is_collected_is_abandoned
    breaker = Weft::Breaker.new
    words = WeftTest::Native::Permit.new
    breaker.instance_variable_get(:@handle).use do |pointer|
      assert_equal 0, WeftTest::Native.weft_breaker_acquire(pointer, words)
      WeftTest::Native.weft_breaker_retain(pointer)
      Weft::Breaker::Permit.finalizer(pointer, words).call
      WeftTest::Native.weft_breaker_retain(pointer)
      Weft::Breaker::Permit.finalizer(pointer, words).call # recorded: nothing more
    end
    assert_equal [1, 0], breaker.stats.values_at(:abandoned, :late)
  end

  def test_forced_states
    breaker = Weft::Breaker.new
    breaker.force(:forced_open)
    assert_equal Float::INFINITY, breaker.retry_after
    breaker.force(:half_open)
    probe = breaker.acquire
    assert_nil breaker.try_acquire
    probe.record(:fail)
    assert_equal [:open, 1], breaker.stats.values_at(:state, :attempt)
    breaker.force(:disabled)
    9.times { breaker.acquire.record(:fail) }
    assert_equal :disabled, breaker.state
    assert_raises(ArgumentError) { breaker.force(:ajar) }
  end

  def test_options
    breaker = Weft::Breaker.new(window: 4, minimum_calls: 2, failure_rate: 0.5, consecutive: 0, probes: 2,
                                probes_to_close: 1, open_wait: 0, open_wait_max: 0.5, backoff: 1, jitter: 0,
                                probe_wait: 2.5, slow: 3600, slow_rate: 1, abandoned: :ok)
    2.times { |i| breaker.acquire.record(i.zero? ? :abandoned : :fail) }
    assert_equal :open, breaker.state
    breaker.run { 1 }
    assert_equal :closed, breaker.state
    assert_raises(Weft::InvalidError) { Weft::Breaker.new(probes: 0) }
    assert_raises(Weft::InvalidError) { Weft::Breaker.new(window_time: 0.001) }
    assert_raises(ArgumentError) { Weft::Breaker.new(probes: -1) }
    assert_raises(ArgumentError) { Weft::Breaker.new(probes: 2**32) }
    assert_raises(ArgumentError) { Weft::Breaker.new(holes: 1) }
    assert_raises(ArgumentError) { Weft::Breaker.new(abandoned: :perhaps) }
    assert_raises(ArgumentError) { Weft::Breaker.new(open_wait: "long") }
    assert_raises(ArgumentError) { Weft::Breaker.new(open_wait: -Float::INFINITY) }
  end

  def test_released_and_forked
    breaker = Weft::Breaker.new
    assert_equal 5, (breaker.run { breaker.release || 5 })
    assert_raises(Weft::ReleasedError) { breaker.run { flunk } }
    assert_includes breaker.inspect, "released"
    breaker = Weft::Breaker.new
    permit = breaker.acquire
    child = fork do
      assert_raises(Weft::ForkedError) { breaker.run { flunk } }
      assert_raises(Weft::ForkedError) { permit.record(:ok) }
      exit!(Weft::Breaker.new.run { true })
    end
    assert_predicate Process.wait2(child).last, :success?
    permit.record(:ok)
  end

  def test_changes_are_asked_for
    breaker = Weft::Breaker.new
    changes = breaker.changes
    assert_status(Weft::WouldBlockError) { changes.next(timeout: 0) }
    assert_status(Weft::TimeoutError) { changes.next(timeout: 0.001) }
    breaker.force(:forced_open)
    assert_equal [[changes], [], []], IO.select([changes])
    change = changes.next
    assert_equal [:closed, :forced_open, 1], [change.from, change.to, change.generation]
    assert_operator change.time_ns, :>, 0
    thread = waiting { changes.next }
    breaker.force(:closed)
    assert_equal :closed, thread.value.to
    listener = waiting { changes.first(2).map(&:to) }
    %i[disabled metrics_only].each { |state| breaker.force(state) }
    assert_equal %i[disabled metrics_only], listener.value
    listener = waiting { changes.to_a }
    changes.release
    assert_equal [], listener.value
    assert_raises(Weft::ReleasedError) { changes.next }
    assert_equal [], changes.to_a
    breaker.force(:closed)
  end

  def test_an_interrupted_reader_loses_no_change
    breaker = Weft::Breaker.new
    changes = breaker.changes
    got = Thread::Queue.new
    ends = Class.new(StandardError)
    reader = interrupted_by(ends) do
      loop do
        Thread.handle_interrupt(ends => :on_blocking) { got << changes.next.generation }
      rescue ends
        next
      end
    end
    200.times do |i|
      breaker.force(i.even? ? :forced_open : :closed)
      reader.raise(ends)
      Thread.pass
    end
    all = Array.new(200) { got.pop }
    assert_equal [*1..200], all.sort
    reader.kill.join
  end
end
