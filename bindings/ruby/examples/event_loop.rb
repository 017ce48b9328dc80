# frozen_string_literal: true

# Weft inside a program that has an event loop of its own: one IO.select waits for a socket, a future and a channel.

require "socket"
require "weft"

here, there = UNIXSocket.pair
steps = Weft::Channel.new

# One thread computes, one reports its progress through a channel, and somebody answers at the other end of a socket.
sum = Weft.async { (1..1000).sum }
reporter = Weft.async do
  3.times { |step| steps << step + 1 }
  steps.close
end
answerer = Weft.async do
  there.write("hello")
  there.close
end

text = +""
waiting = [here, sum, steps]
until waiting.empty?
  ready, = IO.select(waiting)
  ready.each do |source|
    case source
    when Weft::Future
      puts "future: #{source.value}"
      waiting.delete(source)
    when Weft::Channel
      puts "channel: step #{source.recv(timeout: 0)}"
    else
      text << source.readpartial(64)
    end
  rescue Weft::WouldBlockError
    nil # readable for nothing
  rescue Weft::ClosedError
    puts "channel: closed"
    waiting.delete(source)
  rescue EOFError
    puts "socket: #{text}"
    waiting.delete(source)
  end
end
[reporter, answerer].each(&:value)
