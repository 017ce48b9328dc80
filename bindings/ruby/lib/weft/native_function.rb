# frozen_string_literal: true

module Weft
  # What can run on a worker: machine code, given by its address. Not Ruby code, in whatever wrapping: a
  # worker is no thread that the Ruby VM knows.
  #
  # @api private
  module NativeFunction
    # The size of a pointer that FFI knows nothing about. A symbol of a library has it; a Ruby block that FFI
    # made callable has the size of its trampoline, and a MemoryPointer that of its data.
    UNKNOWN_SIZE = FFI::Pointer.new(1).size
    private_constant :UNKNOWN_SIZE

    # @return [FFI::Pointer]
    # @raise [ArgumentError] this is no native function
    def self.pointer(function)
      unless function.is_a?(FFI::Pointer)
        raise ArgumentError, "a native function is given by its FFI::Pointer, not by #{function.inspect}; #{HINT}"
      end
      raise ArgumentError, "the address of the native function is null" if function.null?
      return pinned(function) if function.size == UNKNOWN_SIZE

      raise ArgumentError, "this FFI::Function calls Ruby code; #{HINT}" if function.is_a?(FFI::Function)

      raise ArgumentError, "this is the address of data, not of a native function"
    end

    # Keeps the library that the function is in loaded for good. FFI unloads a library when its object is
    # collected, at the latest at the end of the process, and asks nobody whether a worker is in it.
    def self.pinned(function)
      @pinned[function.address] ||= begin
        info = Linker::Info.new
        # 0: no library's code, nothing to keep. Opening marks what is loaded already, and loads nothing.
        Linker.dlopen(info[:file], Linker::MARK) unless Linker.dladdr(function, info).zero?
        true
      end
      function
    end
    private_class_method :pinned
    @pinned = {}

    # The part of <dlfcn.h> that tells which library an address is in.
    module Linker
      # Dl_info
      class Info < FFI::Struct
        layout :file, :string, :base, :pointer, :symbol, :string, :address, :pointer
      end

      # RTLD_LAZY, RTLD_NOLOAD, RTLD_NODELETE
      MARK = 0x1 | 0x4 | 0x1000

      extend FFI::Library
      ffi_lib "libc.so.6"
      attach_function :dladdr, %i[pointer pointer], :int
      attach_function :dlopen, %i[string int], :pointer
    end
    private_constant :Linker

    HINT = "Ruby code cannot run on a worker thread, use Weft.async for it"
    private_constant :HINT

    # @return [FFI::Pointer, nil]
    # @raise [ArgumentError] no memory that stays where it is
    def self.argument(argument)
      pointer = argument.respond_to?(:to_ptr) ? argument.to_ptr : argument
      return pointer if pointer.nil? || pointer.is_a?(FFI::Pointer)

      raise ArgumentError, "a native function's argument is an FFI::Pointer, a #to_ptr or nil, not #{argument.inspect}"
    end
  end
  private_constant :NativeFunction

  # The futures of native functions that were given memory. They hold on to it, and are held here until they
  # are settled: a function may outlive every Ruby object that knows of it, the runtime included.
  #
  # @api private
  module InFlight
    @lock = ::Mutex.new
    @futures = []
    @look_at = 64

    # Ended ones are let go when the list has doubled since the last time, so a call costs the same on
    # average however many there are.
    def self.add(future)
      @lock.synchronize do
        if @futures.size >= @look_at
          @futures.select! { |other| under_way?(other) }
          @look_at = [2 * @futures.size, 64].max
        end
        @futures.push(future)
      end
    end

    def self.under_way?(future)
      !future.ready?
    rescue Error # released, or made before a fork: nobody will tell us
      false
    end
    private_class_method :under_way?
  end
  private_constant :InFlight
end
