# frozen_string_literal: true

# Interrupts end every wait at once, wherever they come from. (That they lose nothing: handover_test.rb.)
#
# "At once" needs no clock here: what is waited for never comes, so a wait that an interrupt does not end
# never ends.

require "test_helper"

class InterruptTest < WeftTest::Case
  class Hit < StandardError; end

  def setup
    @full = Weft::Channel.new(capacity: 1)
    @full << :full
    @empty = Weft::Channel.new
    @meeting = Weft::Channel.new(capacity: 0)
    @pending = Weft::Promise.new
    @runtime = Weft::Runtime.new(workers: 1)
    @reader, @writer = IO.pipe
    @memory = FFI::MemoryPointer.new(:int64, 2).write_array_of_int64([@reader.fileno, 0])
    @blocked = @runtime.async_native(fixture(:read), @memory)
  end

  def teardown
    # Lets every fixture_read go on that a test has started.
    @writer.write("\1" * 64)
    @runtime.shutdown
    [@reader, @writer].each(&:close)
  end

  # Every call that waits, in a state in which it waits for ever.
  def waits
    {
      recv: -> { @empty.recv },
      "recv with a timeout": -> { @empty.recv(timeout: 100_000) },
      "recv, meeting": -> { @meeting.recv },
      each: -> { @empty.each { flunk } },
      send: -> { @full.send(:more) },
      "send, meeting": -> { @meeting.send(:more) },
      value: -> { @pending.future.value },
      wait: -> { @pending.future.wait(timeout: 100_000) },
      "native value": -> { @blocked.value },
      run_native: -> { @runtime.run_native(fixture(:read), @memory) },
      shutdown: -> { @runtime.shutdown },
      "shutdown of a pool": -> { Weft::Pool.new.tap { |pool| pool.async { @empty.recv } }.shutdown }
    }
  end

  def test_thread_raise
    waits.each do |name, wait|
      thread = waiting(&wait)
      thread.raise(Hit, "hit")
      assert_equal "hit", assert_raises(Hit, name.to_s) { thread.join }.message
    end
  end

  def test_thread_kill
    waits.each do |name, wait|
      ended = []
      thread = waiting do
        wait.call
        ended << :returned
      ensure
        ended << :unwound
      end
      thread.kill
      thread.join
      assert_equal [:unwound], ended, name.to_s
    end
  end

  def test_timeout_timeout
    waits.each do |name, wait|
      assert_raises(Timeout::Error, name.to_s) { Timeout.timeout(0.02) { wait.call } }
    end
  end

  def test_again_and_again
    100.times do
      threads = [waiting { @empty.recv }, waiting { @full << 1 }, waiting { @pending.future.value }]
      threads.each { |thread| thread.raise(Hit) }
      threads.each { |thread| assert_raises(Hit) { thread.join } }
    end
    assert_equal [1, 1, 0], [@full.size, held(@full), held(@empty)]
    @full.recv
    @full << :works
    assert_equal :works, @full.recv
  end

  # Two threads, both in the library: nobody else can repeat the signal that came too early.
  def test_a_signal_before_the_wait_is_repeated
    output, status = ruby(<<~'RUBY', ENV.fetch("WEFT_FIXTURE"))
      library = FFI::DynamicLibrary.open(ARGV.first, FFI::DynamicLibrary::RTLD_NOW)
      function = library.find_function("fixture_recv_late")
      late = FFI::Function.new(:int32, %i[pointer pointer int64], function, blocking: true)
      instead = Module.new { define_method(:weft_channel_recv) { |*arguments| late.call(*arguments) } }
      Weft.const_get(:Native)::Blocking.singleton_class.prepend(instead)
      ended = Weft::Promise.new
      ready = Thread::Queue.new
      thread = Thread.new do
        ready << true
        Weft::Channel.new.recv
      ensure
        ended.resolve(:ended)
      end
      ready.pop
      thread.kill
      puts ended.future.value
    RUBY
    assert_equal ["ended\n", true], [output, status.success?]
  end

  # The program says "waiting" from a second thread, which runs when the first has let go of the VM lock.
  CTRL_C = <<~'RUBY'
    empty = Weft::Channel.new
    full = Weft::Channel.new(capacity: 1) << 1
    promise = Weft::Promise.new
    waits = { "recv" => -> { empty.recv }, "send" => -> { full << 2 }, "value" => -> { promise.future.value } }
    begin
      Thread.new { $stdout.syswrite("waiting\n") }
      waits.fetch(ARGV.first).call
    rescue Interrupt
      puts "interrupted"
    end
  RUBY

  def test_ctrl_c
    %w[recv send value].each do |wait|
      command = [RbConfig.ruby, "-w", "-I", WeftTest::LIB, "-r", "weft", "-e", CTRL_C, wait]
      IO.popen(command) do |program|
        assert_equal "waiting\n", program.gets
        Process.kill("INT", program.pid)
        assert_equal "interrupted\n", program.read, wait
      end
      assert_predicate $?, :success?
    end
  end

  def test_ctrl_c_ends_a_program_that_does_not_care
    command = [RbConfig.ruby, "-I", WeftTest::LIB, "-r", "weft", "-e", <<~'RUBY', { err: File::NULL }]
      Weft.async { Weft::Channel.new.recv }
      Thread.new { $stdout.syswrite("waiting\n") }
      Weft::Channel.new.recv
    RUBY
    IO.popen(command) do |program|
      assert_equal "waiting\n", program.gets
      Process.kill("INT", program.pid)
      assert_equal "", program.read
    end
    assert_equal Signal.list["INT"], $?.termsig
  end

  def test_a_handler_that_does_not_raise_does_not_end_the_wait
    seen = []
    before = trap("USR1") { seen << :signal }
    sender = Thread.new do
      # Handlers run on the main thread, which waits below.
      20.times { Process.kill("USR1", Process.pid) }
      @empty << :after
    end
    assert_equal :after, @empty.recv
    sender.join
    refute_empty seen
  ensure
    trap("USR1", before)
  end

  def test_wake_ups_without_a_reason_do_not_end_a_wait
    receivers = [waiting { @empty.recv }, waiting { @empty.recv(timeout: 100_000) }]
    waiter = waiting { @pending.future.value }
    100.times { [*receivers, waiter].each(&:wakeup) }
    2.times { |i| @empty << i }
    @pending.resolve(:done)
    assert_equal [0, 1], receivers.map(&:value).sort
    assert_equal :done, waiter.value
  end

  def test_an_interrupt_that_is_held_back_waits_for_the_end
    order = Thread::Queue.new
    thread = waiting do
      Thread.handle_interrupt(Hit => :never) { order << @empty.recv }
    end
    thread.raise(Hit)
    @empty << :first
    assert_raises(Hit) { thread.join }
    assert_equal :first, order.pop(true)
  end

  def test_an_interrupt_that_is_held_back_until_the_thread_waits
    Thread.handle_interrupt(Hit => :on_blocking) do
      waits.each do |name, wait|
        pending = Thread.handle_interrupt(Hit => :never) do
          Thread.current.raise(Hit)
          Thread.pending_interrupt?
        end
        assert pending
        assert_raises(Hit, name.to_s, &wait)
      end
      # What does not wait is not disturbed.
      Thread.handle_interrupt(Hit => :never) { Thread.current.raise(Hit) }
      assert_equal :full, @full.recv
      assert_raises(Hit) { @full.recv }
    end
  end
end
