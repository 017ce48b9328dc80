# frozen_string_literal: true

# Channels and futures beside sockets, in IO.select; completions of futures in one channel.

require "test_helper"

class DescriptorTest < WeftTest::Case
  class Hit < StandardError; end

  def readable?(object)
    !IO.select([object], nil, nil, 0).nil?
  end

  def test_a_channel
    [0, 1, 100, Weft::UNBOUNDED].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      refute readable?(channel)
      sender = waiting { 2.times { |i| channel << i } }
      2.times do |i|
        assert_equal [[channel], [], []], IO.select([channel])
        assert_equal i, channel.recv(timeout: 0)
      end
      sender.join
      # It may be readable for nothing, once.
      assert_raises(Weft::WouldBlockError) { channel.recv(timeout: 0) }
      refute readable?(channel)
      assert_same channel.to_io, channel.to_io
      channel.close
      assert_equal [[channel], [], []], IO.select([channel])
    end
  end

  def test_a_future
    promise = Weft::Promise.new
    refute readable?(promise.future)
    promise.reject("whatever the outcome")
    assert_equal [[promise.future], [], []], IO.select([promise.future])
    assert readable?(promise.future)
    assert_same promise.future.to_io, promise.future.to_io
    assert readable?(Weft.async { 1 }.tap(&:wait))
  end

  def test_what_is_there_is_seen_from_the_beginning
    channel = Weft::Channel.new << 1
    assert readable?(channel)
    promise = Weft::Promise.new.resolve(1)
    assert readable?(promise.future)
    assert_raises(Weft::ReleasedError) { promise.future.tap(&:release).to_io }
  end

  def test_beside_a_pipe
    IO.pipe do |reader, writer|
      channel = Weft::Channel.new
      promise = Weft::Promise.new
      all = [reader, channel, promise.future]
      assert_nil IO.select(all, nil, nil, 0)
      waiter = waiting { IO.select(all).first }
      promise.resolve
      assert_equal [promise.future], waiter.value
      writer << "x"
      channel << 1
      assert_equal all, IO.select(all).first
    end
  end

  # An object whose receiver was interrupted is nowhere in the library; who waits for the descriptor learns of it.
  def test_returned_objects_are_seen
    [0, 1].each do |capacity|
      channel = Weft::Channel.new(capacity: capacity)
      channel.to_io
      50.times do |i|
        receiver = waiting { channel.recv }
        hitter = Thread.new { receiver.raise(Hit) }
        sender = Thread.new { channel << i }
        hitter.join
        received =
          begin
            receiver.value
          rescue Hit
            wait_for(channel)
          end
        assert_equal i, received
        sender.join
      end
    end
  end

  def wait_for(channel)
    IO.select([channel])
    channel.recv(timeout: 0)
  rescue Weft::WouldBlockError
    retry
  end

  def test_the_io_outlives_what_it_was_made_of
    io = apart { Weft::Promise.new.resolve(1).future.to_io }
    5.times { GC.start }
    refute_predicate io, :closed?
    assert IO.select([io], nil, nil, 0)
    future = Weft::Promise.new.resolve(1).future
    io = future.to_io
    future.release
    assert IO.select([io], nil, nil, 0)
  end

  def test_completions_in_one_channel
    done = Weft::Channel.new(capacity: Weft::UNBOUNDED)
    promises = Array.new(5) { Weft::Promise.new }
    promises.each { |promise| assert_same promise.future, promise.future.notify(done) }
    [3, 1, 4].each { |i| promises[i].resolve(i) }
    assert_equal [3, 1, 4], Array.new(3) { done.recv.value }
    assert_raises(Weft::WouldBlockError) { done.recv(timeout: 0) }
    promises[0].reject("no matter")
    assert_equal :failed, done.recv.state
    promises[3].future.notify(done, :again)
    assert_equal :again, done.recv
    blocks = Array.new(20) { |i| Weft.async { i } }
    blocks.each { |block| block.notify(done) }
    assert_equal (0...20).sum, done.first(20).sum(&:value)
    assert readable?(done.tap { promises[2].future.notify(done) && promises[2].resolve })
  end

  def test_completions_refused
    promise = Weft::Promise.new
    bounded = Weft::Channel.new
    assert_status(Weft::InvalidError) { promise.future.notify(bounded) }
    assert_equal 0, held(bounded)
    assert_raises(ArgumentError) { promise.future.notify([]) }
    closed = Weft::Channel.new(capacity: Weft::UNBOUNDED).tap(&:close)
    promise.future.notify(closed)
    promise.resolve
    assert_status(Weft::ClosedError) { closed.recv }
  end
end
