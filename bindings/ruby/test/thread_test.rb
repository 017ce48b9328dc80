# frozen_string_literal: true

# Weft::Thread: waits that are ended by another thread, once. (By Ruby's own means: interrupt_test.rb.)

require "test_helper"

class ThreadTest < WeftTest::Case
  def setup
    @empty = Weft::Channel.new
    @pending = Weft::Promise.new
  end

  def waits
    full = Weft::Channel.new(capacity: 1) << :full
    meeting = Weft::Channel.new(capacity: 0)
    single = Weft::Runtime.new(kind: :single)
    hosted = Weft::Runtime.new(kind: :hosted, workers: 1)
    Weft::Log.level = :error
    {
      recv: -> { @empty.recv },
      "recv with a timeout": -> { @empty.recv(timeout: 100_000) },
      "recv, meeting": -> { meeting.recv },
      each: -> { @empty.each { flunk } },
      send: -> { full.send(:more) },
      "send, meeting": -> { meeting.send(:more) },
      value: -> { @pending.future.value },
      wait: -> { @pending.future.wait },
      run: -> { single.run(:until_shutdown) },
      lend: -> { hosted.lend },
      log: -> { Weft::Log.next },
      sleep: -> { Weft.sleep },
      "sleep with an end": -> { Weft.sleep(100_000) }
    }
  end

  # Starts a thread that can be interrupted and waits in the block.
  def interruptible(&block)
    known = Thread::Queue.new
    thread = waiting do
      known << Weft::Thread.current
      block.call
    end
    [thread, known.pop]
  end

  def test_current
    assert_same Weft::Thread.current, Weft::Thread.current
    refute_same Weft::Thread.current, Thread.new { Weft::Thread.current }.value
    assert_raises(NoMethodError) { Weft::Thread.new }
  end

  def test_waits_are_ended
    waits.each do |name, wait|
      thread, known = interruptible(&wait)
      assert_same known, known.interrupt
      error = assert_raises(Weft::InterruptedError, name.to_s) { thread.value }
      assert_equal Weft::InterruptedError::STATUS, error.status
    end
  ensure
    Weft::Log.level = :off
  end

  def test_the_next_wait_is_ended_once
    waits.each do |name, wait|
      2.times { Weft::Thread.current.interrupt }
      # What does not have to wait is done.
      assert_equal 1, (@empty << 1).recv
      assert_raises(Weft::InterruptedError, name.to_s, &wait)
      assert_raises(Weft::TimeoutError) { @empty.recv(timeout: 0.001) }
    end
  ensure
    Weft::Log.level = :off
  end

  def test_beside_ruby_own_interrupts
    waits.each do |name, wait|
      thread, = interruptible(&wait)
      thread.raise(KeyError)
      assert_raises(KeyError, name.to_s) { thread.value }
      thread, = interruptible(&wait)
      assert_same thread, thread.kill.join, name.to_s
      assert_raises(Timeout::Error, name.to_s) { Timeout.timeout(0.02) { wait.call } }
    end
  ensure
    Weft::Log.level = :off
  end

  # Signals go on not ending it.
  def test_handlers_that_do_not_raise_do_not_end_the_wait
    before = trap("USR1") { @seen = true }
    known = Weft::Thread.current
    received = Thread::Queue.new
    sender = Thread.new do
      20.times { Process.kill("USR1", Process.pid) }
      @empty << :after
      received.pop
      20.times { Process.kill("USR1", Process.pid) }
      known.interrupt
    end
    assert_equal :after, @empty.recv
    received << true
    assert_raises(Weft::InterruptedError) { @empty.recv }
    sender.join
    assert @seen
  ensure
    trap("USR1", before)
  end

  def test_a_signal_handler_may_interrupt
    known = Weft::Thread.current
    before = trap("USR1") { known.interrupt }
    Process.kill("USR1", Process.pid)
    assert_raises(Weft::InterruptedError) { @empty.recv }
  ensure
    trap("USR1", before)
  end

  def test_every_interrupt_of_a_wait_that_is_known_to_be_over
    thread, known = interruptible do
      Array.new(300) do
        @empty.recv
        :received
      rescue Weft::InterruptedError
        @pending.future.wait(timeout: 0)
        :interrupted
      end
    end
    feeder = Thread.new { loop { @empty << 1 } }
    known.interrupt while thread.alive?
    assert_equal 300, thread.value.size
    feeder.kill.join
  end

  def test_a_thread_that_has_ended
    known = Thread.new { Weft::Thread.current }.value
    assert_same known, known.interrupt
  end

  def test_in_a_forked_child
    known = Weft::Thread.current
    reader, writer = IO.pipe
    pid = fork do
      writer.write(begin
        known.interrupt
      rescue Weft::ForkedError
        Weft::Thread.current.interrupt
        (@empty = Weft::Channel.new).recv rescue $!.class.name # rubocop:disable Style/RescueModifier
      end)
      exit!
    end
    writer.close
    Process.wait(pid)
    assert_equal "Weft::InterruptedError", reader.read
    reader.close
  end
end
