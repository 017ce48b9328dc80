# frozen_string_literal: true

# Interrupts end every wait at once, wherever they come from, and lose nothing.
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
    returned = @meeting.instance_variable_get(:@returned)
    cell = FFI::MemoryPointer.new(:uint64).put_uint64(0, 99)
    @meeting.instance_variable_get(:@handle).use do |pointer|
      returned.arrive
      returned.put(pointer, [:left])
      assert_equal 0, WeftTest::Native::Blocking.weft_channel_recv(pointer, cell, WeftTest::Native::FOREVER)
      returned.depart(pointer)
    end
    assert_equal 0, cell.read_uint64
    assert_equal :left, @meeting.recv
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
