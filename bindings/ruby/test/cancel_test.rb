# frozen_string_literal: true

# Cancel tokens and shields: what they end, what they leave alone, and what carries them.

require "test_helper"

class CancelTest < WeftTest::Case
  def setup
    @token = Weft::CancelToken.new
    @empty = Weft::Channel.new
    @pending = Weft::Promise.new
    @runtime = Weft::Runtime.new(workers: 1)
  end

  def teardown
    @runtime.shutdown(mode: :discard)
  end

  # Every call that waits, in a state in which it waits for ever.
  def waits
    full = Weft::Channel.new(capacity: 1) << :full
    meeting = Weft::Channel.new(capacity: 0)
    single = Weft::Runtime.new(kind: :single)
    hosted = Weft::Runtime.new(kind: :hosted, workers: 1)
    Weft::Log.level = :error
    {
      recv: -> { @empty.recv },
      "recv with a timeout": -> { @empty.recv(timeout: 100_000) },
      "recv, meeting": -> { meeting.recv },
      send: -> { full.send(:more) },
      "send, meeting": -> { meeting.send(:more) },
      value: -> { @pending.future.value },
      wait: -> { @pending.future.wait },
      run: -> { single.run(:until_shutdown) },
      lend: -> { hosted.lend },
      log: -> { Weft::Log.next },
      sleep: -> { Weft.sleep },
      "sleep with an end": -> { Weft.sleep(100_000) }
    }
  end

  def test_trigger
    child = Weft::CancelToken.new(@token)
    assert_equal [false, nil], [child.triggered?, child.reason]
    assert_same @token, @token.trigger("enough of this\u00a0")
    @token.trigger("another reason")
    assert_equal [true, "enough of this\u00a0"] * 2,
                 [@token.triggered?, @token.reason, child.triggered?, child.reason]
    assert_predicate Weft::CancelToken.new(child), :triggered?
    child = Weft::CancelToken.new(own = Weft::CancelToken.new)
    child.trigger
    assert_equal ["", false], [child.reason, own.triggered?]
    assert_raises(ArgumentError) { Weft::CancelToken.new("token") }
    assert_raises(ArgumentError) { own.trigger("a\0b") }
  end

  def test_a_trigger_ends_waits
    waits.each do |name, wait|
      token = Weft::CancelToken.new(@token)
      thread = waiting { token.enter(&wait) }
      token.trigger("enough")
      error = assert_raises(Weft::CancelledError, name.to_s) { thread.value }
      assert_match(/enough/, error.message, name.to_s)
    end
  ensure
    Weft::Log.level = :off
  end

  def test_a_token_that_was_triggered_before
    @token.trigger("early")
    waits.each do |name, wait|
      assert_raises(Weft::CancelledError, name.to_s) { @token.enter(&wait) }
    end
    # What does not have to wait is done.
    @token.enter { assert_equal 1, (@empty << 1).recv }
  ensure
    Weft::Log.level = :off
  end

  def test_deadlines
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    assert_same @token, @token.trigger_after(nil).trigger_after(100_000).trigger_after(0.002).trigger_after(Float::INFINITY)
    @token.enter { assert_match(/deadline/, assert_raises(Weft::CancelledError) { Weft.sleep }.message) }
    assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC), :>=, before + 0.002
    assert_equal "deadline", @token.reason
    assert_predicate Weft::CancelToken.new.trigger_after(0), :triggered?
    assert_predicate Weft::CancelToken.new.trigger_after(-1), :triggered?
    assert_raises(ArgumentError) { @token.trigger_after("soon") }
  end

  def test_sleep
    before = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    assert_nil Weft.sleep(0.002)
    assert_operator Process.clock_gettime(Process::CLOCK_MONOTONIC), :>=, before + 0.002
    assert_nil Weft.sleep(0)
    assert_raises(ArgumentError) { Weft.sleep("long") }
  end

  def test_enter_ends_with_the_block
    assert_equal :value, @token.enter { :value }
    assert_raises(KeyError) { @token.enter { raise KeyError } }
    assert_nil Weft::CancelToken.current
    @token.trigger
    refute_predicate Weft, :cancelled?
    assert_raises(Weft::TimeoutError) { @empty.recv(timeout: 0.001) }
    other = Weft::CancelToken.new
    @token.enter do
      assert_predicate Weft, :cancelled?
      other.enter do
        assert_same other, Weft::CancelToken.current
        refute_predicate Weft, :cancelled?
        assert_raises(Weft::TimeoutError) { @empty.recv(timeout: 0.001) }
      end
      assert_same @token, Weft::CancelToken.current
    end
  end

  def test_shield
    @token.trigger
    @token.enter do
      sum = Weft::CancelToken.shield do
        refute_predicate Weft, :cancelled?
        assert_raises(Weft::TimeoutError) { @empty.recv(timeout: 0.001) }
        @token.enter { assert_raises(Weft::CancelledError) { @empty.recv } }
        assert_equal 0, @runtime.run_native(fixture(:cancelled)).address
        Weft.async { 1 + Weft.async { 2 }.value }.value
      end
      assert_equal 3, sum
      assert_raises(Weft::CancelledError) { @empty.recv }
    end
    refute_predicate Weft, :cancelled?
  end

  def test_blocks_carry_tokens
    blocks = Array.new(4) { Weft.async(cancel: @token) { Weft.async { @empty.recv }.value } }
    blocks << @token.enter { Weft.async { @empty.recv } }
    @token.trigger("over")
    blocks.each { |block| assert_match(/over/, assert_raises(Weft::CancelledError) { block.value }.message) }
    ran = false
    late = Weft.async(cancel: @token) { ran = true }
    assert_match(/over/, assert_raises(Weft::CancelledError) { late.value }.message)
    refute ran
    assert_equal 5, Weft.async { 5 }.value, "the pool's threads are free of it"
    assert_raises(ArgumentError) { Weft.async(cancel: true) { flunk } }
  end

  def test_a_block_that_is_helped_goes_by_its_own_token
    pool = Weft::Pool.new(max_threads: 1)
    promise = Weft::Promise.new
    outer = pool.async(cancel: @token) do
      inner = promise.future.value
      @token.trigger("only this one")
      # Runs here, for there is no other thread; what it waits for comes.
      inner.value
    end
    inner = pool.async { Weft.cancelled? ? :cancelled : (@empty << 1).recv }
    promise.resolve(inner)
    assert_equal 1, outer.value
    pool.shutdown
  end

  def test_futures_that_are_cancelled
    begun = Thread::Queue.new
    block = Weft.async do
      begun << true
      @empty.recv
    end
    begun.pop
    assert_same block, block.cancel
    assert_raises(Weft::CancelledError) { block.value }
    assert_equal [:cancelled, true], [block.state, block.ready?]
    native = @runtime.async_native(fixture(:cancelled), after: @pending.future)
    native.cancel
    @pending.resolve
    assert_equal 1, native.value.address

    promise = Weft::Promise.new
    refute_predicate promise, :cancelled?
    promise.future.cancel
    assert_equal [true, :pending], [promise.cancelled?, promise.future.state]
    promise.reject(Weft::CancelledError.new("as you wish"))
    assert_equal [:cancelled, "as you wish"], [promise.future.state, promise.future.error.message]
  end

  def test_blocks_that_are_cancelled_before_they_begin
    pool = Weft::Pool.new(max_threads: 1)
    first = pool.async { @empty.recv }
    others = Array.new(3) { |i| pool.async { i } }
    others[1].cancel
    assert_equal :cancelled, others[1].state
    others[1].cancel
    @empty << :go
    assert_equal [:go, 0, 2], [first, others[0], others[2]].map(&:value)
    pool.shutdown
    assert_equal 0, pool.queued
  end

  def test_keywords_of_blocks
    assert_equal [1, { b: 2 }], Weft.async(1, b: 2) { |a, **rest| [a, rest] }.value
    assert_equal({ b: 2 }, Weft.async(b: 2, cancel: @token) { |hash| hash }.value)
  end

  def test_native_functions_carry_tokens
    assert_equal 0, @runtime.run_native(fixture(:cancelled), cancel: @token).address
    @token.trigger("no more")
    assert_equal 1, @runtime.run_native(fixture(:cancelled), cancel: @token).address
    @token.enter do
      assert_equal 1, @runtime.async_native(fixture(:cancelled)).tap { |future| settle(future) }.value.address
    end
    assert_raises(ArgumentError) { @runtime.spawn_native(fixture(:cancelled), cancel: :token) }
  end

  # Waits free of tokens.
  def settle(future)
    Weft::CancelToken.shield { future.wait }
  end

  def test_interrupts_leave_tokens_in_order
    100.times do
      thread = waiting { @token.enter { Weft::CancelToken.shield { @empty.recv } } }
      thread.raise(KeyError)
      assert_raises(KeyError) { thread.join }
      left = waiting { @token.enter { @empty.recv } }
      left.kill.join
    end
  end

  def test_an_object_that_was_being_handed_over_is_not_lost
    200.times do |i|
      token = Weft::CancelToken.new
      channel = Weft::Channel.new(capacity: i.even? ? 0 : 1)
      receiver = waiting { token.enter { channel.recv } }
      trigger = Thread.new { token.trigger }
      sender = Thread.new { channel << i }
      received =
        begin
          receiver.value
        rescue Weft::CancelledError
          channel.recv
        end
      assert_equal i, received
      [trigger, sender].each(&:join)
    end
  end

  def test_release
    assert_equal "#<Weft::CancelToken nil>", @token.inspect
    @token.enter { @token.release }
    assert_equal "#<Weft::CancelToken released>", @token.inspect
    assert_raises(Weft::ReleasedError) { @token.trigger }
    assert_raises(Weft::ReleasedError) { Weft.async(cancel: @token) { flunk }.value }
  end

  def test_tokens_of_the_parent_process
    reader, writer = IO.pipe
    pid = fork do
      writer.write(begin
        @token.trigger
      rescue Weft::ForkedError
        token = Weft::CancelToken.new
        thread = Thread.new { token.enter { Weft::Channel.new.recv } }
        thread.report_on_exception = false
        token.trigger
        (thread.value rescue $!).class.name # rubocop:disable Style/RescueModifier
      end)
      exit!
    end
    writer.close
    Process.wait(pid)
    assert_equal "Weft::CancelledError", reader.read
    reader.close
  end
end
