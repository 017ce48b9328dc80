# frozen_string_literal: true

# Many objects in one call.

require "test_helper"

class BatchTest < WeftTest::Case
  def test_there_and_back
    channel = Weft::Channel.new(capacity: 10)
    objects = Array.new(7) { Object.new }
    assert_equal 7, channel.send_many(objects)
    first = channel.recv_many(3)
    assert_equal [3, 4], [first.size, channel.size]
    rest = channel.recv_many(100)
    (first + rest).zip(objects) { |got, sent| assert_same sent, got }
    assert_equal [0, 0, 0], [channel.size, channel.send_many([]), held(channel)]
    assert_equal [nil, false], channel.tap { |c| c.send_many([nil, false]) }.recv_many(2)
  end

  def test_more_than_a_piece
    channel = Weft::Channel.new(capacity: Weft::UNBOUNDED)
    assert_equal 10_000, channel.send_many(0...10_000)
    assert_equal [*0...10_000], channel.recv_many(20_000)
  end

  def test_in_part
    channel = Weft::Channel.new(capacity: 3)
    assert_equal 3, channel.send_many(%w[a b c d e], timeout: 0)
    assert_equal 3, held(channel)
    assert_status(Weft::WouldBlockError) { channel.send_many(%w[f], timeout: 0) }
    assert_status(Weft::TimeoutError) { channel.send_many(%w[f], timeout: 0.001) }
    assert_equal 3, held(channel)
    channel.close
    assert_status(Weft::ClosedError) { channel.send_many(%w[f]) }
    assert_equal %w[a b c], channel.recv_many(5)
    assert_status(Weft::ClosedError) { channel.recv_many(5) }
    assert_equal 0, held(channel)
  end

  def test_closed_in_the_middle
    channel = Weft::Channel.new(capacity: 2)
    sender = Thread.new { channel.send_many(1..5) }
    assert_equal 1, channel.recv
    channel.close
    sent = sender.value
    assert_includes 1..3, sent
    assert_equal [*2..sent], channel.to_a
    assert_equal 0, held(channel)
  end

  def test_waits_for_room_and_for_the_first
    [0, 1, 2, 5].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      sender = waiting { channel.send_many(1..100).tap { channel.close } }
      got = []
      loop { got.concat(channel.recv_many(7)) } rescue Weft::ClosedError
      assert_equal [*1..100], got
      assert_equal 100, sender.value
      receiver = Weft::Channel.new(capacity: capacity)
      first = waiting { receiver.recv_many(4) }
      receiver << :one
      assert_equal [:one], first.value
    end
  end

  def test_bad_arguments
    channel = Weft::Channel.new
    [0, -1, 1.5, nil].each { |max| assert_raises(ArgumentError) { channel.recv_many(max) } }
    assert_raises(NoMethodError) { channel.send_many(nil.to_s) }
    assert_status(Weft::WouldBlockError) { channel.recv_many(1, timeout: 0) }
  end

  # Each object is received once, whatever is interrupted when.
  def test_interrupts_lose_nothing
    channel = Weft::Channel.new(capacity: 4)
    received = Thread::Queue.new
    ends = Class.new(StandardError)
    receivers = Array.new(2) do
      interrupted_by(ends) do
        loop do
          Thread.handle_interrupt(ends => :on_blocking) { channel.recv_many(3).each { |object| received << object } }
        rescue ends
          next
        end
      rescue Weft::ClosedError
        nil
      end
    end
    pest = Thread.new do
      300.times do |i|
        receivers[i % 2].raise(ends)
        Thread.pass
      end
    end
    sent = (0...100).sum { |i| channel.send_many((i * 5...i * 5 + 5)) }
    pest.join
    channel.close
    receivers.each(&:join)
    received << channel.recv until channel.size.zero?
    assert_equal [*0...500], Array.new(received.size) { received.pop }.sort
    assert_equal [500, 0], [sent, held(channel)]
  end
end
