# frozen_string_literal: true

require "ffi"

module Weft
  # The C ABI, one to one: see weft.h for what each function means.
  #
  # Functions are attached twice when they can wait: on Native they are called with the VM lock held and
  # are only used with a timeout of 0; on Native::Blocking the VM lock is released meanwhile and Ruby may
  # interrupt the call by a signal. Wait chooses between the two.
  #
  # @api private
  module Native
    SONAME = "libweft.so.0"
    ABI_VERSION = 0

    FOREVER = 2**63 - 1
    UNBOUNDED = 2**64 - 1

    # Status numbers that the binding itself tells apart; Error knows the rest.
    OK = 0
    WOULD_BLOCK = 1
    TIMEOUT = 2
    INTERRUPTED = 4
    CLOSED = 5
    REJECTED = 6
    NOT_FOUND = 24
    OUT_OF_MEMORY = 40
    SYSTEM = 41
    FAILED = 60
    DIED = 63
    PROTOCOL = 64

    PRIORITIES = { low: -1, normal: 0, high: 1, critical: 2 }.freeze
    SHUTDOWN_MODES = { drain: 0, discard: 1 }.freeze
    KINDS = { multi: 0, single: 1, hosted: 2, auto: 3 }.freeze
    RUN_MODES = { until_idle: 0, one_step: 1, until_shutdown: 2 }.freeze
    PLACEMENTS = { none: 0, compact: 1, scatter: 2 }.freeze
    LOADS = { cpu: 0, io: 1, mixed: 2 }.freeze
    LOG_LEVELS = { off: 0, error: 1, warn: 2, info: 3, debug: 4 }.freeze
    DEADLOCK_REPORT = 0
    DEADLOCK_ABORT = 1
    SELECT_SEND = 1
    SELECT_RECV = 2
    SELECT_FUTURE = 3
    SELECT_CANCEL = 4
    FUTURE_STATES = { 0 => :pending, 1 => :ready, 2 => :failed, 3 => :cancelled }.freeze
    BREAKER_STATES = { closed: 0, open: 1, half_open: 2, forced_open: 3, disabled: 4, metrics_only: 5 }.freeze
    OUTCOMES = { ok: 0, fail: 1, ignore: 2, abandoned: 3 }.freeze
    CAPABILITIES = { futex: 1, fork: 2, affinity: 4, numa: 8, membarrier: 16 }.freeze

    # The library to load: WEFT_LIBRARY names a file, and then nothing else will do; otherwise the loader
    # finds the soname as it finds any library.
    LIBRARY = ENV.fetch("WEFT_LIBRARY", nil).then { |path| path.nil? || path.empty? ? SONAME : path }.freeze

    extend FFI::Library

    begin
      ffi_lib LIBRARY
    rescue LoadError => e
      hint =
        if LIBRARY == SONAME
          "Install Weft where the loader looks (then run ldconfig), or name the file in WEFT_LIBRARY."
        else
          "The environment variable WEFT_LIBRARY names this file; without it #{SONAME} is loaded."
        end
      raise LoadError, "weft: cannot load #{LIBRARY}. #{hint}\n#{e.message}", cause: nil
    end

    # Function pointers are plain addresses here: the library never calls Ruby code.
    typedef :int32, :status

    # struct weft_runtime_options
    class RuntimeOptions < FFI::Struct
      layout :size, :size_t, :name, :pointer, :workers, :int32, :max_threads, :int32, :stack_size, :size_t,
             :keep_alive_ns, :int64, :placement, :int32, :topology, :pointer, :on_worker_start, :pointer,
             :on_worker_stop, :pointer, :hook_arg, :pointer, :kind, :int32, :on_stall, :pointer
    end

    # struct weft_lane_stats
    class LaneStats < FFI::Struct
      layout :queued, :uint64, :peak, :uint64, :taken, :uint64, :waited_ns, :uint64
    end

    # struct weft_runtime_stats
    class RuntimeStats < FFI::Struct
      layout :size, :size_t, :workers, :uint32, :threads, :uint32, :threads_peak, :uint32, :active, :uint32,
             :idle, :uint32, :blocked, :uint32, :spawned, :uint64, :executed, :uint64, :discarded, :uint64,
             :panicked, :uint64, :shared, :uint64, :local_hits, :uint64, :steals, :uint64, :remote_steals, :uint64,
             :failed_steals, :uint64, :parks, :uint64, :wakes, :uint64, :blocks, :uint64, :busy_ns, :uint64,
             :idle_ns, :uint64, :blocked_ns, :uint64, :ceiling_hits, :uint64, :spares_started, :uint64,
             :spares_retired, :uint64, :start_failures, :uint64, :pin_failures, :uint64, :stalls, :uint64,
             :replaced, :uint64, :queued, :uint64, :lanes, [LaneStats, 4]
    end

    # struct weft_worker_stats
    class WorkerStats < FFI::Struct
      layout :size, :size_t, :cpu, :int32, :node, :uint32, :spawned, :uint64, :executed, :uint64, :discarded, :uint64,
             :panicked, :uint64, :shared, :uint64, :local_hits, :uint64, :steals, :uint64, :remote_steals, :uint64,
             :failed_steals, :uint64, :parks, :uint64, :wakes, :uint64, :blocks, :uint64, :busy_ns, :uint64,
             :idle_ns, :uint64, :blocked_ns, :uint64
    end

    # struct weft_spawn_options
    class SpawnOptions < FFI::Struct
      layout :size, :size_t, :name, :pointer, :arg_drop, :pointer, :result_drop, :pointer, :drop_ctx, :pointer,
             :priority, :int32, :node, :int32, :hints, :int64, :cancel, :pointer,
             :after, :pointer, :after_len, :size_t
    end

    # struct weft_channel_options
    class ChannelOptions < FFI::Struct
      layout :size, :size_t, :elem_size, :size_t, :elem_align, :size_t, :capacity, :size_t,
             :single_producer, :int32, :single_consumer, :int32, :drop, :pointer, :drop_ctx, :pointer, :name, :pointer
    end

    # struct weft_breaker_options
    class BreakerOptions < FFI::Struct
      layout :size, :size_t, :name, :pointer, :window, :uint32, :minimum_calls, :uint32, :window_ns, :int64,
             :failure_rate, :double, :slow_ns, :int64, :slow_rate, :double, :consecutive, :uint32, :probes, :uint32,
             :probes_to_close, :uint32, :abandoned, :int32, :open_wait_ns, :int64, :open_wait_max_ns, :int64,
             :backoff, :double, :jitter, :double, :probe_wait_ns, :int64, :outcome, :pointer, :outcome_arg, :pointer
    end

    # struct weft_breaker_stats
    class BreakerStats < FFI::Struct
      layout :size, :size_t, :state, :int32, :attempt, :uint32, :generation, :uint64, :ok, :uint64,
             :failed, :uint64, :ignored, :uint64, :slow, :uint64, :rejected, :uint64, :late, :uint64,
             :abandoned, :uint64, :opened, :uint64, :window_calls, :uint64, :window_failed, :uint64,
             :window_slow, :uint64, :consecutive, :uint64, :probes, :uint64
    end

    # struct weft_breaker_event
    class BreakerEvent < FFI::Struct
      layout :from, :int32, :to, :int32, :time_ns, :int64, :generation, :uint64
    end

    # struct weft_permit
    class Permit < FFI::Struct
      layout :word, [:uint64, 2]
    end

    # struct weft_log_record
    class LogRecord < FFI::Struct
      layout :size, :size_t, :level, :int32, :worker, :int32, :time_ns, :int64, :runtime, :pointer, :task, :pointer,
             :message, :pointer
    end

    # struct weft_select_case
    class SelectCase < FFI::Struct
      layout :op, :int32, :status, :int32, :handle, :pointer, :elem, :pointer, :arg, :int64, :reserved, [:pointer, 2]
    end

    # struct weft_process_limit
    class ProcessLimit < FFI::Struct
      layout :resource, :int32, :reserved, :int32, :soft, :uint64, :hard, :uint64
    end

    # struct weft_process_pool_options
    class ProcessPoolOptions < FFI::Struct
      layout :size, :size_t, :name, :pointer, :workers, :uint32, :window, :uint32, :argv, :pointer, :env, :pointer,
             :directory, :pointer, :title, :pointer, :nice, :int32, :fork_anywhere, :int32, :limits, :pointer,
             :limits_len, :size_t, :fork_fn, :pointer, :fork_arg, :pointer, :call_timeout_ns, :int64,
             :max_waiting, :size_t, :max_calls, :uint64, :max_rss, :size_t, :attempts, :uint32,
             :restart_limit, :uint32, :reserved, :uint32, :restart_window_ns, :int64, :backoff_ns, :int64,
             :backoff_max_ns, :int64, :start_timeout_ns, :int64, :grace_ns, :int64, :ring_size, :size_t,
             :max_frame, :size_t
    end

    # struct weft_process_call_options
    class ProcessCallOptions < FFI::Struct
      layout :size, :size_t, :timeout_ns, :int64, :cancel, :pointer, :attempts, :uint32, :reserved, :uint32
    end

    # struct weft_process_pool_stats
    class ProcessPoolStats < FFI::Struct
      layout :size, :size_t, :workers, :size_t, :ready, :size_t, :waiting, :size_t, :outstanding, :size_t,
             :calls, :uint64, :succeeded, :uint64, :failed, :uint64, :died, :uint64, :timed_out, :uint64,
             :cancelled, :uint64, :closed, :uint64, :refused, :uint64, :sent_again, :uint64, :late, :uint64,
             :born, :uint64, :deaths, :uint64, :left, :uint64, :resident, :uint64
    end

    attach_function :weft_abi_version, [], :uint32
    if weft_abi_version != ABI_VERSION
      raise LoadError,
            "weft: #{LIBRARY} has ABI version #{weft_abi_version}; this gem, #{VERSION}, needs #{ABI_VERSION}"
    end

    attach_function :weft_version, [], :uint32
    attach_function :weft_capabilities, [], :uint64
    attach_function :weft_status_name, [:status], :string
    attach_function :weft_error_message, [], :string
    attach_function :weft_after_fork, [], :status
    attach_function :weft_thread_interruptible, [:int32], :int32

    attach_function :weft_thread_self, [], :pointer
    attach_function :weft_thread_interrupt, [:pointer], :status
    attach_function :weft_thread_release, [:pointer], :void

    attach_function :weft_log_set, %i[pointer pointer int32], :status
    attach_function :weft_log_next, %i[pointer int64], :status

    attach_function :weft_cancel_token_new, %i[pointer pointer], :status
    attach_function :weft_cancel_token_trigger, %i[pointer string], :status
    attach_function :weft_cancel_token_after, %i[pointer int64], :status
    attach_function :weft_cancel_token_triggered, [:pointer], :bool
    attach_function :weft_cancel_token_reason, [:pointer], :string
    attach_function :weft_cancel_token_enter, [:pointer], :status
    attach_function :weft_cancel_token_leave, [:pointer], :status
    attach_function :weft_cancel_token_release, [:pointer], :void
    attach_function :weft_cancel_shield_begin, [], :status
    attach_function :weft_cancel_shield_end, [], :status
    attach_function :weft_cancelled, [:pointer], :bool

    attach_function :weft_bytes_new, %i[pointer size_t pointer], :status
    attach_function :weft_bytes_data, [:pointer], :pointer
    attach_function :weft_bytes_len, [:pointer], :size_t
    attach_function :weft_bytes_release, [:pointer], :void

    attach_function :weft_error_status, [:pointer], :status
    attach_function :weft_error_text, [:pointer], :string
    attach_function :weft_error_origin, [:pointer], :string
    attach_function :weft_error_backtrace, [:pointer], :string
    attach_function :weft_error_payload, %i[pointer pointer], :pointer

    attach_function :weft_runtime_options_init, %i[pointer size_t], :status
    attach_function :weft_runtime_new, %i[pointer pointer], :status
    attach_function :weft_runtime_configure_default, [:pointer], :status
    attach_function :weft_runtime_release, [:pointer], :void
    attach_function :weft_runtime_shutdown, %i[pointer int32 int64], :status
    attach_function :weft_runtime_kind, [:pointer], :int32
    attach_function :weft_runtime_resize, %i[pointer int32], :status
    attach_function :weft_runtime_stats_get, %i[pointer pointer], :status
    attach_function :weft_runtime_worker_stats_get, %i[pointer uint32 pointer], :status
    attach_function :weft_topology_refresh, [:pointer], :status
    attach_function :weft_optimal_worker_count, [:int32], :int32

    attach_function :weft_spawn_options_init, %i[pointer size_t], :status
    attach_function :weft_spawn_with, %i[pointer pointer pointer pointer], :status
    attach_function :weft_async, %i[pointer pointer pointer pointer pointer], :status

    attach_function :weft_promise_new, %i[pointer pointer], :status
    attach_function :weft_promise_resolve, %i[pointer pointer pointer pointer], :status
    attach_function :weft_promise_reject, %i[pointer status string pointer], :status
    attach_function :weft_promise_cancelled, [:pointer], :bool
    attach_function :weft_promise_release, [:pointer], :void

    attach_function :weft_future_wait, %i[pointer int64], :status
    attach_function :weft_future_get, %i[pointer int64 pointer], :status
    attach_function :weft_future_state, [:pointer], :int32
    attach_function :weft_future_error, [:pointer], :pointer
    attach_function :weft_future_retain, [:pointer], :pointer
    attach_function :weft_future_release, [:pointer], :void
    attach_function :weft_future_cancel, [:pointer], :void
    attach_function :weft_future_fd, %i[pointer pointer], :status
    attach_function :weft_future_all, %i[pointer size_t pointer], :status
    attach_function :weft_future_any, %i[pointer size_t pointer], :status
    attach_function :weft_future_race, %i[pointer size_t pointer], :status
    attach_function :weft_future_winner, %i[pointer pointer], :status
    attach_function :weft_future_notify, %i[pointer pointer uint64], :status

    attach_function :weft_channel_options_init, %i[pointer size_t], :status
    attach_function :weft_channel_new, %i[pointer pointer], :status
    attach_function :weft_channel_send, %i[pointer pointer int64], :status
    attach_function :weft_channel_recv, %i[pointer pointer int64], :status
    attach_function :weft_channel_send_batch, %i[pointer pointer size_t int64 pointer], :status
    attach_function :weft_channel_recv_batch, %i[pointer pointer size_t int64 pointer], :status
    attach_function :weft_channel_close, [:pointer], :void
    attach_function :weft_channel_is_closed, [:pointer], :bool
    attach_function :weft_channel_len, [:pointer], :size_t
    attach_function :weft_channel_capacity, [:pointer], :size_t
    attach_function :weft_channel_fd, %i[pointer int32 pointer], :status
    attach_function :weft_channel_retain, [:pointer], :pointer
    attach_function :weft_channel_release, [:pointer], :void
    attach_function :weft_channel_ends, %i[pointer pointer pointer], :status
    attach_function :weft_sender_channel, [:pointer], :pointer
    attach_function :weft_sender_retain, [:pointer], :pointer
    attach_function :weft_sender_release, [:pointer], :void
    attach_function :weft_receiver_retain, [:pointer], :pointer
    attach_function :weft_receiver_release, [:pointer], :void

    attach_function :weft_watch_off, [:pointer], :status
    attach_function :weft_watch_release, [:pointer], :void

    attach_function :weft_mutex_new, %i[pointer pointer], :status
    attach_function :weft_mutex_lock, %i[pointer int64], :status
    attach_function :weft_mutex_unlock, [:pointer], :status
    attach_function :weft_mutex_release, [:pointer], :void

    attach_function :weft_deadlock_watch, %i[pointer pointer int32], :status
    attach_function :weft_deadlock_count, [], :uint64

    attach_function :weft_select, %i[pointer size_t int64 pointer], :status

    attach_function :weft_breaker_options_init, %i[pointer size_t], :status
    attach_function :weft_breaker_new, %i[pointer pointer], :status
    attach_function :weft_breaker_acquire, %i[pointer pointer], :status
    attach_function :weft_breaker_record, %i[pointer pointer int32], :status
    attach_function :weft_breaker_get_state, [:pointer], :int32
    attach_function :weft_breaker_retry_after, [:pointer], :int64
    attach_function :weft_breaker_force, %i[pointer int32], :status
    attach_function :weft_breaker_stats_get, %i[pointer pointer], :status
    attach_function :weft_breaker_notify, %i[pointer pointer pointer], :status
    attach_function :weft_breaker_retain, [:pointer], :pointer
    attach_function :weft_breaker_release, [:pointer], :void

    attach_function :weft_process_pool_options_init, %i[pointer size_t], :status
    attach_function :weft_process_call_options_init, %i[pointer size_t], :status
    attach_function :weft_process_pool_new, %i[pointer pointer], :status
    attach_function :weft_process_pool_call, %i[pointer buffer_in size_t pointer pointer], :status
    attach_function :weft_process_call_attempts, [:pointer], :uint32
    attach_function :weft_process_pool_resize, %i[pointer uint32], :status
    attach_function :weft_process_pool_stats_get, %i[pointer pointer], :status
    attach_function :weft_process_pool_close, [:pointer], :void
    attach_function :weft_process_pool_retain, [:pointer], :pointer
    attach_function :weft_process_pool_release, [:pointer], :void
    attach_function :weft_process_birth_begin, %i[pointer int64 pointer], :status
    attach_function :weft_process_birth_fd, [:pointer], :int32
    attach_function :weft_process_birth_end, %i[pointer int32], :status
    attach_function :weft_process_birth_release, [:pointer], :void
    attach_function :weft_server_new, %i[int32 pointer], :status
    attach_function :weft_server_next, %i[pointer int64 pointer], :status
    attach_function :weft_server_reply, %i[pointer pointer size_t int64], :status
    attach_function :weft_server_fail, %i[pointer status string string pointer int64], :status
    attach_function :weft_server_cancelled, [:pointer], :bool
    attach_function :weft_server_attempt, [:pointer], :uint32
    attach_function :weft_server_release, [:pointer], :void

    # For ProcessPoolOptions: an address, never called from here.
    NO_FORK = ffi_libraries.first.find_function("weft_process_no_fork")

    # The functions that can wait, with the VM lock released.
    module Blocking
      extend FFI::Library
      ffi_lib LIBRARY

      attach_function :weft_runtime_shutdown, %i[pointer int32 int64], :int32, blocking: true
      attach_function :weft_runtime_run, %i[pointer int32], :int32, blocking: true
      attach_function :weft_runtime_lend, %i[pointer int64], :int32, blocking: true
      attach_function :weft_future_wait, %i[pointer int64], :int32, blocking: true
      attach_function :weft_sleep, [:int64], :int32, blocking: true
      attach_function :weft_log_next, %i[pointer int64], :int32, blocking: true
      attach_function :weft_channel_send, %i[pointer pointer int64], :int32, blocking: true
      attach_function :weft_channel_recv, %i[pointer pointer int64], :int32, blocking: true
      attach_function :weft_channel_send_batch, %i[pointer pointer size_t int64 pointer], :int32, blocking: true
      attach_function :weft_mutex_lock, %i[pointer int64], :int32, blocking: true
      attach_function :weft_select, %i[pointer size_t int64 pointer], :int32, blocking: true
      attach_function :weft_process_pool_drain, %i[pointer int64], :int32, blocking: true
      attach_function :weft_process_birth_begin, %i[pointer int64 pointer], :int32, blocking: true
      attach_function :weft_server_next, %i[pointer int64 pointer], :int32, blocking: true
      attach_function :weft_server_reply, %i[pointer pointer size_t int64], :int32, blocking: true
      attach_function :weft_server_fail, %i[pointer int32 string string pointer int64], :int32, blocking: true

      # Does nothing in the library: any call with the lock released is a point where Ruby delivers
      # interrupts, those too that Thread.handle_interrupt holds back until the thread blocks.
      attach_function :interrupt_point, :weft_abi_version, [], :uint32, blocking: true
    end

    # Makes an object through an out-parameter.
    # @yieldparam out [FFI::MemoryPointer] where the function puts the handle
    # @yieldreturn [Integer] its status
    # @return [FFI::Pointer] the handle
    def self.make
      out = FFI::MemoryPointer.new(:pointer)
      Error.check(yield(out))
      out.read_pointer
    end

    # @param bytes [FFI::Pointer] of the library's
    # @return [String] a copy, binary
    def self.bytes(bytes)
      size = weft_bytes_len(bytes)
      size.zero? ? String.new : weft_bytes_data(bytes).read_bytes(size)
    end

    # @return [FFI::MemoryPointer, nil] a C string that lives as long as the returned object
    # @raise [ArgumentError] C cannot have this string
    def self.c_string(text)
      return if text.nil?

      text = String(text)
      raise ArgumentError, "the string contains a zero byte" if text.b.include?("\0")

      FFI::MemoryPointer.from_string(text)
    end
  end
  private_constant :Native
end
