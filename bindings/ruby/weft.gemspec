# frozen_string_literal: true

require_relative "lib/weft/version"

Gem::Specification.new do |spec|
  spec.name = "weft"
  spec.version = Weft::VERSION
  spec.summary = "Promises, futures and channels for Ruby threads; native functions on work-stealing workers"
  spec.description = <<~TEXT
    Weft is one concurrency runtime behind one C ABI. This gem is its Ruby binding: promises, futures and
    channels whose waits release the VM lock and can be interrupted, a pool of Ruby threads, and native
    functions run by the library's workers. It needs the shared library libweft.so.0, which it does not
    contain.
  TEXT
  spec.authors = ["The Weft authors"]
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.required_ruby_version = ">= 3.1"
  spec.files = Dir.chdir(__dir__) { Dir["lib/**/*.rb"].sort + ["README.md"] }
  spec.require_paths = ["lib"]
  spec.requirements = ["libweft.so.0"]
  spec.add_runtime_dependency "ffi", "~> 1.15"
  spec.metadata = { "rubygems_mfa_required" => "true" }
end
