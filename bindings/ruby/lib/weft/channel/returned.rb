# frozen_string_literal: true

module Weft
  class Channel
    # Objects whose receiver was interrupted just when it had taken them out of the channel. They go to the
    # next receivers, ahead of what is in the channel.
    #
    # Receivers announce themselves, look here, wait in the library, and look here again. Whoever leaves
    # something here looks whether a receiver has announced itself after that. If so, it may wait already
    # and must be woken. Elements in the channel do that: their receiver swaps the element for the object
    # that is due first and wakes the next in turn, until nothing is left here. If there is no element, one
    # without an object, with the id 0, is sent as a wake-up. The last receiver to go clears up wake-ups that
    # were not needed. An object left in a closed channel waits for the next call.
    #
    # Every step on the arrays is single under the VM lock. While a thread holds that lock, others can only
    # finish what they do inside the library.
    #
    # @api private
    class Returned
      WAKE_UP = 0
      WAKE_UP_CELL = FFI::MemoryPointer.new(:uint64).put_uint64(0, WAKE_UP).freeze
      private_constant :WAKE_UP_CELL

      # The thread of #knock; made here, so that it does not hold on to an instance.
      def self.knocker(channel)
        Wait.thread("weft.channel") do
          Wait.disturbed do
            Wait.call(Deadline.in(nil)) { |native, left| native.weft_channel_send(channel, WAKE_UP_CELL, left) }
          end
        ensure
          Native.weft_channel_release(channel)
        end
      end

      # @param rendezvous [Boolean] whether the channel has no room for a wake-up
      def initialize(rendezvous:)
        @rendezvous = rendezvous
        @hands = []     # each with one object
        @receivers = [] # one entry for each receiver
        @wake_ups = []  # one entry for each wake-up in the channel
        @watched = false
      end

      # From now on somebody may look at the channel's descriptor instead of being here as a receiver: what is left here
      # is announced by a wake-up, and that stays until it is received.
      def watch(channel)
        @watched = true
        wake(channel) unless @hands.empty?
      end

      # @return [Integer] how many objects are in the channel or here
      def count(channel)
        [Native.weft_channel_len(channel) - @wake_ups.size, 0].max + @hands.size
      end

      # A receiver announces itself.
      def arrive
        @receivers.push(true)
      end

      # A receiver that has arrived goes.
      def depart(channel)
        @receivers.pop
        sweep(channel) unless @wake_ups.empty?
      end

      # A receiver has received a wake-up.
      def woken
        @wake_ups.pop
      end

      # A receiver that goes leaves the object in its hand.
      def put(channel, hand)
        @hands.unshift(hand.dup)
        hand.clear
        wake(channel) unless @receivers.empty? && !@watched
      end

      # Puts the object that is due first into a receiver's hand. If the hand holds one already, that one has
      # come out of the channel later than what is here, and waits here instead.
      def take(channel, hand)
        return if @hands.empty?

        Wait.undisturbed do
          @hands.push(hand.dup) unless hand.empty?
          first = @hands.shift
          hand.replace(first) if first
          wake(channel) unless @hands.empty? || @receivers.size < 2
        end
      end

      private

      def wake(channel)
        return unless Native.weft_channel_len(channel).zero?

        case Native.weft_channel_send(channel, WAKE_UP_CELL, 0)
        when Native::OK then @wake_ups.push(true)
        when Native::WOULD_BLOCK then knock(channel) if @rendezvous
        end
      end

      # Without room for a wake-up, "would block" says only that no receiver waits yet: one may have looked
      # here and be about to. A thread hands the wake-up over. It ends with the next receiver or when the
      # channel is closed, which happens at the latest when the channel is collected: the thread has its own
      # reference to the library's object and none to ours.
      def knock(channel)
        channel = Native.weft_channel_retain(channel)
        Returned.knocker(channel)
      rescue ThreadError
        Native.weft_channel_release(channel)
      end

      # Without a receiver nobody else takes anything out. If all there is are wake-ups, they would make an
      # empty channel look full.
      def sweep(channel)
        return if @watched && !@hands.empty?
        return unless @receivers.empty? && Native.weft_channel_len(channel) == @wake_ups.size

        cell = FFI::MemoryPointer.new(:uint64)
        woken while !@wake_ups.empty? && Native.weft_channel_recv(channel, cell, 0) == Native::OK
      end
    end
    private_constant :Returned
  end
end
