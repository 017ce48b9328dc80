# frozen_string_literal: true

module Weft
  class Context
    # A child of Ruby's fork. What its block gives comes through a pipe; its end is waited for by its number, so that no other
    # child of the program's is ever reaped.
    #
    # @api private
    class Forked < Place
      def self.there?
        ::Process.respond_to?(:fork)
      end

      # What Ruby's wait cannot: learn of a child's end without reaping it.
      module Libc
        extend FFI::Library
        ffi_lib "libc.so.6"
        attach_function :waitid, %i[int int pointer int], :int, blocking: true

        P_PID = 1
        WEXITED = 4
        WNOWAIT = 0x0100_0000

        # @return [Boolean] false: it is no child, or not any more
        def self.ended?(pid)
          info = FFI::MemoryPointer.new(:char, 128)
          until waitid(P_PID, pid, info, WEXITED | WNOWAIT).zero?
            return false unless FFI.errno == Errno::EINTR::Errno

            Wait.interrupt_point
          end
          true
        end
      end
      private_constant :Libc

      # The run of a child.
      class Born < Run
        def start(arguments, keywords, block)
          return perform { nil } if @token.triggered?

          reader, writer = IO.pipe(binmode: true)
          done, gone = IO.pipe
          @lock = ::Mutex.new
          @pid = fork_here { give(writer) { block.call(*arguments, **keywords) } }
          @unbegun.pop
          @reaper = Wait.thread("weft.reap") { reap(gone) }
          Wait.thread("weft.collect") { collect(reader, done) }
          Wait.thread("weft.heed") { heed } if @parent
        rescue SystemCallError, ThreadError => e
          signal(:KILL) if @pid
          raise SystemError, e.message
        ensure
          writer&.close
        end

        def stop
          @stopped = true
          @token.trigger
          signal(:TERM)
        end

        def kill
          signal(:KILL)
          true
        end

        private

        def fork_here(&work)
          ::Process.fork || Child.run(&work)
        end

        # In the child.
        def give(writer)
          outcome = begin
            Marshal.dump([true, yield])
          rescue SystemExit, SignalException
            raise
          rescue Exception => e # everything is for who waits
            Marshal.dump([false, Remote.pack(e, true)])
          end
          writer.write([outcome.bytesize].pack("Q"), outcome)
          writer.flush
        end

        # Not after it has been reaped: its number may be another's then.
        def signal(name)
          @lock.synchronize { ::Process.kill(name, @pid) unless @reaped }
        rescue Errno::ESRCH
          nil
        end

        def reap(gone)
          Wait.disturbed { Libc.ended?(@pid) }
          @lock.synchronize do
            @reaped = true
            @status = ::Process.wait2(@pid).last
          rescue Errno::ECHILD
            nil # the program has reaped it
          end
        ensure
          # Rather than closing it: other children may have it.
          gone.write("x")
          gone.close
        end

        # All that the child has written, when it has ended: the other end of the pipe may be open in other children.
        def collect(reader, done)
          data = String.new
          from = [reader, done]
          until (Wait.disturbed { IO.select(from) }.first).include?(done)
            from.delete(reader) if take(reader, data)
          end
          take(reader, data)
          # All descriptors are closed when the run is over.
          @reaper.join
          outcome = understood(data)
        ensure
          [reader, done].each(&:close)
          settle(*outcome || [false, BrokenError.new("the thread that waited for the child was killed")])
        end

        # @return [Boolean] whether there will be no more
        def take(reader, data)
          while (part = reader.read_nonblock(1 << 20, exception: false))
            return false if part == :wait_readable

            data << part
          end
          true
        end

        def understood(data)
          size, = data.unpack("Q")
          return [false, death] unless size && data.bytesize == size + 8

          good, value = Marshal.load(data.byteslice(8, size))
          return [true, value] if good

          status, message, backtrace, what = value
          [false, Remote.unpack(status, message, backtrace.lines(chomp: true), what, true)]
        rescue StandardError => e # what it sent cannot be made here
          [false, e]
        end

        def death
          how, mark =
            if @status.nil? then ["has ended, and the program has reaped it", "reaped by the program"]
            elsif @status.signaled?
              ["was killed by signal #{@status.termsig} (#{Signal.signame(@status.termsig)})", "signal #{@status.termsig}"]
            else ["exited with status #{@status.exitstatus}", "status #{@status.exitstatus}"]
            end
          return CancelledError.new("process #{@pid} #{how}: cancelled") if @stopped

          DiedError.new("process #{@pid} #{how}", origin: "process #{@pid}, #{mark}")
        end

        # What it goes by stops it.
        def heed
          Wait.disturbed do
            Weft.select do |s|
              s.triggered(@parent) { stop }
              s.settled(@future) { nil }
            end
          end
        end
      end
      private_constant :Born

      def run(parent, told)
        Born.new(self, parent, told)
      end
    end
    private_constant :Forked
  end
end
