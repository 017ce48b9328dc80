# frozen_string_literal: true

# Calls of worker processes: what comes back, what a death costs, and how a pool ends.

require "test_helper"
require "tmpdir"

class ProcessPoolTest < WeftTest::Case
  class Odd < StandardError
    attr_reader :number

    def initialize(number, _reason)
      @number = number
      super("#{number} is odd")
    end
  end

  # Its objects cannot be dumped.
  class Bound < StandardError
    def initialize
      @block = -> {}
      super("bound")
    end
  end

  def pool(**options, &handler)
    @pools ||= []
    Weft::ProcessPool.new(**{ workers: 1, backoff: 0 }.merge(options), &handler).tap { |made| @pools << made }
  end

  def teardown
    @pools&.each(&:close)
    refute children, "no worker is left"
  end

  # The program's children; nil: none.
  def children
    Process.wait(-1, Process::WNOHANG)
  rescue Errno::ECHILD
    nil
  end

  # Has workers that do what they are asked.
  def doing(**options)
    pool(**options) do |what, *arguments|
      case what
      when :pid then Process.pid
      when :kill then Process.kill(arguments.first || :KILL, Process.pid) && sleep
      when :exit then exit(arguments.first)
      when :raise then raise arguments.first
      when :wait then IO.select(nil)
      else [what]
      end
    end
  end

  def test_objects_there_and_back
    echo = pool { |object| object }
    values = [nil, 1, "text\u00e9", "\0\xff".b, :symbol, { a: [1.5, 2..3] }, Struct.new(:x).superclass, "x" * 9_000_000]
    values.each { |value| assert_operator value, :==, echo.call(value) }
    future = echo.async([1])
    assert_kind_of Weft::Future, future
    assert_same future.value, future.value
    assert_equal [[2], [3]], Weft.all(echo.async([2]), echo.async([3])).value
    assert_equal 9, echo.async(4).then { |four| four + 5 }.value
  end

  def test_workers_are_forks_of_this_process
    secret = "known here"
    teller = pool { [secret, Process.pid, Process.ppid] }
    told, pid, parent = teller.call(nil)
    assert_equal [secret, Process.pid], [told, parent]
    refute_equal Process.pid, pid
  end

  def test_map_keeps_the_order_and_takes_no_more_than_needed
    squares = pool(workers: 2, window: 2) { |number| number * number }
    assert_equal (1..100).map { |n| n * n }, squares.map(1..100)
    taken = 0
    endless = Enumerator.new { |y| loop { y << (taken += 1) } }
    failing = pool(workers: 2) { |number| number == 3 ? raise(Odd.new(3, nil)) : number }
    assert_raises(Odd) { failing.map(endless) }
    assert_operator taken, :<, 20
  end

  def test_exceptions_come_back
    failing = pool do |kind|
      case kind
      when :odd then raise Odd.new(7, :why)
      when :bound then raise Bound
      when :key then { a: 1 }.fetch(:b)
      when :weft then raise Weft::RejectedError, "no thanks"
      when :local then raise Class.new(StandardError), "nameless"
      when :message then raise "\xff\0bytes".b
      when :argument then -> { -> {} }.call # a Proc cannot be dumped
      end
    end
    error = assert_raises(Odd) { failing.call(:odd) }
    assert_equal ["7 is odd", 7], [error.message, error.number]
    assert_match(/process_pool_test\.rb:\d+:in .*test_exceptions_come_back/, error.backtrace.first)
    assert_equal "bound", assert_raises(Bound) { failing.call(:bound) }.message
    assert_equal :b, assert_raises(KeyError) { failing.call(:key) }.key
    assert_equal "no thanks", assert_status(Weft::RejectedError) { failing.call(:weft) }.message
    error = assert_raises(Weft::RemoteError) { failing.call(:local) }
    assert_equal ["nameless", ""], [error.message, error.class_name]
    assert_instance_of RuntimeError, assert_raises(RuntimeError) { failing.call(:message) }
    assert_raises(TypeError) { failing.call(:argument) }
    future = failing.async(:odd)
    assert_same assert_raises(Odd) { future.value }, future.error
    assert_equal :failed, future.state
  end

  def test_classes_that_are_not_known_here
    failing = pool do
      Object.const_set(:OnlyThere, Class.new(StandardError)) unless Object.const_defined?(:OnlyThere)
      raise OnlyThere, "from afar"
    end
    error = assert_raises(Weft::RemoteError) { failing.call(nil) }
    assert_equal ["from afar", "OnlyThere"], [error.message, error.class_name]
    refute_empty error.backtrace
    assert_kind_of Weft::FailedError, error
  end

  def test_a_death_costs_its_own_call
    mortal = doing(workers: 2)
    before = mortal.call([:pid])
    error = assert_status(Weft::DiedError) { mortal.call([:kill]) }
    assert_equal [Signal.list["KILL"], nil], [error.signal, error.exit_status]
    assert_includes error.message, error.pid.to_s
    error = assert_status(Weft::DiedError) { mortal.call([:exit, 3]) }
    assert_equal [nil, 3], [error.signal, error.exit_status]
    assert_equal Signal.list["TERM"], assert_raises(Weft::DiedError) { mortal.call([:kill, :TERM]) }.signal
    assert_equal [[:a]] * 20, mortal.map([[:a]] * 20)
    stats = mortal.stats
    assert_equal [24, 21, 3, 0], stats.values_at(:calls, :succeeded, :died, :failed)
    assert_operator before, :>, 0
  end

  def test_retries
    Dir.mktmpdir do |directory|
      flaky = pool(attempts: 3) do |mark|
        attempt = Weft::ProcessPool.attempt
        File.write(File.join(directory, "#{mark}#{attempt}"), "")
        Process.kill(:KILL, Process.pid) && sleep if attempt < 3
        attempt
      end
      future = flaky.async("a")
      assert_equal [3, 3], [future.value, future.attempts]
      assert_equal %w[a1 a2 a3], Dir.children(directory).sort
      assert_raises(Weft::DiedError) { flaky.call("b", attempts: 1) }
      assert_equal %w[a1 a2 a3 b1], Dir.children(directory).sort
    end
    assert_equal 0, Weft::ProcessPool.attempt
  end

  def test_a_call_that_overruns_its_time
    slow = doing
    assert_status(Weft::TimeoutError) { slow.call([:wait], timeout: 0.01) }
    assert_equal [:a], slow.call([:a])
    slow = doing(timeout: 0.01)
    assert_raises(Weft::TimeoutError) { slow.call([:wait]) }
    assert_equal 1, slow.stats[:timed_out]
  end

  def test_cancelling
    IO.pipe do |reader, writer|
      asked = pool do |kind|
        writer.write("x")
        nil until kind == :go || Weft::ProcessPool.cancelled?
        raise Weft::CancelledError, "as you wish" unless kind == :go
      end
      first = asked.async(:busy)
      reader.read(1)
      waiting = asked.async(:go)
      waiting.cancel
      assert_raises(Weft::CancelledError) { waiting.value }
      first.cancel
      assert_equal "as you wish", assert_raises(Weft::CancelledError) { first.value }.message
      token = Weft::CancelToken.new
      held = asked.async(:busy, cancel: token)
      reader.read(1)
      token.trigger
      assert_raises(Weft::CancelledError) { held.value }
      refute Weft::ProcessPool.cancelled?
      assert_equal 3, asked.stats[:calls]
    end
  end

  def test_a_wait_that_is_interrupted_cancels_its_call
    IO.pipe do |reader, writer|
      asked = pool do
        writer.write("x")
        nil until Weft::ProcessPool.cancelled?
        writer.write("y")
      end
      thread = Thread.new { asked.call(nil) }
      reader.read(1)
      thread.kill
      thread.join
      assert_equal "y", reader.read(1)
      thread = Thread.new do
        Thread.current.report_on_exception = false
        asked.call(nil)
      end
      assert_equal "x", reader.read(1)
      thread.raise(Odd.new(1, nil))
      assert_raises(Odd) { thread.value }
      assert_equal "y", reader.read(1)
    end
  end

  def test_recycling_and_draining_with_calls_open
    short = doing(workers: 2, max_calls: 1)
    futures = Array.new(10) { short.async([:pid]) }
    short.drain
    assert_equal 10, futures.map(&:value).uniq.size
    stats = short.stats
    assert_equal [stats[:born], 0], stats.values_at(:left, :deaths)
    assert_status(Weft::ClosedError) { short.async([:pid]) }
  end

  def test_closing_ends_open_calls
    stuck = doing(grace: 0.01)
    future = stuck.async([:wait])
    stuck.close
    assert_includes [Weft::ShutdownError, Weft::DiedError], assert_raises(Weft::Error) { future.value }.class
    assert_raises(Weft::ReleasedError) { stuck.async([:pid]) }
    assert_nil stuck.close
    other = doing(grace: 0.01)
    other.async([:wait])
    assert_status(Weft::TimeoutError) { other.drain(timeout: 0.01) }
  end

  def test_resizing
    sized = doing
    sized.resize(3)
    assert_equal 3, sized.stats[:workers]
    sized.map([[:pid]] * 6)
    sized.resize(1)
    assert_equal [[:a]] * 4, sized.map([[:a]] * 4)
    assert_raises(ArgumentError) { sized.resize(0) }
    assert_raises(ArgumentError) { sized.resize("2") }
  end

  def test_setup_and_surroundings
    Dir.mktmpdir do |directory|
      made = pool(setup: -> { @ready = :ready }, env: { "ONLY" => "this" }, directory: directory, title: "weft-test", nice: 1,
                  limits: { NOFILE: [60, 80] }) do
        [@ready, ENV.to_h, Dir.pwd, File.read("/proc/self/cmdline").delete("\0"),
         Process.getpriority(Process::PRIO_PROCESS, 0), Process.getrlimit(:NOFILE)]
      end
      nice = Process.getpriority(Process::PRIO_PROCESS, 0) + 1
      ready, env, pwd, title, priority, limit = made.call(nil)
      assert_equal [:ready, { "ONLY" => "this" }, File.realpath(directory), [nice, 19].min, [60, 80]],
                   [ready, env, pwd, priority, limit]
      assert_includes title, "weft-test"
    end
  end

  def test_workers_that_do_not_begin
    failing = nil
    _, output = capture_subprocess_io do
      failing = pool(setup: -> { raise "no setup" }, restart_limit: 1) { 1 }
      assert_status(Weft::DiedError) { failing.call(nil) }
    end
    assert_includes output, "no setup"
  end

  def test_signals_are_the_parents
    before = trap("INT") { flunk }
    deaf = doing(workers: 2)
    pids = [deaf.call([:pid]), deaf.call([:pid])]
    pids.each { |pid| Process.kill(:INT, pid) }
    assert_equal [[:a]] * 8, deaf.map([[:a]] * 8)
    assert_equal 0, deaf.stats[:deaths]
  ensure
    trap("INT", before)
  end

  def test_children_of_the_program_are_left_alone
    busy = doing(workers: 2)
    own = Array.new(5) { |i| fork { exit!(i) } }
    busy.map([[:pid]] * 20)
    assert_raises(Weft::DiedError) { busy.call([:kill]) }
    assert_equal (0..4).to_a, own.map { |pid| Process.wait2(pid).last.exitstatus }
    assert_equal "here\n", `echo here`
  end

  def test_untrusted_workers
    plain = pool(trusted: false) { |text| text == "raise" ? raise(KeyError, "no key") : text.reverse }
    assert_equal "cba", plain.call("abc")
    assert_raises(TypeError) { plain.call(:symbol) }
    assert_equal "no key", assert_raises(KeyError) { plain.call("raise") }.message
    assert_raises(ArgumentError) { pool(trusted: false, codec: Marshal) { 1 } }
    assert_raises(ArgumentError) { pool(codec: Object.new) { 1 } }
    symbols = pool(trusted: false) { :symbol }
    assert_raises(TypeError) { symbols.call("x") }
    # What ends programs is not made for somebody who is not trusted.
    harsh = pool(trusted: false) { |name| raise Object.const_get(name), "gone" }
    %w[NotImplementedError NoMemoryError SecurityError].each do |name|
      assert_equal name, assert_raises(Weft::RemoteError) { harsh.call(name) }.class_name
    end
  end

  def test_codecs
    numbers = Module.new do
      def self.dump(number) = number.to_s

      def self.load(text) = Integer(text)
    end
    doubling = pool(trusted: false, codec: numbers) { |number| number * 2 }
    assert_equal 42, doubling.call(21)
    wrong = Module.new do
      def self.dump(_object) = nil

      def self.load(text) = text
    end
    assert_raises(TypeError) { pool(codec: wrong) { 1 }.call(1) }
  end

  def test_programs
    program = 'Weft.serve { |x| x == :pid ? $$ : x == :env ? ENV["ONLY"] : raise(ArgumentError, x.to_s) }'
    Dir.mktmpdir do |directory|
      served = pool(argv: [RbConfig.ruby, "-I", WeftTest::LIB, "-r", "weft", "-e", program], directory: directory,
                    env: ENV.to_h.merge("ONLY" => "this"), limits: { NOFILE: 200 }, title: "ruby")
      refute_equal Process.pid, served.call(:pid)
      assert_equal "this", served.call(:env)
      assert_equal "odd", assert_raises(ArgumentError) { served.call(:odd) }.message
    end
    missing = pool(argv: ["/nowhere/at/all"])
    assert_raises(Weft::DiedError) { missing.call(1) }
    assert_raises(Weft::InvalidError) { Open3.capture2e({}, "true") && Weft.serve { 1 } }
  ensure
    trap("INT", "DEFAULT")
  end

  def test_wrong_arguments
    assert_raises(ArgumentError) { Weft::ProcessPool.new }
    assert_raises(ArgumentError) { Weft::ProcessPool.new(argv: ["x"]) { 1 } }
    assert_raises(ArgumentError) { Weft::ProcessPool.new(argv: ["x"], setup: -> {}) }
    assert_raises(ArgumentError) { pool(nonsense: 1) { 1 } }
    assert_raises(ArgumentError) { pool(workers: -1) { 1 } }
    assert_status(Weft::InvalidError) { pool(workers: 5000) { 1 } }
    assert_status(Weft::InvalidError) { pool(window: 0) { 1 } }
    assert_raises(ArgumentError) { pool(timeout: "soon") { 1 } }
    assert_raises(ArgumentError) { Weft.serve }
    open = pool { 1 }
    assert_raises(ArgumentError) { open.call(1, timeout: "soon") }
    assert_raises(ArgumentError) { open.call(1, cancel: 1) }
  end

  def test_an_inherited_pool
    mother = doing(workers: 1)
    grandchild = pool do
      mother.call([:pid])
    rescue Weft::ForkedError
      inner = Weft::ProcessPool.new(workers: 1) { |x| x + 1 }
      inner.call(1).tap { inner.close }
    end
    assert_equal 2, grandchild.call(nil)
  end

  def test_threads_share_a_pool
    shared = pool(workers: 2, window: 4) { |x| x + 1 }
    sums = Array.new(8) { |i| Thread.new { (0...50).sum { |j| shared.call(i * 50 + j) } } }
    assert_equal (1..400).sum, sums.sum(&:value)
  end

  # Nobody holds on to a pool but who uses it.
  def test_a_pool_that_is_forgotten_ends
    pid = apart { Weft::ProcessPool.new(workers: 1) { Process.pid }.call(nil) }
    gone = lambda do
      Process.kill(0, pid)
      false
    rescue Errno::ESRCH
      true
    end
    until gone.call
      GC.start
      Thread.pass
    end
  end

  def test_exit_handlers_and_the_end_of_the_program
    output, status = ruby(<<~'RUBY')
      at_exit { puts "exit of the parent" }
      pool = Weft::ProcessPool.new(workers: 2) { |x| $stdout.print "said "; x }
      pool.map(1..3)
      print "unwritten "
    RUBY
    assert_predicate status, :success?
    assert_equal 1, output.scan("exit of the parent").size, output
    assert_equal 1, output.scan("unwritten").size, output
  end

  def test_ctrl_c
    reader, writer = IO.pipe
    program = <<~'RUBY'
      $stdout.sync = true
      pool = Weft::ProcessPool.new(workers: 2, grace: 0.01) { |x| x == :pid ? Process.pid : IO.select(nil) }
      begin
        puts pool.async(:pid).value
        pool.call(:wait)
      rescue Interrupt
        puts "interrupted"
      end
      puts pool.call(:pid)
      pool.close
    RUBY
    pid = spawn(RbConfig.ruby, "-w", "-I", WeftTest::LIB, "-r", "weft", "-e", program, out: writer, pgroup: true)
    writer.close
    worker = Integer(reader.gets)
    refute_equal pid, worker
    Process.kill(:INT, -pid)
    assert_equal "interrupted\n", reader.gets
    assert_match(/\A\d+\n\z/, reader.gets)
    assert_nil reader.gets
    assert_predicate Process.wait2(pid).last, :success?
  ensure
    reader.close
  end

  def test_the_death_of_the_parent
    reader, writer = IO.pipe
    program = <<~'RUBY'
      pool = Weft::ProcessPool.new(workers: 3) { |x| Process.pid }
      pool.map(1..20)
      $stdout.write("ready\n")
      $stdout.flush
      sleep
    RUBY
    pid = spawn(RbConfig.ruby, "-w", "-I", WeftTest::LIB, "-r", "weft", "-e", program, out: writer)
    writer.close
    assert_equal "ready\n", reader.gets
    Process.kill(:KILL, pid)
    Process.wait(pid)
    # Workers have it open as long as they live.
    assert_nil reader.gets
  ensure
    reader.close
  end
end
