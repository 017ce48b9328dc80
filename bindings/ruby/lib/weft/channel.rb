# frozen_string_literal: true

require_relative "channel/returned"

module Weft
  # A queue between threads: many may send, many may receive, each object is received once, and the objects
  # of one sender by order of sending. A sender waits while the channel is full.
  #
  # Objects stay the objects they are; nothing is copied or marshalled. Objects that are never received go
  # with the channel.
  #
  # An interrupt (Thread#raise, Thread#kill, Timeout.timeout, a signal handler that raises) ends every wait
  # at once. It loses nothing: a receiver that was just being handed an object leaves it to the next
  # receiver, and a send that raised has not sent, unless the object had been received by then.
  #
  # @example
  #   channel = Weft::Channel.new(capacity: 8)
  #   Thread.new { 3.times { |i| channel << i }; channel.close }
  #   channel.sum   # => 3
  class Channel
    include Enumerable

    # @return [Integer, Float] how many objects fit; Float::INFINITY for an unbounded channel
    attr_reader :capacity

    # @param capacity [Integer, Float::INFINITY, nil] nil: the library's default, 1000; 0: a sender waits
    #   until its object has been received; {Weft::UNBOUNDED}: a sender never waits
    # @param name [String, nil] for messages
    def initialize(capacity: nil, name: nil, &make)
      @objects = Objects.new
      Wait.undisturbed do
        pointer = create(capacity, name, &make)
        @handle = Handle.new(pointer, Channel.method(:give_back))
        number = Native.weft_channel_capacity(pointer)
        @capacity = number == Native::UNBOUNDED ? UNBOUNDED : number
      end
      @returned = Returned.new(rendezvous: @capacity.zero?)
    end

    # Puts an object into the channel.
    #
    # @param object [Object] any object
    # @param timeout [Numeric, nil] seconds to wait for room; nil: for ever; 0: do not wait
    # @return [self]
    # @raise [ClosedError] the channel is closed
    # @raise [TimeoutError] there was no room; {WouldBlockError} with a timeout of 0
    def send(object, timeout: nil)
      deadline = Deadline.in(timeout)
      sending(object) do |channel, cell|
        Error.check(Wait.call(deadline) { |native, left| native.weft_channel_send(channel, cell, left) })
        true
      end
      self
    end

    # Puts an object into the channel, waiting for room as long as it takes.
    # @return [self]
    # @raise [ClosedError] the channel is closed
    def <<(object)
      send(object)
    end

    # Takes the next object out of the channel.
    #
    # @param timeout [Numeric, nil] seconds to wait for one; nil: for ever; 0: do not wait
    # @return [Object]
    # @raise [ClosedError] the channel is closed and there is nothing left in it
    # @raise [TimeoutError] there was none; {WouldBlockError} with a timeout of 0
    def recv(timeout: nil)
      hand = []
      recv_into(hand, timeout: timeout)
      hand.first
    end
    alias pop recv

    # Takes the next object out of the channel and puts it into an Array. For those who have to know what
    # they hold when an interrupt comes before this method returns.
    #
    # @param hand [Array] empty
    # @api private
    def recv_into(hand, timeout: nil)
      deadline = Deadline.in(timeout)
      receiving(hand) do |channel, cell|
        @returned.take(channel, hand)
        receive(channel, deadline, cell, hand) while hand.empty?
      end
    end

    # The stay of one receiver. What it holds when the block raises goes to the next one.
    #
    # @api private
    # @yieldparam channel [FFI::Pointer] valid until the block ends
    # @yieldparam cell [FFI::MemoryPointer] where an element is to be put
    def receiving(hand)
      @handle.use do |channel|
        cell = FFI::MemoryPointer.new(:uint64)
        kept = false
        @returned.arrive
        begin
          yield channel, cell
          kept = true
        ensure
          kept ? @returned.depart(channel) : return_object(channel, cell, hand)
        end
      end
    end

    # Inside {#receiving}: puts the object that is due into the hand, if there is one.
    #
    # @api private
    # @param cell [FFI::MemoryPointer, nil] an element that was received, if one was
    def take(channel, hand, cell = nil)
      accept(cell, hand) if cell
      @returned.take(channel, hand)
    end

    # The stay of one sender: an exception in the block may hide that the element is in the channel by now. Taking the
    # object back makes both cases one: the receiver of an id without an object goes on to the next.
    #
    # @api private
    # @yieldparam channel [FFI::Pointer] valid until the block ends
    # @yieldparam cell [FFI::MemoryPointer] the element
    # @yieldreturn [Boolean] whether it was sent
    def sending(object)
      @handle.use do |channel|
        sent = false
        id = @objects.add(object)
        cell = FFI::MemoryPointer.new(:uint64).put_uint64(0, id)
        sent = yield(channel, cell)
      ensure
        @objects.delete(id) unless sent
      end
    end

    # Receives and yields objects until the channel is closed and drained. Several threads may do this: each
    # object is yielded to one of them.
    #
    # @yieldparam object [Object]
    # @return [self]
    # @return [Enumerator] without a block
    def each
      return enum_for(:each) unless block_given?

      loop do
        begin
          object = recv
        rescue ClosedError
          return self
        end
        yield object
      end
    end

    # No object can be sent any more; what is in the channel can still be received. Closing again is fine.
    # @return [nil]
    def close
      @handle.use { |channel| Native.weft_channel_close(channel) }
      nil
    end

    # @return [Boolean]
    def closed?
      @handle.use { |channel| Native.weft_channel_is_closed(channel) }
    end

    # @return [Integer] how many objects are in the channel at this moment
    def size
      @handle.use { |channel| @returned.count(channel) }
    end
    alias length size

    # @return [Boolean]
    def empty?
      size.zero?
    end

    # Closes the channel and gives it up now instead of when it is collected. Using it afterwards raises
    # {ReleasedError}.
    # @return [nil]
    def release
      close unless @handle.released?
    rescue ForkedError
      nil # closing is not ours any more, giving up is
    ensure
      @handle.release
    end

    # The channel for IO.select and event loops: readable as long as there is something to be received, and when it is
    # closed. Sometimes for nothing: receive with a timeout of 0. Not to be read.
    # @return [IO] the same one each time
    def to_io
      @handle.use do |channel|
        @io ||= begin
          @returned.watch(channel)
          Descriptor.io { |out| Native.weft_channel_fd(channel, Native::SELECT_RECV, out) }
        end
      end
    end

    # Has an object come through this channel when a future is settled.
    # @api private
    # @param future [FFI::Pointer]
    def notify(future, object)
      @handle.use do |channel|
        id = @objects.add(object)
        status = Native.weft_future_notify(future, channel, id)
        @objects.delete(id) unless status == Native::OK
        Error.check(status)
      end
    end

    # @return [String]
    def inspect
      "#<#{self.class} #{@handle.released? ? 'released' : "#{size}/#{capacity}"}>"
    rescue ForkedError => e
      "#<#{self.class} #{e.status_name}>"
    end

    # Nobody is left who could send or receive, except a thread that Returned may have left waiting: closing
    # ends it.
    # @api private
    def self.give_back(pointer)
      Native.weft_channel_close(pointer)
      Native.weft_channel_release(pointer)
    end
    private_class_method :give_back

    private

    def create(capacity, name)
      options = Native::ChannelOptions.new
      Error.check(Native.weft_channel_options_init(options, options.size))
      name = Native.c_string(name)
      options[:elem_size] = 8
      options[:name] = name
      options[:capacity] = slots(capacity) if capacity
      # The block is for the ends of a channel, which make it in their own way.
      return yield(options) if block_given?

      Native.make { |out| Native.weft_channel_new(options, out) }
    end

    def slots(capacity)
      return Native::UNBOUNDED if capacity == UNBOUNDED
      return capacity if capacity.is_a?(Integer) && !capacity.negative? && capacity < Native::UNBOUNDED

      raise ArgumentError, "capacity must be a number of objects or Weft::UNBOUNDED, not #{capacity.inspect}"
    end

    # Waits for one element. Afterwards its object is in the hand; or the hand is empty because there was
    # no object to the id.
    def receive(channel, deadline, cell, hand)
      status = Wait.call(deadline) { |native, left| native.weft_channel_recv(channel, cell, left) }
      take(channel, hand, status == Native::OK ? cell : nil)
      Error.check(status) if hand.empty?
    end

    def accept(cell, hand)
      id = cell.read_uint64
      @returned.woken if id == Returned::WAKE_UP
      object = @objects.fetch(id)
      # In this order: at every point the object can be found in the hand or by the id in the cell.
      hand.push(object) unless Objects::NONE.equal?(object)
      @objects.delete(id)
    end

    # An exception came while an object was being received: somebody else shall have it.
    def return_object(channel, cell, hand)
      Wait.undisturbed do
        @returned.depart(channel)
        id = cell.read_uint64
        object = @objects.delete(id)
        hand.push(object) if hand.empty? && !Objects::NONE.equal?(object)
        # What is put last comes first.
        @returned.put(channel, [hand.pop]) until hand.empty?
      end
    end
  end
end

require_relative "channel/batches"
require_relative "channel/ends"
