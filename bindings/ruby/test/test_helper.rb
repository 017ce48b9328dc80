# frozen_string_literal: true

# What all test files share. They run one by one, each in its own process:
#
#   WEFT_LIBRARY=.../libweft.so WEFT_FIXTURE=.../libweft_ruby_fixture.so ruby -w -Ilib -Itest test/channel_test.rb
#
# Tests do not sleep. That a thread waits inside the library is known like this: a Ruby thread runs until it
# lets go of the VM lock, so when another thread gets to run after it said "now", it waits (see #waiting).

require "minitest/autorun"
require "minitest/mock"
require "open3"
require "rbconfig"
require "timeout"
require "weft"

# A warning about a file of ours is a failure.
module StrictWarnings
  HOME = File.expand_path("..", __dir__)

  def warn(message, **)
    raise "warning: #{message}" if message.include?(HOME)

    super
  end
end
Warning.extend(StrictWarnings)

module WeftTest
  LIB = File.expand_path("../lib", __dir__)
  Native = Weft.const_get(:Native)

  class Case < Minitest::Test
    # @return [FFI::DynamicLibrary::Symbol] a function of native/fixture.c
    def fixture(name)
      @@fixture ||= FFI::DynamicLibrary.open(ENV.fetch("WEFT_FIXTURE"), FFI::DynamicLibrary::RTLD_NOW)
      @@fixture.find_function("fixture_#{name}") or flunk "no function fixture_#{name}"
    end

    # Starts a thread and comes back when it waits in the block.
    def waiting(&block)
      ready = Thread::Queue.new
      thread = Thread.new do
        Thread.current.report_on_exception = false
        ready << true
        block.call
      end
      ready.pop
      thread
    end

    # Starts a thread that is interrupted by this class only where its block lets it.
    def interrupted_by(ends, &block)
      Thread.handle_interrupt(ends => :never) { Thread.new(&block) }
    end

    # Runs the block in a thread of its own, whose stack is gone afterwards: no stray word on this thread's
    # stack keeps objects of the block alive.
    def apart(&block)
      Thread.new(&block).value
    end

    # How many objects a channel or a promise holds on to.
    def held(object)
      object.instance_variable_get(:@objects).size
    end

    # Runs a program in a Ruby of its own.
    # @return [Array(String, Process::Status)] what it wrote, and how it ended
    def ruby(program, *arguments, env: {})
      Open3.capture2e(env, RbConfig.ruby, "-w", "-I", LIB, "-r", "weft", "-e", program, *arguments)
    end

    # Raises an error of exactly this class, with its status and the library's words.
    def assert_status(error_class, &block)
      error = assert_raises(error_class, &block)
      assert_equal error_class, error.class
      assert_equal error_class::STATUS, error.status
      refute_empty error.message
      error
    end
  end
end
