# frozen_string_literal: true

# Channels between Ruby threads: what goes in comes out, once, in order; who waits, and how it ends.

require "test_helper"

class ChannelTest < WeftTest::Case
  CAPACITIES = [0, 1, 7, nil, Weft::UNBOUNDED].freeze

  def test_objects_stay_the_objects_they_are
    channel = Weft::Channel.new
    objects = [Object.new, "text", nil, false, 1, 2**80, :symbol, [channel], -> {}]
    objects.each { |object| channel << object }
    assert_equal objects.size, channel.size
    objects.each { |object| assert_same object, channel.recv }
    assert_empty channel
    assert_equal 0, held(channel)
  end

  def test_pipeline_with_exact_sums_at_every_capacity
    CAPACITIES.each do |capacity|
      numbers = Weft::Channel.new(capacity: capacity)
      squares = Weft::Channel.new(capacity: capacity)
      producers = Array.new(3) { |i| Thread.new { (i...1500).step(3) { |n| numbers << n } } }
      stages = Array.new(4) { Thread.new { numbers.each { |n| squares << [n, n * n] } } }
      consumers = Array.new(2) { Thread.new { squares.to_a } }
      producers.each(&:join)
      numbers.close
      stages.each(&:join)
      squares.close
      results = consumers.flat_map(&:value)
      assert_equal (0...1500).map { |n| [n, n * n] }, results.sort, "capacity #{capacity.inspect}"
      assert_equal [0, 0], [held(numbers), held(squares)]
    end
  end

  def test_each_sender_is_heard_in_order
    CAPACITIES.each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      senders = Array.new(3) { |who| Thread.new { 400.times { |n| channel << [who, n] } } }
      received = Array.new(3) { [] }
      1200.times { channel.recv.then { |who, n| received[who] << n } }
      senders.each(&:join)
      received.each { |numbers| assert_equal (0...400).to_a, numbers }
    end
  end

  def test_capacity
    assert_equal 1000, Weft::Channel.new.capacity
    assert_equal 0, Weft::Channel.new(capacity: 0).capacity
    assert_equal 3, Weft::Channel.new(capacity: 3, name: "three").capacity
    assert_equal Float::INFINITY, Weft::Channel.new(capacity: Weft::UNBOUNDED).capacity
    [-1, 1.5, "1", 2**64 - 1, 2**64, Float::NAN].each do |capacity|
      assert_raises(ArgumentError) { Weft::Channel.new(capacity: capacity) }
    end
    assert_raises(Weft::Error) { Weft::Channel.new(capacity: 2**62) }
    assert_raises(ArgumentError) { Weft::Channel.new(name: "a\0b") }
  end

  def test_a_full_channel_makes_the_sender_wait
    channel = Weft::Channel.new(capacity: 2)
    channel << 1 << 2
    assert_status(Weft::WouldBlockError) { channel.send(3, timeout: 0) }
    assert_status(Weft::TimeoutError) { channel.send(3, timeout: 0.01) }
    assert_equal 2, held(channel), "refused objects must not be held"
    sender = waiting { channel.send(3) }
    assert_equal 1, channel.recv
    assert_same channel, sender.value
    assert_equal [2, 3], [channel.recv, channel.recv]
  end

  def test_an_empty_channel_makes_the_receiver_wait
    CAPACITIES.each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      assert_status(Weft::WouldBlockError) { channel.recv(timeout: 0) }
      assert_status(Weft::WouldBlockError) { channel.recv(timeout: -1) }
      assert_status(Weft::TimeoutError) { channel.recv(timeout: 1e-12) }
      assert_status(Weft::TimeoutError) { channel.pop(timeout: Rational(1, 100)) }
      receiver = waiting { channel.recv(timeout: 1000) }
      channel << :late
      assert_equal :late, receiver.value
    end
  end

  def test_would_block_is_a_timeout
    assert_operator Weft::WouldBlockError, :<, Weft::TimeoutError
  end

  def test_timeouts_that_are_none
    channel = Weft::Channel.new
    ["1", :soon, Float::NAN, Complex(1, 1), Object.new].each do |timeout|
      assert_raises(ArgumentError) { channel.recv(timeout: timeout) }
      assert_raises(ArgumentError) { channel.send(1, timeout: timeout) }
    end
    channel << 1 << 2 << 3
    assert_equal [1, 2, 3], [nil, Float::INFINITY, 1e30].map { |timeout| channel.recv(timeout: timeout) }
  end

  def test_a_timeout_that_is_too_large_is_for_ever
    [Float::INFINITY, 1e30, 10**30].each do |timeout|
      channel = Weft::Channel.new
      receiver = waiting { channel.recv(timeout: timeout) }
      channel << :there
      assert_equal :there, receiver.value
    end
  end

  def test_closing
    channel = Weft::Channel.new(name: "closing")
    channel << 1 << 2
    refute_predicate channel, :closed?
    assert_nil channel.close
    assert_nil channel.close
    assert_predicate channel, :closed?
    assert_status(Weft::ClosedError) { channel << 3 }
    assert_equal [1, 2], channel.to_a
    assert_status(Weft::ClosedError) { channel.recv }
    assert_status(Weft::ClosedError) { channel.recv(timeout: 0) }
    assert_equal 0, held(channel)
  end

  def test_closing_ends_every_wait
    full = Weft::Channel.new(capacity: 1)
    full << :first
    senders = Array.new(3) { waiting { full << :more } }
    full.close
    senders.each { |sender| assert_raises(Weft::ClosedError) { sender.value } }
    assert_equal [:first], full.to_a

    empty = Weft::Channel.new
    receivers = Array.new(3) { waiting { empty.recv } }
    loops = Array.new(3) { waiting { empty.each { flunk } } }
    empty.close
    receivers.each { |receiver| assert_raises(Weft::ClosedError) { receiver.value } }
    loops.each { |thread| assert_same empty, thread.value }
  end

  def test_it_is_enumerable
    channel = Weft::Channel.new
    (1..10).each { |n| channel << n }
    assert_equal [1, 2], channel.first(2)
    assert_equal 3, channel.first
    assert_equal 7, channel.size, "first must not take more than it gives"
    assert_equal [8, 10], channel.each.lazy.map { |n| n * 2 }.first(2)
    channel.close
    assert_equal 6 + 7 + 8 + 9 + 10, channel.sum
  end

  def test_a_closed_error_of_the_block_is_not_the_end_of_the_loop
    channel = Weft::Channel.new
    channel << 1
    other = Weft::Channel.new.tap(&:close)
    assert_raises(Weft::ClosedError) { channel.each { other.recv } }
  end

  def test_release
    channel = Weft::Channel.new
    channel << 1
    assert_nil channel.release
    assert_nil channel.release
    uses = [-> { channel << 1 }, -> { channel.recv }, -> { channel.close }, -> { channel.size }, -> { channel.closed? }]
    uses.each do |use|
      error = assert_raises(Weft::ReleasedError, &use)
      assert_equal Weft::InvalidError::STATUS, error.status
    end
    assert_equal "#<Weft::Channel released>", channel.inspect
  end

  def test_releasing_lets_the_others_go_first
    channel = Weft::Channel.new
    receivers = Array.new(4) { waiting { channel.recv } }
    channel.release
    receivers.each { |receiver| assert_raises(Weft::ClosedError) { receiver.value } }
  end

  def test_sending_from_a_signal_handler
    channel = Weft::Channel.new
    before = trap("USR1") { channel.send(:signal, timeout: 0) }
    receiver = waiting { channel.recv }
    Process.kill("USR1", Process.pid)
    assert_equal :signal, receiver.value
  ensure
    trap("USR1", before)
  end

  def test_errors_have_the_librarys_words
    error = assert_raises(Weft::ClosedError) { Weft::Channel.new.tap(&:close) << 1 }
    assert_equal "closed", error.status_name
    assert_equal Encoding::UTF_8, error.message.encoding
    assert_match(/closed/, error.message)
  end
end
