# frozen_string_literal: true

# The first example of README.md does what README.md says.

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
end
