# frozen_string_literal: true

# The first example of README.md does what README.md says, and the programs in examples/ do what they are for.

require "test_helper"

class ReadmeTest < WeftTest::Case
  README = File.read(File.expand_path("../README.md", __dir__))

  def block(language)
    README[/^```#{language}\n(.*?)^```$/m, 1] or flunk "no #{language} block"
  end

  def test_the_example
    output, status = ruby(block("ruby"))
    assert_equal block("text"), output
    assert_predicate status, :success?
  end

  # The events come in any order; those of one source in theirs.
  def test_the_event_loop
    output, status = ruby(File.read(File.expand_path("../examples/event_loop.rb", __dir__)))
    assert_equal ["channel: closed", "channel: step 1", "channel: step 2", "channel: step 3", "future: 500500", "socket: hello"],
                 output.lines(chomp: true).sort
    assert_equal "123", output.scan(/step (\d)/).join
    assert_predicate status, :success?
  end
end
