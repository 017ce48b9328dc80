# frozen_string_literal: true

# The gem can be built, contains what it needs and nothing else, and works when it is installed.

require "minitest/autorun"
require "open3"
require "rbconfig"
require "tmpdir"

class GemTest < Minitest::Test
  ROOT = File.expand_path("..", __dir__)
  GEM = [RbConfig.ruby, "-S", "gem"].freeze

  def run_command(*command, chdir: ROOT, env: {})
    output, status = Open3.capture2e(env, *command, chdir: chdir)
    assert_predicate status, :success?, "#{command.join(' ')}\n#{output}"
    output
  end

  def test_build_install_use
    Dir.mktmpdir do |directory|
      file = File.join(directory, "weft.gem")
      run_command(*GEM, "build", "weft.gemspec", "--output", file)
      sources = Dir.glob("lib/**/*.rb", base: ROOT)
      contents = run_command(*GEM, "spec", file, "files").scan(/^- (\S+)$/).flatten
      assert_equal ["README.md", *sources].sort, contents.sort

      home = File.join(directory, "home")
      run_command(*GEM, "install", "--local", "--ignore-dependencies", "--no-document", "--install-dir", home, file)
      program = 'gem "weft"; require "weft"; print $LOADED_FEATURES.grep(%r{/weft\.rb$}), Weft.async { 5 }.value'
      path = { "GEM_PATH" => [home, *Gem.path].join(":") }
      output = run_command(RbConfig.ruby, "-w", "-e", program, chdir: directory, env: path)
      assert_match(%r{#{Regexp.escape(home)}/gems/weft-[\d.]+/lib/weft\.rb"\]5\z}, output)
    end
  end
end
