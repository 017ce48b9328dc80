# frozen_string_literal: true

module Weft
  # What goes between processes: how objects become bytes, and exceptions.
  #
  # @api private
  module Remote
    # Strings as they are: the codec between processes that do not trust each other.
    module Bytes
      def self.dump(string)
        return string if string.is_a?(String)

        raise TypeError, "only Strings go to a process that is not trusted, unless there is a codec: #{string.class}"
      end

      def self.load(string)
        string
      end
    end

    # Exceptions that would end the program that asked, or be taken for its own: no worker's to make.
    OWN = [SystemExit, SignalException, NoMemoryError, SystemStackError].freeze
    private_constant :OWN

    class << self
      # @return [#dump, #load]
      # @raise [ArgumentError] Marshal, which makes any object of any class, for processes that are not trusted
      def codec(codec, trusted)
        codec ||= trusted ? Marshal : Bytes
        raise ArgumentError, "Marshal is only for processes that are trusted" if codec == Marshal && !trusted
        return codec if codec.respond_to?(:dump) && codec.respond_to?(:load)

        raise ArgumentError, "a codec has dump and load, unlike #{codec.inspect}"
      end

      # @return [String] what a codec has made of an object
      def dump(codec, object)
        bytes = codec.dump(object)
        raise TypeError, "the codec's dump gave #{bytes.class}, not String" unless bytes.is_a?(String)

        bytes
      end

      # @return [Array(Integer, String, String, String)] the status, the message, the backtrace, and what tells the class
      def pack(error, trusted)
        status = error.is_a?(Error) ? error.status : Native::FAILED
        image = trusted ? marshalled(error) : ""
        [status, text { error.message }, text { (error.backtrace || []).join("\n") },
         "#{error.class.name.to_s.b}\0#{image}".b]
      end

      # @param message [String]
      # @param backtrace [Array<String>]
      # @param payload [String]
      # @return [Exception] of the class that it was, or a {RemoteError}
      def unpack(status, message, backtrace, payload, trusted)
        name, image = payload.split("\0", 2)
        name = utf8(name.to_s)
        error = unmarshalled(image) if trusted
        error ||= made(name, status, message, trusted) || RemoteError.new(message, class_name: name)
        error.set_backtrace(backtrace)
        error
      end

      # @return [String] what a C program may read
      def utf8(text)
        text.dup.force_encoding(Encoding::UTF_8).scrub
      end

      private

      def marshalled(error)
        Marshal.dump(error)
      rescue StandardError # it holds on to what cannot be dumped
        ""
      end

      def unmarshalled(image)
        return if image.nil? || image.empty?

        error = Marshal.load(image)
        error if error.is_a?(Exception) && OWN.none? { |own| error.is_a?(own) }
      rescue StandardError # its class is not known here, or wants something else
        nil
      end

      # Without its initialize, which may want anything.
      def made(name, status, message, trusted)
        known = constant(name)
        return unless known.is_a?(Class) && known <= (trusted ? Exception : StandardError)
        return if OWN.any? { |own| known <= own }
        return Error.for(status, message) if known <= Error

        known.allocate.exception(message)
      rescue StandardError
        nil
      end

      # Loads nothing: what a worker says is no reason to.
      def constant(name)
        name.split("::").inject(Object) do |scope, part|
          return unless scope.is_a?(Module) && part.match?(/\A[[:upper:]][[:word:]]*\z/)
          return if scope.autoload?(part, false) || !scope.const_defined?(part, false)

          scope.const_get(part, false)
        end
      end

      # What an exception says of itself may fail in any way.
      def text
        yield.encode(Encoding::UTF_8, invalid: :replace, undef: :replace).scrub.tr("\0", "?")
      rescue StandardError
        ""
      end
    end
  end
  private_constant :Remote
end
