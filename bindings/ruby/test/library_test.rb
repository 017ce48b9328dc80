# frozen_string_literal: true

# The module itself: its versions, and how the shared library is found.

require "test_helper"
require "tmpdir"

class LibraryTest < WeftTest::Case
  def test_versions
    assert_equal Weft::VERSION, Weft.library_version
    assert_match(/\A\d+\.\d+\.\d+\z/, Weft::VERSION)
    assert_equal 0, WeftTest::Native.weft_abi_version
    assert_includes Weft.capabilities, :futex
  end

  def test_a_library_that_is_not_there
    output, status = ruby("", env: { "WEFT_LIBRARY" => "/nowhere/libweft.so" })
    refute_predicate status, :success?
    assert_match(%r{cannot load /nowhere/libweft\.so}, output)
    assert_match(/WEFT_LIBRARY/, output)
    assert_match(/LoadError/, output)
  end

  def test_a_library_that_is_no_library
    output, status = ruby("", env: { "WEFT_LIBRARY" => __FILE__ })
    refute_predicate status, :success?
    assert_match(/LoadError/, output)
  end

  def test_without_a_name_the_loader_searches
    library = ENV.fetch("WEFT_LIBRARY")
    Dir.mktmpdir do |directory|
      ["", nil].each do |name|
        output, status = ruby("", env: { "WEFT_LIBRARY" => name, "LD_LIBRARY_PATH" => directory })
        refute_predicate status, :success?
        assert_match(/cannot load libweft\.so\.0\. Install Weft/, output)
      end
      File.symlink(File.realpath(library), File.join(directory, "libweft.so.0"))
      found = { "WEFT_LIBRARY" => nil, "LD_LIBRARY_PATH" => directory }
      output, status = ruby("puts Weft.async { 3 }.value", env: found)
      assert_equal ["3\n", true], [output, status.success?]
    end
  end

  def test_a_library_with_another_abi
    Dir.mktmpdir do |directory|
      source = File.join(directory, "other.c")
      other = File.join(directory, "other.so")
      File.write(source, "unsigned weft_abi_version(void) { return 99; }\n")
      assert system(ENV.fetch("CC", "cc"), "-shared", "-fPIC", "-o", other, source)
      output, status = ruby("", env: { "WEFT_LIBRARY" => other })
      refute_predicate status, :success?
      assert_match(/ABI version 99; this gem, #{Regexp.escape(Weft::VERSION)}, needs 0/, output)
    end
  end

  def test_structs_are_laid_out_as_in_c
    library = FFI::DynamicLibrary.open(ENV.fetch("WEFT_FIXTURE"), FFI::DynamicLibrary::RTLD_NOW)
    %w[RuntimeOptions RuntimeStats LaneStats WorkerStats SpawnOptions ChannelOptions LogRecord BreakerOptions
       BreakerStats Permit ProcessLimit ProcessPoolOptions ProcessCallOptions ProcessPoolStats].each do |name|
      struct = WeftTest::Native.const_get(name)
      variable = library.find_variable("fixture_layout_#{name.gsub(/(?<=.)[A-Z]/) { "_#{_1}" }.downcase}")
      in_c = variable.read_array_of_uint64(struct.members.size + 1)
      assert_equal in_c, [struct.size, *struct.offsets.map(&:last)], name
    end
  end

  def test_every_status_has_its_class
    named = (0..100).reject { |status| WeftTest::Native.weft_status_name(status) == "unknown" } - [0]
    classes = named.map { |status| Weft::Error.for(status, "") }
    assert_equal named, classes.map(&:status)
    assert_equal named, classes.map { |error| error.class::STATUS }
    assert_equal named.size, classes.map(&:class).uniq.size
    classes.each { |error| assert_equal error.status_name, error.message }
    assert_equal [Weft::Error, 99], Weft::Error.for(99, "strange").then { |error| [error.class, error.status] }
  end
end
