# frozen_string_literal: true

# Promises and their futures: values and exceptions arrive as they were, once and for all.

require "test_helper"

class FutureTest < WeftTest::Case
  class Odd < StandardError
    attr_reader :detail

    def initialize(message, detail)
      super(message)
      @detail = detail
    end
  end

  def test_a_value_stays_the_object_it_is
    [Object.new, nil, false, 42, "text"].each do |value|
      promise = Weft::Promise.new
      assert_equal [:pending, false, nil], promise.future.yield_self { |f| [f.state, f.ready?, f.error] }
      assert_same promise, promise.resolve(value)
      assert_same promise.future, promise.future
      assert_equal [:ready, true, nil], promise.future.yield_self { |f| [f.state, f.ready?, f.error] }
      2.times { assert_same value, promise.future.value(timeout: 0) }
      assert_same promise.future, promise.future.wait
    end
  end

  def test_many_threads_wait_for_one_value
    promise = Weft::Promise.new
    waiters = Array.new(8) { |i| waiting { i.even? ? promise.future.value : promise.future.wait.value(timeout: 1000) } }
    promise.resolve(value = Object.new)
    waiters.each { |waiter| assert_same value, waiter.value }
  end

  def test_waiting_for_what_does_not_come
    future = (promise = Weft::Promise.new).future
    assert_status(Weft::WouldBlockError) { future.value(timeout: 0) }
    assert_status(Weft::TimeoutError) { future.value(timeout: 0.01) }
    assert_nil future.wait(timeout: 0)
    assert_nil future.wait(timeout: 0.01)
    assert_raises(ArgumentError) { future.wait(timeout: "1") }
    assert_equal "#<Weft::Promise of #<Weft::Future pending>>", promise.inspect
  end

  def test_an_exception_comes_back_as_it_was
    promise = Weft::Promise.new
    original = apart do
      begin
        begin
          Integer("x")
        rescue ArgumentError
          raise Odd.new("odd", [1, 2])
        end
      rescue Odd => e
        promise.reject(e)
        e
      end
    end
    backtrace = original.backtrace.dup
    cause = original.cause
    2.times do
      raise "something else is being handled"
    rescue RuntimeError
      error = assert_raises(Odd) { promise.future.value }
      assert_same original, error
      assert_equal [backtrace, cause, [1, 2], "odd"], [error.backtrace, error.cause, error.detail, error.message]
    end
    assert_equal :failed, promise.future.state
    assert_same original, promise.future.error
    assert_same promise.future, promise.future.wait, "waiting does not care how it ended"
  end

  def test_an_exception_without_a_cause_gets_none
    promise = Weft::Promise.new
    promise.reject(RuntimeError.new("plain"))
    begin
      raise "something else is being handled"
    rescue RuntimeError
      assert_nil assert_raises(RuntimeError) { promise.future.value }.cause
    end
  end

  def test_rejections
    rejected = ->(error) { Weft::Promise.new.tap { |promise| promise.reject(error) }.future }
    assert_equal "why not", assert_status(Weft::FailedError) { rejected["why not"].value }.message
    assert_status(Weft::CancelledError) { rejected[Weft::CancelledError.new].value }
    assert_equal "cancelled", Weft::CancelledError.new.message
    assert_raises(NotImplementedError) { rejected[NotImplementedError.new].value }
    assert_raises(SystemExit) { rejected[SystemExit.new].value }
    assert_raises(ArgumentError) { rejected[ArgumentError] }
    assert_raises(ArgumentError) { rejected[nil] }
  end

  def test_the_library_is_told_what_happened
    unpronounceable = Class.new(StandardError) { def message = raise("no") }
    messages = { "a\0b" => "a?b", "ä" => "ä", "b\xff" => "b\u{fffd}", "c\xff".b => "c\u{fffd}",
                 "ü".encode("UTF-16LE") => "ü", "é".encode("ISO-8859-1") => "é" }
    messages.each do |message, expected|
      assert_equal "RuntimeError: #{expected}", native_text(RuntimeError.new(message))
    end
    assert_equal unpronounceable.name.to_s, native_text(unpronounceable.new)
    status = native_error(Weft::ClosedError.new) { |error| WeftTest::Native.weft_error_status(error) }
    assert_equal Weft::ClosedError::STATUS, status
  end

  def test_a_promise_is_settled_once
    promise = Weft::Promise.new
    promise.resolve(1)
    assert_status(Weft::BusyError) { promise.resolve(2) }
    assert_status(Weft::BusyError) { promise.reject("no") }
    assert_equal 1, promise.future.value
    assert_equal 1, held(promise)
  end

  def test_of_many_who_settle_one_wins
    50.times do
      promise = Weft::Promise.new
      settlers = Array.new(4) do |i|
        Thread.new do
          promise.resolve(i)
          i
        rescue Weft::BusyError
          nil
        end
      end
      winners = settlers.filter_map(&:value)
      assert_equal [promise.future.value], winners
      assert_equal 1, held(promise)
    end
  end

  def test_a_promise_that_is_given_up_breaks_its_future
    promise = Weft::Promise.new
    waiter = waiting { promise.future.value }
    promise.release
    assert_equal Weft::BrokenError::STATUS, assert_raises(Weft::BrokenError) { waiter.value }.status
    assert_kind_of Weft::BrokenError, promise.future.error
    assert_raises(Weft::ReleasedError) { promise.resolve(1) }
  end

  def test_a_future_that_is_released
    promise = Weft::Promise.new
    waiter = waiting { promise.future.value }
    promise.future.release
    %i[value wait state ready? error].each do |name|
      assert_raises(Weft::ReleasedError) { promise.future.public_send(name) }
    end
    promise.resolve(:still)
    assert_equal :still, waiter.value, "who waits already has its own hold"
    assert_equal "#<Weft::Future released>", promise.future.inspect
  end

  def test_settling_in_a_signal_handler
    promise = Weft::Promise.new
    before = trap("USR1") { promise.resolve(:signal) }
    waiter = waiting { promise.future.value }
    Process.kill("USR1", Process.pid)
    assert_equal :signal, waiter.value
  ensure
    trap("USR1", before)
  end

  private

  def native_error(error)
    future = Weft::Promise.new.tap { |promise| promise.reject(error) }.future
    future.instance_variable_get(:@handle).use { |pointer| yield WeftTest::Native.weft_future_error(pointer) }
  end

  def native_text(error)
    native_error(error) { |pointer| WeftTest::Native.weft_error_text(pointer) }.force_encoding(Encoding::UTF_8)
  end
end
