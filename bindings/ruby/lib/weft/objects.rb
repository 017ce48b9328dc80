# frozen_string_literal: true

module Weft
  # Ruby objects that are under way in the library, by id. The library carries the 64-bit id; the object
  # stays here, where the garbage collector sees it and may move it.
  #
  # Each channel and each promise has its own table, so whatever is never fetched goes with the channel or
  # the promise. Hash operations with Integer keys are single steps under the VM lock; nobody iterates.
  #
  # @api private
  class Objects
    # What stands for "no such object"; nil is an object like any other.
    NONE = Object.new.freeze

    def initialize
      @objects = {}
    end

    # @return [Integer] the id, never 0, never given again in this process
    def add(object)
      # Object ids are the VM's own counter: unique for good, and drawn in one step.
      id = Object.new.object_id
      @objects[id] = object
      id
    end

    # @return the object, or NONE
    def fetch(id)
      @objects.fetch(id, NONE)
    end

    # @return the object, or NONE
    def delete(id)
      @objects.delete(id) { NONE }
    end

    # @return [Integer] how many objects are under way
    def size
      @objects.size
    end
  end
  private_constant :Objects
end
