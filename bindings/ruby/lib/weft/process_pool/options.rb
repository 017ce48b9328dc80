# frozen_string_literal: true

module Weft
  class ProcessPool
    # What a pool is made with, as the library takes it.
    #
    # Times are in seconds. `window`: calls that a worker is given at a time. `timeout`: how long a call may take. `attempts`:
    # how often one may be begun, if workers die. `max_waiting`: calls that may wait for a worker. `max_calls`: a worker leaves
    # after so many, and is replaced; `max_rss`: when it occupies so many bytes. `restart_limit`, `restart_window`, `backoff`,
    # `backoff_max`: how workers that die are replaced. `start_timeout`: how long one may take until it serves. `grace`:
    # how long one that is to leave may take before SIGTERM, and again before SIGKILL. `ring_size`, `max_frame`: of the links.
    # `env` (a Hash, instead of this process' environment), `directory`, `title`, `nice` (added to that of this process),
    # `limits` (as of Process.setrlimit, `{ AS: 1 << 30, CPU: [10, 20] }`): of the workers. See weft_process_pool_options.
    class Options
      NUMBERS = %i[workers window max_waiting max_calls max_rss attempts restart_limit ring_size max_frame].freeze
      TIMES = { timeout: :call_timeout_ns, restart_window: :restart_window_ns, backoff: :backoff_ns,
                backoff_max: :backoff_max_ns, start_timeout: :start_timeout_ns, grace: :grace_ns }.freeze
      private_constant :NUMBERS, :TIMES

      # @return [Hash] what a forked worker does for itself
      attr_reader :surroundings

      # @api private
      def initialize(argv, name: nil, env: nil, directory: nil, title: nil, nice: 0, limits: {}, **values)
        unknown = values.keys - NUMBERS - TIMES.keys
        raise ArgumentError, "unknown option: #{unknown.join(', ')}" unless unknown.empty?

        @argv = argv
        @name = name
        @values = values.compact
        @surroundings = { env: env, directory: directory, title: title, nice: Integer(nice), limits: limits_of(limits) }
      end

      # @api private
      # @yieldparam options [Native::ProcessPoolOptions] valid until the block ends
      def native
        options = Native::ProcessPoolOptions.new
        Error.check(Native.weft_process_pool_options_init(options, options.size))
        kept = [options[:name] = Native.c_string(@name)]
        fill(options)
        if @argv
          kept.concat(program(options, **@surroundings))
        else
          options[:fork_fn] = Native::NO_FORK
        end
        yield(options).tap { kept.clear }
      end

      private

      def fill(options)
        @values.each do |name, value|
          member = TIMES.fetch(name, name)
          number = TIMES.key?(name) ? Deadline.nanoseconds(Deadline.checked(value)) : Integer(value)
          raise ArgumentError, "#{name} must not be negative: #{value}" if number.negative?

          options[member] = number
        rescue RangeError
          raise ArgumentError, "#{name}: #{value} is too large"
        end
      end

      # @return [Array] memory that the options lead to
      def program(options, env:, directory:, title:, nice:, limits:)
        options[:argv], *kept = strings(@argv)
        options[:env], *more = strings(env.map { |name, value| "#{name}=#{value}" }) if env
        options[:directory] = directory = Native.c_string(directory)
        options[:title] = title = Native.c_string(title)
        options[:nice] = nice
        options[:limits] = array = limits.empty? ? nil : limit_array(limits)
        options[:limits_len] = limits.size
        [options[:argv], options[:env], *kept, *more, directory, title, array]
      end

      def strings(texts)
        memory = texts.map { |text| Native.c_string(text) }
        pointers = FFI::MemoryPointer.new(:pointer, memory.size + 1)
        [pointers.write_array_of_pointer(memory), *memory]
      end

      def limits_of(limits)
        limits.map do |name, limit|
          soft, hard = Array(limit)
          [name.is_a?(Integer) ? name : Process.const_get("RLIMIT_#{name.upcase}"), [soft, hard || soft]]
        end
      end

      def limit_array(limits)
        size = Native::ProcessLimit.size
        FFI::MemoryPointer.new(:char, size * limits.size).tap do |memory|
          limits.each_with_index do |(resource, (soft, hard)), index|
            limit = Native::ProcessLimit.new(memory + index * size)
            limit[:resource] = resource
            limit[:soft] = soft
            limit[:hard] = hard
          end
        end
      end
    end
  end
end
