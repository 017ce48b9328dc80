# frozen_string_literal: true

# Going on with a future's value.

require "test_helper"

class ThenTest < WeftTest::Case
  def test_goes_on_with_the_value
    promise = Weft::Promise.new
    doubled = promise.future.then { |n| n * 2 }
    text = doubled.then(&:to_s)
    assert_equal %i[pending pending], [doubled.state, text.state]
    promise.resolve(21)
    assert_equal "42", text.value
    assert_equal 42, doubled.value
    assert_equal 84, doubled.then { |n| n * 2 }.value
    assert_equal 3, Weft.all(Weft.async { 1 }, Weft.async { 2 }).then(&:sum).value
  end

  def test_a_failure_passes_through
    error = KeyError.new("the very object")
    promise = Weft::Promise.new
    later = promise.future.then { flunk "there is no value" }.then { flunk "nor here" }
    promise.reject(error)
    assert_same error, assert_raises(KeyError) { later.value }
    broken = Weft::Promise.new.tap { |lost| @later = lost.future.then { flunk } }
    broken.release
    assert_status(Weft::BrokenError) { @later.value }
    raises = Weft.async { 1 }.then { raise IOError, "in the block" }
    assert_equal "in the block", assert_raises(IOError) { raises.value }.message
  end

  # A pool of one thread, whose block waits for what goes on with another block of the pool.
  def test_who_waits_runs_it
    pool = Weft::Pool.new(max_threads: 1)
    value = pool.async { pool.then(pool.async { 20 }) { |n| n + 1 }.then { |n| n * 2 }.value }
    assert_equal 42, value.value
    pool.shutdown
  end

  def test_requests_to_stop
    promise = Weft::Promise.new
    later = promise.future.then { flunk "it was cancelled" }
    later.cancel
    assert_raises(Weft::CancelledError) { later.value }
    token = Weft::CancelToken.new
    by_token = promise.future.then(cancel: token) { flunk "it was cancelled" }
    token.trigger("as arranged")
    promise.resolve
    assert_raises(Weft::CancelledError) { by_token.value }
    sleeps = Weft.async { :go }.then { Weft.sleep }
    Weft.async { sleeps.cancel }
    assert_raises(Weft::CancelledError) { sleeps.value }
  end

  def test_a_pool_that_has_ended
    pool = Weft::Pool.new
    promise = Weft::Promise.new
    later = pool.then(promise.future) { flunk "there is no thread" }
    pool.shutdown
    promise.resolve(1)
    assert_status(Weft::ClosedError) { later.value }
    assert_raises(ArgumentError) { pool.then(promise.future) }
    assert_raises(ArgumentError) { pool.then(1) {} }
    assert_raises(ArgumentError) { promise.future.then }
    assert_raises(ArgumentError) { promise.future.then(cancel: 1) {} }
  end

  def test_a_killed_dispatcher_is_replaced
    assert_equal 2, Weft.async { 1 }.then { |n| n + 1 }.value
    Thread.list.select { |thread| thread.name == "weft.then" }.each { |thread| thread.kill.join }
    assert_equal 2, Weft.async { 1 }.then { |n| n + 1 }.value
  end

  def test_in_a_forked_child
    Weft.async { 1 }.then { |n| n }.value
    reader, writer = IO.pipe
    child = fork do
      writer.write(Weft.async { 20 }.then { |n| n + 1 }.value)
      writer.close
      exit!(0)
    end
    writer.close
    assert_equal "21", reader.read
    assert_predicate Process.wait2(child).last, :success?
  end
end
