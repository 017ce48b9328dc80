# frozen_string_literal: true

# The log, pulled.

require "test_helper"

class LogTest < WeftTest::Case
  def setup
    @runtime = Weft::Runtime.new(name: "home", workers: 1)
  end

  def teardown
    Weft::Log.level = :off
    @runtime.shutdown
  end

  # Logs one warning.
  def repair
    @runtime.run_native(fixture(:repair), name: "resize")
  end

  def test_records
    Weft::Log.level = :warn
    repair
    record = Weft::Log.next
    assert_equal [:warn, 0, "home", "resize"], [record.level, record.worker, record.runtime, record.task]
    assert_match(/on purpose/, record.message)
    assert_equal Encoding::UTF_8, record.message.encoding
    assert_operator record.time_ns, :<=, Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)
  end

  def test_without_records
    assert_status(Weft::ClosedError) { Weft::Log.next }
    Weft::Log.level = :error
    repair
    assert_status(Weft::WouldBlockError) { Weft::Log.next(timeout: 0) }
    assert_status(Weft::TimeoutError) { Weft::Log.next(timeout: 0.001) }
    assert_raises(ArgumentError) { Weft::Log.level = :loud }
    Weft::Log.level = :off
    assert_status(Weft::ClosedError) { Weft::Log.next }
  end

  def test_each_goes_on_until_none_is_kept
    Weft::Log.level = :warn
    reader = waiting { Weft::Log.map(&:task) }
    3.times { repair }
    Weft::Log.level = :off
    assert_equal ["resize"] * 3, reader.value
  end

  def test_interrupts_lose_nothing
    Weft::Log.level = :warn
    seen = Thread::Queue.new
    reader = lambda do
      loop do
        hand = []
        Thread.handle_interrupt(KeyError => :immediate) { Weft::Log.next_into(hand) }
      rescue KeyError
        break
      ensure
        hand.each { |record| seen << record }
      end
    end
    60.times do
      thread = Thread.handle_interrupt(KeyError => :never) { waiting(&reader) }
      writer = Thread.new { repair }
      thread.raise(KeyError)
      writer.join
      thread.join
    end
    Weft::Log.level = :off
    records = Weft::Log.to_a
    records << seen.pop until seen.empty?
    assert_equal 60, records.size
  end
end
