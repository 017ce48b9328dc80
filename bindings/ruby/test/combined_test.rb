# frozen_string_literal: true

# Futures that are made of others.

require "test_helper"

class CombinedTest < WeftTest::Case
  def setup
    @promises = Array.new(3) { Weft::Promise.new }
    @futures = @promises.map(&:future)
  end

  def test_all
    all = Weft.all(*@futures)
    assert_equal all.class.superclass, Weft.any(@futures).class
    [2, 0, 1].each do |i|
      assert_equal :pending, all.state
      assert_raises(Weft::WouldBlockError) { all.value(timeout: 0) }
      @promises[i].resolve(i)
    end
    assert_equal [0, 1, 2], all.value
    assert_equal [:ready, nil, nil], [all.state, all.error, all.winner_index]
    assert_equal [0, 1, 2], Weft.all(@futures).value
    assert_equal [], Weft.all.value
  end

  def test_all_fails_with_the_first_failure
    all = Weft.all(@futures)
    error = KeyError.new("the very object")
    @promises[1].reject(error)
    assert_same error, assert_raises(KeyError) { all.value }
    assert_same error, all.error
    assert_equal [:failed, 1], [all.state, all.winner_index]
    assert_same error, assert_raises(KeyError) { Weft.all(all, @futures[0]).value }
  end

  def test_any
    any = Weft.any(@futures)
    @promises[2].reject("not this one")
    assert_nil any.winner_index
    assert_nil any.wait(timeout: 0)
    object = Object.new
    @promises[1].resolve(object)
    assert_same object, any.value
    assert_equal [:ready, 1], [any.state, any.winner_index]
    failed = Weft.any(@futures[2], Weft.async { raise IOError, "last" }.tap(&:wait))
    assert_raises(Weft::FailedError, IOError) { failed.value }
    assert_status(Weft::InvalidError) { Weft.any }
  end

  def test_race
    race = Weft.race(@futures)
    failing = Weft.race(@futures[0], @futures[1])
    @promises[1].reject(IOError.new("first"))
    assert_equal "first", assert_raises(IOError) { failing.value }.message
    assert_raises(IOError) { race.value }
    assert_equal 1, race.winner_index
    @promises[0].resolve(0)
    assert_raises(IOError) { race.value }
    assert_status(Weft::InvalidError) { Weft.race }
    assert_raises(ArgumentError) { Weft.race(1) }
  end

  def test_a_cancelled_one
    all = Weft.all(@futures)
    all.cancel
    assert_equal :cancelled, all.state
    assert_raises(Weft::CancelledError) { all.value }
    assert_kind_of Weft::CancelledError, all.error
    refute(@promises.any?(&:cancelled?), "others hold them")
  end

  def test_blocks
    assert_equal (0...50).to_a, Weft.all(Array.new(50) { |i| Weft.async { i } }).value
    assert_includes 0...50, Weft.any(Array.new(50) { |i| Weft.async { i } }).value
    pool = Weft::Pool.new(max_threads: 1)
    nested = pool.async { Weft.all(Array.new(3) { |i| pool.async { i } }).value }
    assert_equal [0, 1, 2], nested.value
    pool.shutdown
  end

  def test_waiting_and_watching
    waiter = waiting { Weft.any(@futures).value }
    @promises[0].resolve(:go)
    assert_equal :go, waiter.value
    race = Weft.race(@futures[1], @futures[2])
    assert_nil IO.select([race], nil, nil, 0)
    done = Weft::Channel.new(capacity: Weft::UNBOUNDED)
    race.notify(done)
    @promises[2].resolve(2)
    assert IO.select([race], nil, nil, 0)
    assert_same race, done.recv
    assert_same race, Weft.select { |s| s.settled(race) }
    # Their sources stay as long as they do.
    all = apart { Weft.all(Array.new(3) { |i| Weft::Promise.new.resolve(i).future }) }
    5.times { GC.start }
    assert_equal [0, 1, 2], all.value
  end
end
