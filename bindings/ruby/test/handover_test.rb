# frozen_string_literal: true

# An interrupt in the very moment in which the library hands an object over loses nothing: the object goes to the
# next receiver, or back to its sender.

require "test_helper"

class HandoverTest < WeftTest::Case
  class Hit < StandardError; end

  # The receiver is handed an object, and before it has the VM lock again it is interrupted.
  def test_what_an_interrupted_receiver_was_handed_goes_to_the_next
    [0, 1, 10, Weft::UNBOUNDED].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      sent = []
      50.times do |i|
        receiver = waiting { channel.recv }
        begin
          # This thread keeps the VM lock from here to the raise. Where there is no room the receiver may not have
          # come to wait in the library yet.
          channel.send(i, timeout: capacity.zero? ? nil : 0)
          sent << i
        rescue Weft::WouldBlockError
          nil
        end
        receiver.raise(Hit)
        begin
          sent.delete(receiver.value)
        rescue Hit
          nil
        end
        sent.delete(channel.recv) until sent.empty?
      end
      assert_equal [0, 0], [channel.size, held(channel)], "capacity #{capacity}"
    end
  end

  # The same, made certain: the library has handed over the object and the interrupt comes on the way back.
  def test_what_was_handed_over_in_the_moment_of_an_interrupt
    [0, 1, 3, Weft::UNBOUNDED].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      sender = waiting { channel << :one << :two }
      hit_after(:weft_channel_recv) { assert_raises(Hit) { channel.recv(timeout: 100_000) } }
      assert_includes [1, 2], channel.size
      assert_equal [:one, :two], [channel.recv, channel.recv], "nothing lost, in order"
      sender.join
      assert_equal 0, held(channel)
    end
  end

  def test_a_receiver_that_waits_already_gets_what_another_had_to_leave
    [0, 1, 3, Weft::UNBOUNDED].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      waiting = waiting { channel.recv }
      thief = Thread.new do
        hand = [:taken]
        # What recv does when an interrupt hits it with an object in its hand.
        channel.instance_variable_get(:@handle).use do |pointer|
          channel.instance_variable_get(:@returned).put(pointer, hand)
        end
        hand
      end
      assert_empty thief.value
      assert_equal :taken, waiting.value
      channel << :next if capacity != 0
      assert_equal :next, channel.recv if capacity != 0
    end
  end

  # Where a channel has no room the wake-up itself must wait for the receiver, which has looked already whether
  # something was left and is not yet in the library.
  def test_a_receiver_about_to_wait_at_a_channel_without_room
    meeting = Weft::Channel.new(capacity: 0)
    returned = meeting.instance_variable_get(:@returned)
    cell = FFI::MemoryPointer.new(:uint64).put_uint64(0, 99)
    meeting.instance_variable_get(:@handle).use do |pointer|
      returned.arrive
      returned.put(pointer, [:left])
      assert_equal 0, WeftTest::Native::Blocking.weft_channel_recv(pointer, cell, WeftTest::Native::FOREVER)
      returned.depart(pointer)
    end
    assert_equal 0, cell.read_uint64
    assert_equal :left, meeting.recv
  end

  def test_nothing_waits_for_a_receiver_of_a_channel_that_is_gone
    threads = apart do
      channel = Weft::Channel.new(capacity: 0)
      returned = channel.instance_variable_get(:@returned)
      channel.instance_variable_get(:@handle).use do |pointer|
        returned.arrive
        returned.put(pointer, [:left])
      end
      Thread.list.select { |thread| thread.name == "weft.channel" }
    end
    refute_empty threads
    GC.start
    threads.each { |thread| assert thread.join }
  end

  def test_a_wake_up_that_nobody_needed_takes_no_room
    channel = Weft::Channel.new(capacity: 1)
    returned = channel.instance_variable_get(:@returned)
    channel.instance_variable_get(:@handle).use do |pointer|
      returned.arrive
      returned.put(pointer, [:left])
      assert_equal 1, WeftTest::Native.weft_channel_len(pointer)
      returned.depart(pointer)
      assert_equal 0, WeftTest::Native.weft_channel_len(pointer)
    end
    assert_equal 1, channel.size
    channel.send(:next, timeout: 0)
    assert_equal %i[left next], [channel.recv, channel.recv]
  end

  # Two receivers are about to wait, two objects are left, and there is room for one wake-up: the first receiver
  # passes it on.
  def test_a_wake_up_is_passed_on
    channel = Weft::Channel.new(capacity: 1)
    returned = channel.instance_variable_get(:@returned)
    cell = FFI::MemoryPointer.new(:uint64)
    channel.instance_variable_get(:@handle).use do |pointer|
      2.times { returned.arrive }
      returned.put(pointer, [:second])
      returned.put(pointer, [:first])
      %i[first second].each do |object|
        assert_equal 0, WeftTest::Native.weft_channel_recv(pointer, cell.put_uint64(0, 99), 0)
        assert_equal 0, cell.read_uint64
        returned.woken
        returned.take(pointer, hand = [])
        assert_equal [object], hand
        returned.depart(pointer)
      end
      assert_equal 0, WeftTest::Native.weft_channel_len(pointer)
    end
  end

  def test_a_receiver_swaps_what_it_has_for_what_was_left_before
    channel = Weft::Channel.new(capacity: 1)
    returned = channel.instance_variable_get(:@returned)
    channel.instance_variable_get(:@handle).use do |pointer|
      returned.put(pointer, [:before])
      returned.take(pointer, hand = [:after])
      assert_equal [:before], hand
    end
    assert_equal :after, channel.recv(timeout: 0)
    assert_empty channel
  end

  def test_several_objects_left_come_first_and_in_order
    channel = Weft::Channel.new(capacity: 2)
    returned = channel.instance_variable_get(:@returned)
    receivers = Array.new(2) { waiting { channel.recv } }
    channel.instance_variable_get(:@handle).use do |pointer|
      [3, 2, 1, 0].each { |n| returned.put(pointer, [n]) }
    end
    first = receivers.map(&:value)
    channel.send(4)
    rest = Array.new(3) { channel.recv }
    assert_equal [0, 1, 2, 3, 4], (first + rest).sort
    assert_equal rest.sort, rest
    channel.close
    assert_empty channel.to_a
  end

  def test_a_closed_channel_still_gives_what_was_left
    channel = Weft::Channel.new
    channel.close
    channel.instance_variable_get(:@handle).use do |pointer|
      channel.instance_variable_get(:@returned).put(pointer, [nil])
    end
    assert_equal [nil], channel.to_a
    assert_raises(Weft::ClosedError) { channel.recv }
  end

  # The library has taken the element, and the interrupt comes on the way back.
  def test_a_send_that_raised_has_not_sent
    channel = Weft::Channel.new(capacity: 3)
    channel << :first
    hit_after(:weft_channel_send) { assert_raises(Hit) { channel << :withdrawn } }
    assert_equal 1, held(channel)
    channel << :second
    channel.close
    assert_equal %i[first second], channel.to_a
    assert_equal 0, held(channel)
  end

  def test_a_send_that_had_to_wait_and_raised
    channel = Weft::Channel.new(capacity: 1)
    channel << :first
    receiver = waiting { channel.to_a }
    # The receiver may have been faster.
    hit_after(:weft_channel_send) { assert_raises(Hit) { 3.times { channel << :withdrawn } } }
    channel << :second
    channel.close
    assert_equal %i[first second], receiver.value - [:withdrawn]
    assert_equal 0, held(channel)
  end

  # For each object that one receiver got another is hit, most of them in a wait. The sums are exact.
  def test_a_storm
    [0, 4, Weft::UNBOUNDED].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      received = Weft::Channel.new(capacity: Weft::UNBOUNDED)
      hits = Thread::Queue.new
      receivers = Array.new(4) { storm_receiver(channel, received, hits) }
      sender = Thread.new { 3000.times { |n| channel << n } }
      targets = receivers.cycle
      all = Array.new(2000) do
        targets.next.raise(Hit)
        received.recv
      end
      sender.join
      channel.close
      receivers.each(&:join)
      received.close
      assert_equal (0...3000).to_a, (all + received.to_a + channel.to_a).sort, "capacity #{capacity}"
      assert_operator hits.size, :>, 0
      assert_equal [0, 0], [held(channel), channel.size]
    end
  end

  private

  # A receiver that lets interrupts in only where it waits, so that an object it was given is counted.
  def storm_receiver(channel, received, hits)
    waiting do
      Thread.handle_interrupt(Hit => :on_blocking) do
        loop do
          received << channel.recv
        rescue Hit
          hits << true
        rescue Weft::ClosedError
          break
        end
      end
    rescue Hit
      hits << true # it was still held back at the end
    end
  end

  # Makes the next call of this function that waits raise when it has succeeded, as an interrupt can.
  def hit_after(function)
    blocking = WeftTest::Native::Blocking
    original = blocking.method(function)
    hit = lambda do |*arguments|
      status = original.call(*arguments)
      raise Hit if status.zero?

      status
    end
    blocking.stub(function, hit) do
      # Also where nothing has to be waited for.
      WeftTest::Native.stub(function, hit) { yield }
    end
  end
end
