# frozen_string_literal: true

# Channels with counted ends.

require "test_helper"

class EndsTest < WeftTest::Case
  def test_the_last_sender_closes
    sender, receiver = Weft::Channel.ends(capacity: 3, name: "counted")
    other = sender.dup
    assert_same sender, sender << 1
    sender.release
    sender.release
    refute_predicate receiver.channel, :closed?
    assert_equal 2, other.send_many([2, 3])
    assert_raises(Weft::ReleasedError) { sender << 4 }
    other.close
    assert_predicate receiver.channel, :closed?
    assert_equal [1, 2, 3], receiver.to_a
    assert_status(Weft::ClosedError) { receiver.recv }
  end

  def test_the_last_receiver_closes
    sender, receiver = Weft::Channel.ends
    other = receiver.clone
    sender << :lost
    receiver.release
    assert_equal :lost, other.recv
    other.release
    assert_status(Weft::ClosedError) { sender << 1 }
    assert_raises(Weft::ReleasedError) { other.recv(timeout: 0) }
    assert_match(/released/, other.inspect)
    assert_match(/Sender.*Channel/, sender.inspect)
  end

  def test_the_end_cascades
    numbers, of_numbers = Weft::Channel.ends(capacity: 4)
    squares, of_squares = Weft::Channel.ends(capacity: 4)
    workers = Array.new(3) do
      Weft.async(of_numbers.dup, squares.dup) do |from, to|
        from.each { |n| to << n * n }
      ensure
        to.release
      end
    end
    [of_numbers, squares].each(&:release)
    Weft.async { numbers.send_many(1..100) }.then { numbers.release }
    assert_equal (1..100).sum { |n| n * n }, of_squares.sum
    workers.each(&:value)
  end

  def test_one_that_is_collected_is_given_up
    receivers = apart do
      Array.new(50) do
        sender, receiver = Weft::Channel.ends
        sender.dup
        receiver
      end
    end
    GC.start
    # A stray word on a stack may keep some.
    assert_operator receivers.count { |receiver| receiver.channel.closed? }, :>, 25
  end

  def test_a_call_keeps_its_end
    sender, receiver = Weft::Channel.ends
    got = Thread::Queue.new
    reader = Thread.new { receiver.each { |object| break if got.push(object) && object == :last } }
    sender << :first
    assert_equal :first, got.pop
    receiver.release
    sender << :last
    reader.join
    assert_status(Weft::ClosedError) { sender << :late }
  end

  def test_with_select_and_io
    sender, receiver = Weft::Channel.ends(capacity: 1)
    assert_equal :sent, Weft.select { |s| s.send(sender.channel, 1) { :sent } }
    assert_equal [[receiver], [], []], IO.select([receiver])
    assert_equal 2, Weft.select { |s| s.receive(receiver.channel) { |n| n + 1 } }
  end
end
