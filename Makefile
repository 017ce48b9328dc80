# The few commands of this project; `make help` lists them. The building itself is CMake's (CMakeLists.txt) and cargo's;
# this file only puts setup, configuration and build in order, everything under target/.
SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.PHONY: help setup-demo setup-test setup-bench configure build demo test soak bench bench-channels bench-links install clean

BUILD = target/cmake
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)
# What the demo reads: these as far as they are there, and the project without what was built.
CORPUS ?= $(wildcard /usr/share/doc /usr/include) $(filter-out target/,$(wildcard */))
# The build type can be given too: make build BUILD_TYPE=Debug.
BUILD_TYPE ?= Release
CONFIGURE = cmake -S . -B $(BUILD) -G Ninja -DCMAKE_BUILD_TYPE=$(BUILD_TYPE)

help:
	@echo 'make demo             install what is missing, build, and run the demo on real files'
	@echo 'make test             install what is missing, build, and run every test'
	@echo 'make soak             install what is missing, and mix everything at random for SOAK_SECONDS (600), and attack and fuzz links'
	@echo 'make bench            install what is missing, build, and run the benchmarks'
	@echo 'make bench-channels   of these, channels and futures beside their peers (WEFT_BENCH_QUICK=1: a quick look)'
	@echo 'make bench-links      of these, links and process pools beside their peers, in about a minute'
	@echo 'make build            build libweft.so and libweft.a in $(BUILD) (BUILD_TYPE=Debug for a debug build)'
	@echo 'make install PREFIX=  install headers, libraries, CMake package and weft.pc (default /usr/local; DESTDIR= too)'
	@echo 'make clean            remove everything that was built (target/)'

setup-demo setup-test setup-bench: setup-%:
	@tools/setup.sh $*

build: setup-demo
	@$(CONFIGURE) >/dev/null
	@cmake --build $(BUILD) --target weft_shared weft_static

demo: setup-demo
	@$(CONFIGURE) >/dev/null
	@cmake --build $(BUILD) --target corpus
	@$(BUILD)/examples/corpus $(CORPUS)

test: setup-test
	@$(CONFIGURE) -DBUILD_TESTING=ON \
	    -DWEFT_ZIG_0_15="$(CURDIR)/target/zig-0.15/bin/python-zig" \
	    -DWEFT_ZIG_0_17="$(CURDIR)/target/zig-0.17/bin/python-zig" >/dev/null
	@cmake --build $(BUILD)
	@ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure --no-tests=error

# Each round has a seed, printed when it fails: SOAK_SEED=... begins with it.
SOAK_SECONDS ?= 600
soak: setup-demo
	@WEFT_STRESS_SECONDS=$(SOAK_SECONDS) cargo test --locked --release --package weft --test stress -- $(SOAK_SEED)
	@WEFT_FUZZ_SECONDS=$$(($(SOAK_SECONDS) / 5)) cargo test --locked --release --package weft --lib garbage_from_fixed_seeds
	@fuzz/run.sh long $$(($(SOAK_SECONDS) / 5))
	@$(CONFIGURE) -DBUILD_TESTING=ON >/dev/null
	@cmake --build $(BUILD) --target weft_c_process_faults
	@WEFT_SOAK_SECONDS=$$(($(SOAK_SECONDS) / 5)) $(BUILD)/ctests/weft_c_process_faults

bench: setup-bench
	@$(CONFIGURE) >/dev/null
	@cmake --build $(BUILD) --target bench_abi bench_breaker bench_idle bench_memory bench_link bench_context bench_forkjoin bench_instructions bench_tbb
	@cargo build --locked --release --package weft-peers --features channels,breakers
	@$(BUILD)/benches/bench_abi
	@$(BUILD)/benches/bench_breaker
	@target/release/breakers $(BUILD)/libweft.so
	@target/release/spawn
	@$(BUILD)/benches/bench_idle
	@$(BUILD)/benches/bench_memory
	@$(BUILD)/benches/bench_link
	@$(BUILD)/benches/bench_context
	@for program in $(BUILD)/benches/forkjoin_*_*; do echo "$${program##*/}"; $$program; done
	@target/release/forkjoin
	@$(BUILD)/benches/bench_tbb
	@benches/instructions.sh $(BUILD)/benches/instructions_{gcc,clang}_{inline,called}
	@cargo bench --locked --workspace --features weft-peers/channels
	@$(MAKE) --no-print-directory bench-channels bench-links

# Go's channels take part where there is a Go compiler.
bench-channels: setup-bench
	@$(CONFIGURE) >/dev/null
	@cmake --build $(BUILD) --target weft_shared bench_channels
	@cargo build --locked --release --package weft-peers --features channels --bin channels --bin futures
	@target/release/channels $(BUILD)/libweft.so $$(compgen -G '$(BUILD)/benches/channels_*' || true)
	@target/release/futures $(BUILD)/libweft.so

# iceoryx2's crate needs libclang.
bench-links: setup-bench
	@$(CONFIGURE) >/dev/null
	@cmake --build $(BUILD) --target weft_shared bench_links bench_process
	@cargo build --locked --release --package weft-peers --features links --bin links
	@target/release/links $(BUILD)/libweft.so $$(compgen -G '$(BUILD)/benches/liblinks_*.so' || true)
	@$(BUILD)/benches/bench_process

# Does not build when there is a build: `sudo make install` need not know the user's Rust toolchain.
install:
	@test -e $(BUILD)/libweft.so || $(MAKE) build
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf target
