# Calls of 2 forked workers through Marshal and pipes, in turn: a peer of Weft's process pools. Speaks as pools.py does.

NAME = "Ruby-Marshal"

workers = Array.new(2) do
  requests, to = IO.pipe(binmode: true)
  from, answers = IO.pipe(binmode: true)
  fork do
    # So the worker sees the end of its input.
    to.close
    from.close
    loop do
      Marshal.dump(Marshal.load(requests), answers)
      answers.flush
    rescue EOFError
      exit!(true)
    end
  end
  requests.close
  answers.close
  [to, from]
end

def now = Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond)

puts NAME
$stdout.flush
$stdin.each_line do |line|
  name, size, calls = line.split
  abort "not one of mine: #{name}" unless name == NAME
  took = Array.new(calls.to_i) do |i|
    data = [i].pack("Q<").ljust(size.to_i, "\0")
    to, from = workers[i % 2]
    began = now
    Marshal.dump(data, to)
    to.flush
    answer = Marshal.load(from)
    time = now - began
    abort "#{NAME}: another answer" unless answer == data
    time
  end
  took.sort!
  puts "#{took[took.size / 2]} #{took[took.size * 99 / 100]}"
  $stdout.flush
end
