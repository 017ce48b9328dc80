# frozen_string_literal: true

# Weft.select: exactly one event happens, and nothing is lost.

require "test_helper"

class SelectTest < WeftTest::Case
  class Hit < StandardError; end

  def setup
    @empty = Weft::Channel.new
    @full = Weft::Channel.new(capacity: 1) << :full
    @meeting = Weft::Channel.new(capacity: 0)
    @promise = Weft::Promise.new
    @token = Weft::CancelToken.new
  end

  # A select of every kind of event, none of which can happen.
  def select(timeout: nil)
    Weft.select(timeout: timeout) do |s|
      s.receive(@empty) { |object| [:received, object] }
      s.send(@full, :more) { :sent }
      s.receive(@meeting) { |object| [:met, object] }
      s.settled(@promise.future) { |future| [:settled, future.value] }
      s.triggered(@token) { |token| [:triggered, token.reason] }
    end
  end

  def test_nothing_happens
    assert_status(Weft::WouldBlockError) { select(timeout: 0) }
    assert_status(Weft::TimeoutError) { select(timeout: 0.001) }
    assert_equal [0, 1, 0], [held(@empty), held(@full), held(@meeting)]
    assert_raises(ArgumentError) { Weft.select { nil } }
    [@empty, nil, :token].each do |other|
      assert_raises(ArgumentError) { Weft.select { |s| s.settled(other) } }
      assert_raises(ArgumentError) { Weft.select { |s| s.triggered(other) } }
    end
    assert_raises(ArgumentError) { Weft.select { |s| s.receive([]) } }
    assert_raises(ArgumentError) { Weft.select { |s| s.send([], 1) } }
  end

  def test_each_event
    @empty << { an: :object }
    assert_equal [:received, { an: :object }], select
    assert_equal :full, @full.recv
    assert_equal :sent, select
    assert_equal :more, @full.recv
    @full << :full
    sender = Thread.new { @meeting << nil }
    assert_equal [:met, nil], select
    sender.join
    @promise.resolve(6 * 7)
    assert_equal [:settled, 42], select
  end

  def test_each_event_while_waiting
    { -> { @empty << 1 } => [:received, 1], -> { @meeting << 2 } => [:met, 2], -> { @full.recv } => :sent,
      -> { @token.trigger("why") } => [:triggered, "why"] }.each do |event, result|
      waiter = waiting { select }
      event.call
      assert_equal result, waiter.value
    end
  end

  def test_without_blocks
    @empty << 5
    assert_equal 5, Weft.select { |s| s.receive(@empty) }
    assert_nil Weft.select { |s| s.send(@empty, 6) }
    @promise.reject("no matter")
    assert_same @promise.future, Weft.select { |s| s.settled(@promise.future) }
    assert_same @token, Weft.select { |s| s.triggered(@token.trigger) }
  end

  def test_closed_channels
    @empty << :last
    @empty.close
    assert_equal :last, Weft.select { |s| s.receive(@empty) }
    assert_status(Weft::ClosedError) { Weft.select { |s| s.receive(@empty) { flunk } } }
    assert_status(Weft::ClosedError) { Weft.select { |s| s.send(@empty, 1) { flunk } } }
    assert_equal :closed, Weft.select { |s| s.receive(@empty, closed: -> { :closed }) { flunk } }
    assert_equal :refused, Weft.select { |s| s.send(@empty, 1, closed: -> { :refused }) { flunk } }
    assert_equal 0, held(@empty)
    waiter = waiting { Weft.select { |s| s.receive(@meeting, closed: -> { :closed }) } }
    @meeting.close
    assert_equal :closed, waiter.value
  end

  def test_every_object_once
    channels = Array.new(3) { |i| Weft::Channel.new(capacity: i) }
    senders = Array.new(3) do |i|
      Thread.new do
        (i * 300...(i + 1) * 300).each { |n| Weft.select { |s| channels.each { |channel| s.send(channel, n) } } }
      end
    end
    done = Weft::Channel.new
    receivers = Array.new(3) do
      Thread.new do
        got = []
        over = false
        until over
          Weft.select do |s|
            channels.each { |channel| s.receive(channel) { |n| got << n } }
            s.receive(done, closed: -> { over = true })
          end
        end
        got
      end
    end
    senders.each(&:join)
    done.close
    got = receivers.flat_map(&:value)
    channels.each { |channel| got << channel.recv until channel.empty? }
    assert_equal (0...900).to_a, got.sort
    assert_equal [0, 0, 0], channels.map { |channel| held(channel) }
  end

  def test_interrupts_end_it
    thread = waiting { select }
    thread.raise(Hit)
    assert_raises(Hit) { thread.join }
    thread = waiting { select }
    assert_same thread, thread.kill.join
    assert_raises(Timeout::Error) { Timeout.timeout(0.02) { select } }
    Weft::Thread.current.interrupt
    assert_status(Weft::InterruptedError) { select }
    token = Weft::CancelToken.new
    thread = waiting { token.enter { select } }
    token.trigger
    assert_raises(Weft::CancelledError) { thread.value }
    assert_equal [0, 1, 0], [held(@empty), held(@full), held(@meeting)]
  end

  # Objects that a receiver was being handed when it was interrupted go to the next one, be it one that selects or one
  # that receives.
  def test_interrupts_lose_nothing
    [0, 4].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      received = Thread::Queue.new
      receivers = Array.new(3) { |i| receiver(channel, received, i) }
      sender = Thread.new { 500.times { |n| channel << n } }
      hitter = Thread.new do
        while sender.alive?
          receivers.each { |thread| thread.raise(Hit) }
          Thread.pass
        end
      end
      [sender, hitter].each(&:join)
      channel.close
      receivers.each(&:join)
      got = Array.new(received.size) { received.pop }
      assert_equal (0...500).to_a, got.sort
      assert_equal 0, held(channel)
    end
  end

  # A thread that receives until the channel is closed, in one way or the other, and is interrupted while it waits only.
  def receiver(channel, received, number)
    Thread.handle_interrupt(Hit => :never) do
      Thread.new { nil while receive_one(channel, received, number) }
    end
  end

  def receive_one(channel, received, number)
    hand = []
    Thread.handle_interrupt(Hit => :on_blocking) do
      if number.zero?
        channel.recv_into(hand)
      else
        Weft.select { |s| s.receive(channel) { |object| hand << object } }
      end
    end
    true
  rescue Hit
    true
  rescue Weft::ClosedError
    false
  ensure
    hand.each { |object| received << object }
  end
end
