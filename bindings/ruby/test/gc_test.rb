# frozen_string_literal: true

# What the garbage collector may do at any time: collect, move, run finalisers.
#
# The collector takes every word on a stack that looks like an object for one, so a few objects of many may seem to
# be in use, with what they refer to. What is tested here is that the many go. That the tables are empty is
# exact, and tested wherever objects travel.

require "test_helper"

class GcTest < WeftTest::Case
  class Payload
    attr_reader :number

    def initialize(number)
      @number = number
    end
  end

  def payloads
    4.times { GC.start }
    ObjectSpace.each_object(Payload).count
  end

  def assert_gone
    assert_operator payloads, :<, 50
  end

  def test_objects_that_are_never_received_go_with_their_channel
    [500, nil, Weft::UNBOUNDED].each do |capacity|
      apart do
        channel = Weft::Channel.new(capacity: capacity)
        500.times { |i| channel.send(Payload.new(i), timeout: 0) }
        assert_operator payloads, :>=, 500
        nil
      end
      assert_gone
    end
  end

  def test_objects_that_were_refused_go_at_once
    full = Weft::Channel.new(capacity: 0)
    closed = Weft::Channel.new.tap(&:close)
    apart do
      500.times do |i|
        [full, closed].each do |channel|
          assert_raises(Weft::Error) { channel.send(Payload.new(i), timeout: 0) }
        end
      end
      nil
    end
    assert_equal [0, 0], [held(full), held(closed)]
    assert_gone
  end

  def test_values_go_with_their_futures
    apart do
      futures = Array.new(500) { |i| Weft::Promise.new.resolve(Payload.new(i)).future }
      errors = Array.new(500) { |i| Weft::Promise.new.reject(RuntimeError.new(Payload.new(i))).future }
      assert_operator payloads, :>=, 1000
      assert_equal (0...500).to_a, futures.map { |future| future.value.number }
      assert(errors.all?(&:ready?))
      nil
    end
    assert_gone
  end

  def test_blocks_go_when_they_have_run
    pool = Weft::Pool.new(max_threads: 4)
    futures = apart { Array.new(300) { |i| Payload.new(i).then { |payload| pool.async { payload.number } } } }
    assert_equal (0...300).to_a, futures.map(&:value)
    assert_gone
    assert_equal 300, futures.size
    pool.shutdown
  end

  def test_objects_under_way_are_kept_and_may_move
    skip "this Ruby cannot move objects" unless GC.respond_to?(:compact)
    channel = Weft::Channel.new
    futures = Array.new(100) { |i| Weft::Promise.new.resolve(Payload.new(i)).future }
    100.times { |i| channel << Payload.new(i) }
    GC.verify_compaction_references(double_heap: true, toward: :empty) if GC.respond_to?(:verify_compaction_references)
    GC.compact
    assert_equal (0...100).to_a, Array.new(100) { channel.recv.number }
    assert_equal (0...100).to_a, futures.map { |future| future.value.number }
  end

  # In a process of its own: a collection at each allocation takes its time, and the more the larger the heap.
  def test_under_stress
    output, status = ruby(<<~'RUBY')
      numbers = Weft::Channel.new(capacity: 2)
      promise = Weft::Promise.new
      GC.stress = true
      producer = Thread.new { 15.times { |i| numbers << [i] } }
      consumer = Thread.new { promise.resolve(Array.new(15) { numbers.recv.first }.sum) }
      failed = Weft.async { raise ArgumentError, "stressed" }
      puts promise.future.value, failed.wait.error.inspect
      GC.stress = false
      [producer, consumer].each(&:join)
    RUBY
    assert_equal ["105\n#<ArgumentError: stressed>\n", true], [output, status.success?]
  end

  def test_collecting_and_moving_while_threads_work
    channel = Weft::Channel.new(capacity: 8)
    squares = Weft::Channel.new(capacity: 0)
    workers = Array.new(4) { Thread.new { channel.each { |payload| squares << Payload.new(payload.number**2) } } }
    producer = Thread.new do
      400.times do |i|
        channel << Payload.new(i)
        Weft::Promise.new.resolve(i).future.value
      end
      channel.close
    end
    sum = 0
    400.times do |i|
      sum += squares.recv.number
      GC.compact if (i % 50).zero?
      GC.start if (i % 50) == 25
    end
    [producer, *workers].each(&:join)
    assert_equal (0...400).sum { |i| i * i }, sum
    assert_equal [0, 0], [held(channel), held(squares)]
  end

  def test_a_promise_that_is_collected_breaks_its_future
    futures = apart { Array.new(100) { Weft::Promise.new.future } }
    4.times { GC.start }
    broken = futures.select(&:ready?)
    assert_operator broken.size, :>, 50
    broken.each { |future| assert_status(Weft::BrokenError) { future.value } }
  end

  def test_each_reference_is_given_back_once
    handle = Weft.const_get(:Handle)
    given_back = []
    give_back = ->(pointer) { given_back << pointer.address }
    apart { (1..100).each { |i| handle.new(FFI::Pointer.new(i), give_back).then { |h| h.release if i.even? } } && nil }
    4.times { GC.start }
    assert_operator given_back.size, :>, 80
    assert_equal given_back.uniq, given_back
    assert_empty (1..100).select(&:even?) - given_back
  end

  def test_a_reference_in_use_is_given_back_afterwards
    given_back = []
    handle = Weft.const_get(:Handle).new(FFI::Pointer.new(1), ->(pointer) { given_back << pointer.address })
    inside = Thread::Queue.new
    outside = Thread::Queue.new
    users = Array.new(3) do
      Thread.new do
        handle.use do |pointer|
          inside << pointer
          outside.pop
        end
      end
    end
    users.each { assert_equal 1, inside.pop.address }
    2.times { handle.release }
    assert_raises(Weft::ReleasedError) { handle.use { flunk } }
    assert_empty given_back
    2.times { outside << true }
    users.each { outside << true }
    users.each(&:join)
    assert_equal [1], given_back
  end

  # Ten thousand of each: nothing piles up in this process' memory.
  def test_nothing_piles_up
    make = lambda do |count|
      count.times do
        Weft::Channel.new(capacity: 100) << 1
        Weft::Promise.new.resolve(1).future.value
      end
      4.times { GC.start }
      File.read("/proc/self/statm").split[1].to_i * 4096
    end
    3.times { make[2000] }
    before = make[2000]
    assert_operator make[20_000] - before, :<, 16 * 1024 * 1024
  end
end
