# frozen_string_literal: true

module Weft
  # What Ruby code runs in a forked child, and how it leaves.
  #
  # @api private
  module Child
    # What the parent does about signals is its own; Ctrl-C is for the parent alone.
    def self.signals
      %w[TERM HUP QUIT USR1 USR2 ALRM CHLD].each { |name| trap(name, "DEFAULT") }
      trap("INT", "IGNORE")
      Wait.disturbed { nil }
    rescue Interrupt
      nil # it came before it was ignored
    end

    # Runs the block, which may be interrupted, and ends the process: without the parent's exit handlers, and without what
    # the parent has not written of its files.
    def self.run
      signals
      CancelToken.current = nil
      Wait.disturbed { yield }
      leave(0)
    rescue SystemExit => e
      leave(e.status)
    rescue SignalException => e
      trap(e.signo, "SYSTEM_DEFAULT")
      Process.kill(e.signo, Process.pid)
      leave(1)
    rescue Exception => e
      $stderr.write("weft: a child process ends: #{e.full_message(highlight: false)}")
      leave(1)
    ensure
      exit!(1)
    end

    def self.leave(status)
      [$stdout, $stderr].each { |io| flush(io) }
      exit!(status)
    end
    private_class_method :leave

    def self.flush(io)
      io.flush
    rescue IOError, SystemCallError
      nil
    end
    private_class_method :flush
  end
  private_constant :Child
end
