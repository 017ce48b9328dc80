# frozen_string_literal: true

# Mutexes that the library knows, and deadlocks of them.

require "test_helper"

class MutexTest < WeftTest::Case
  def test_excludes
    mutex = Weft::Mutex.new("total")
    total = 0
    threads = Array.new(4) do
      Thread.new do
        200.times do
          mutex.synchronize do
            before = total
            Thread.pass
            total = before + 1
          end
        end
      end
    end
    threads.each(&:join)
    assert_equal 800, total
  end

  def test_one_holder
    mutex = Weft::Mutex.new
    assert_same mutex, mutex.lock
    assert_predicate mutex, :owned?
    assert_raises(Weft::DeadlockError) { mutex.lock }
    assert_raises(Weft::DeadlockError) { mutex.synchronize { flunk } }
    assert_predicate mutex, :owned?
    refute mutex.try_lock
    Thread.new do
      refute_predicate mutex, :owned?
      refute mutex.try_lock
      assert_status(Weft::TimeoutError) { mutex.lock(timeout: 0.001) }
      assert_status(Weft::BusyError) { mutex.unlock }
    end.join
    mutex.unlock
    assert_status(Weft::BusyError) { mutex.unlock }
    assert mutex.try_lock
    mutex.unlock
    assert_equal 5, mutex.synchronize { 5 }
    assert_raises(IOError) { mutex.synchronize { raise IOError } }
    refute_predicate mutex, :owned?
    mutex.release
    assert_raises(Weft::ReleasedError) { mutex.lock }
  end

  # Whatever is interrupted when, nobody is left holding it.
  def test_interrupts_leave_nothing_locked
    mutex = Weft::Mutex.new
    ends = Class.new(StandardError)
    inside = 0
    threads = Array.new(2) do
      interrupted_by(ends) do
        200.times do
          Thread.handle_interrupt(ends => :immediate) do
            mutex.synchronize do
              Thread.handle_interrupt(ends => :never) do
                inside += 1
                Thread.pass
                assert_equal 1, inside
                inside -= 1
              end
            end
          end
        rescue ends
          refute_predicate mutex, :owned?
        end
      end
    end
    400.times do |i|
      threads[i % 2].raise(ends) if threads[i % 2].alive?
      Thread.pass
    end
    threads.each(&:join)
    assert mutex.try_lock
  end

  def test_ctrl_c_ends_a_wait
    mutex = Weft::Mutex.new.lock
    thread = waiting { mutex.lock }
    thread.raise(Interrupt)
    assert_raises(Interrupt) { thread.value }
    mutex.unlock
    assert mutex.try_lock
  end

  def test_a_token_ends_a_wait
    mutex = Weft::Mutex.new.lock
    token = Weft::CancelToken.new
    thread = waiting { token.enter { mutex.lock } }
    token.trigger
    assert_raises(Weft::CancelledError) { thread.value }
  end

  # Two native functions that lock two mutexes, each in its own order. What is passed: both, and channels on which they tell
  # each other that they hold the first.
  DEADLOCK = <<~RUBY
    functions = FFI::DynamicLibrary.open(ENV.fetch("WEFT_FIXTURE"), FFI::DynamicLibrary::RTLD_NOW)
    lock_both = functions.find_function("fixture_lock_both")
    left, right = Weft::Mutex.new("left"), Weft::Mutex.new("right")
    token = Weft::CancelToken.new
    channels = Array.new(2) { Weft::Channel.new(capacity: 1) }
    raw = ->(object) { object.instance_variable_get(:@handle).use { |pointer| pointer } }
    pass = ->(*objects) { FFI::MemoryPointer.new(:pointer, 4).write_array_of_pointer(objects.map(&raw)) }
    first = Weft::Runtime.default.async_native(lock_both, pass.(left, right, *channels), cancel: token, name: "first")
    second = Weft::Runtime.default.async_native(lock_both, pass.(right, left, *channels.reverse), name: "second")
  RUBY

  def test_a_forked_child_holds_nothing
    mutex = Weft::Mutex.new
    mutex.synchronize do
      child = fork do
        held = mutex.owned?
        mutex.lock(timeout: 0)
      rescue Weft::ForkedError
        exit!(held ? 1 : 0)
      ensure
        exit!(2)
      end
      assert_equal 0, Process.wait2(child)[1].exitstatus
    end
  end

  def test_deadlocks_are_told_by_the_log
    output, status = ruby(<<~RUBY)
      Weft::Log.level = :error
      #{DEADLOCK}
      record = Weft::Log.find { |one| one.message.start_with?("deadlock") }
      token.trigger
      begin
        first.value
      rescue Weft::CancelledError
        second.value
        puts [Weft::Deadlock.count, record.message].inspect
      end
    RUBY
    assert_predicate status, :success?, output
    assert_match(/\A\[1, .*left.*right|right.*left/m, output)
  end

  def test_deadlocks_may_abort
    output, status = ruby(<<~RUBY)
      Weft::Deadlock.abort = true
      Weft::Deadlock.abort = false
      Weft::Deadlock.abort = true
      #{DEADLOCK}
      IO.select([first, second])
    RUBY
    assert_equal Signal.list["ABRT"], status.termsig, output
    assert_includes output, "weft: deadlock: "
  end
end
