# Every target is a line or two; `make help` lists them.
comma := ,
PLUGINS := ai-metrics ai-auth prompt-guard semantic-cache-client token-ratelimit ai-proxy
BUNDLE := ai-gateway
# Where `make wasm` puts them.
DIST := dist
PYTHON := PYTHONPATH=test-harness .run/venv/bin/python
# `make wasm PROFILE=quick` while developing: built in a fraction of the time, larger and slower.
PROFILE := release
# A module is sent to many proxies and compiled by each. What would be larger than it may (1.5 MB, the bundle 3) is
# built small: less of the usual inlining makes it an eighth smaller, and a request a tenth dearer. The others are
# built for speed. Last, modules are made to copy short pieces of memory themselves, and the code that requests pass is put
# next to each other (test-harness/layout); what they pass is found by running them in the emulated Envoy. Similar
# functions are merged in the bundle only, which would be too large otherwise.
SMALL := $(if $(filter release,$(PROFILE)),ai-proxy)
FAST := $(filter-out $(SMALL),$(PLUGINS))
FAST_PROFILE := $(if $(filter release,$(PROFILE)),fast,$(PROFILE))
# Where a module says what went wrong in itself, it does not say where it was built. In `target` functions have names
# that tell instances for different types apart, for profilers.
SOURCES := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src/
flags = --config 'target.wasm32-wasip1.rustflags=["--remap-path-prefix=$(SOURCES)=","-Csymbol-mangling-version=v0"$(1)]'
# Crates that are libraries as well are not optimized as a whole (`lto`) unless they are told to be a module only.
WASM := cargo rustc --quiet --locked --target wasm32-wasip1 --lib --crate-type cdylib
WASM_FAST := $(WASM) $(flags) --profile $(FAST_PROFILE)
WASM_SMALL := $(WASM) $(call flags,$(comma)"-Cllvm-args=-inline-threshold=10") --profile $(PROFILE)

# No target is a file.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*/\1/p' Makefile)

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 16

setup: ## Install what running and testing needs, into target/ and .run/
	@test-harness/setup.sh test

wasm: ## Build all plugins into dist/ [PROFILE=quick] [PLUGINS="ai-proxy ..."]
	@test-harness/setup.sh build
	@mkdir -p $(DIST)
	@echo "compiling the plugins, which takes minutes the first time" >&2
	@# Side by side: the last step of each module has work for one core only.
	@$(MAKE) --no-print-directory -j2 wasm-fast wasm-small
ifeq ($(PROFILE),release)
	@test-harness/optimize.sh small $(call built,small/wasm32-wasip1/$(PROFILE),$(BUNDLE)) \
	    fast $(call built,small/wasm32-wasip1/$(PROFILE),$(filter $(SMALL),$(PLUGINS))) $(call built,wasm32-wasip1/$(FAST_PROFILE),$(FAST))
	@cargo build --quiet --locked $(NATIVE) --bin lay-out
	@target/debug/lay-out $(foreach plugin,$(PLUGINS) $(BUNDLE),target/$(subst -,_,$(plugin)).wasm $(DIST)/$(plugin).wasm)
else
	@echo "$(PROFILE)" > $(DIST)/built-as
	@$(foreach plugin,$(PLUGINS),cp target/wasm32-wasip1/$(PROFILE)/$(subst -,_,$(plugin)).wasm $(DIST)/$(plugin).wasm &&) true
	@$(foreach plugin,$(BUNDLE),cp target/small/wasm32-wasip1/$(PROFILE)/$(subst -,_,$(plugin)).wasm $(DIST)/$(plugin).wasm &&) true
endif
	@cd $(DIST) && wc -c *.wasm | sed '$$d' | awk '{ printf "$(DIST)/%-20s %7.0f KB\n", $$2, $$1 / 1000 }'

# A module as it was compiled, and as it is made smaller or faster.
built = $(foreach file,$(subst -,_,$(2)),target/$(1)/$(file).wasm target/$(file).wasm)

wasm-fast:
	@$(foreach plugin,$(FAST),$(WASM_FAST) -p $(plugin) &&) true

# The bundle by itself, because it links the plugins built without their entry points.
wasm-small:
	@$(foreach plugin,$(filter $(SMALL),$(PLUGINS)) $(BUNDLE),$(WASM_SMALL) --target-dir target/small -p $(plugin) &&) true

mock:
	@cargo build --quiet --locked $(NATIVE) --bin mock-llm

aigw: ## Build target/debug/aigw: one policy file for every host (see envoy-examples/policy)
	@cargo build --quiet --locked $(NATIVE) --bin aigw

manifests: ## Write envoy-examples/kubernetes anew, from the example's policy
	UPDATE=1 cargo test --quiet --locked $(NATIVE) --test policies

oci: wasm ## The bundle as a container image, with a bill of materials and checksums, into target/oci
	@PYTHONPATH=test-harness python3 -m oci

compose-files: ## What test-harness/compose needs besides the modules: certificates of the stand-ins, in .run/tls
	@test-harness/setup.sh run
	@$(PYTHON) -m compose.providers

compose-demo: ## The same requests through Envoy and APISIX of test-harness/compose (docker compose up -d first)
	@PYTHONPATH=test-harness python3 -m compose

# What `make wasm` has built, else modules that are compiled in a quarter of the time.
DEMO := $(if $(wildcard dist/ai-gateway.wasm),dist,target/demo)

demo: ## Three requests through real Envoy, printed, everything stopped again
	@$(MAKE) --no-print-directory wasm mock DIST=$(DEMO) $(if $(filter dist,$(DEMO)),,PROFILE=quick BUNDLE=)
	@test-harness/setup.sh run
	@DIST=$(DEMO) $(PYTHON) -m gateway demo

up: wasm mock ## Start the gateway in the background [UPSTREAM=https://... KEY=... PROTOCOL=openai|anthropic] [EXAMPLE=full-chain/envoy.yaml]
	@test-harness/setup.sh run
	@UPSTREAM="$(UPSTREAM)" KEY="$(KEY)" PROTOCOL="$(PROTOCOL)" $(PYTHON) -m gateway up

key: ## Mint a key for a consumer and print its entry [ID=name] [PREFIX=sk-aigw] [PEPPER=secret]
	@cargo run --quiet --locked -p ai-auth --no-default-features --features mint --bin key -- "$(ID)" "$(PREFIX)" "$(PEPPER)"

down: ## Stop it
	@$(PYTHON) -m gateway down

test: ## Set up and run every test
	@test-harness/setup.sh build
	@# What is fetched comes while modules are built.
	@$(MAKE) --no-print-directory -j2 setup wasm
	@$(MAKE) --no-print-directory mock test-native test-wasm test-emulator test-e2e fuzz

# One choice of packages, so that what one target has built the next need not build again.
NATIVE := $(addprefix -p ,shared $(PLUGINS) ai-gateway mock-llm rls conformance aigw layout test-harness) \
    --features shared/testing,ai-gateway/schema
EMULATED := $(NATIVE) --features test-harness/built --test emulated

test-native: ## Unit, property and golden tests
	cargo test --quiet --locked $(NATIVE)

test-wasm: ## Tests of what modules do otherwise than native code, as wasm, in Node
	PATH="$(CURDIR)/target/tools/bin:$$PATH" CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER=wasm-bindgen-test-runner \
	    cargo test --locked -p shared -p semantic-cache-client --lib --target wasm32-unknown-unknown --features shared/testing

test-emulator: ## The built plugins in the emulated hosts, Envoy and APISIX
	cargo test --quiet --locked $(EMULATED)

fuel-baseline: wasm ## Write the counts of instructions that test-emulator compares with (test-harness/fuel.json) anew
	UPDATE=1 cargo test --quiet --locked $(EMULATED) built::

test-e2e: aigw ## The examples in real Envoy; those for APISIX in the emulated one
	@cargo build --quiet --locked $(NATIVE) --bin emulated-apisix --bin rls
	$(PYTHON) -m pytest -q -n 2 --dist loadgroup test-harness/e2e

test-apisix: wasm mock ## The end-to-end tests on the emulated APISIX: separate plugins and bundle [TESTS=file ...]
	@cargo build --quiet --locked $(NATIVE) --bin emulated-apisix
	@test-harness/setup.sh test
	EXAMPLES="apisix/full-chain.yaml apisix/bundle.yaml" $(PYTHON) -m pytest -q -n 2 --dist loadgroup -k "apisix" \
	    $(or $(TESTS),test-harness/e2e)

conformance: ## Compare with recorded pairs of other gateways VECTORS=folder [CASE=name]
	@$(if $(VECTORS),,echo 'give the folder of the recorded pairs: make conformance VECTORS=/path' >&2; exit 2)
	@cargo run --quiet --locked --profile tools -p conformance -- "$(VECTORS)" $(CASE)

bench: wasm ## What each plugin, the chain and the bundle cost in real Envoy [QUICK=1] [ONLY="noop bundle ..."]
	@test-harness/setup.sh run
	@$(WASM_SMALL) -p noop
	@cargo build --quiet --locked --profile tools -p load
	@QUICK="$(QUICK)" ONLY="$(ONLY)" $(PYTHON) -m performance

bench-idle: wasm ## What idle streams cost in memory, over HTTP/2 [STREAMS=10000] [ONLY="bundle ..."]
	@test-harness/setup.sh run
	@$(WASM_SMALL) -p noop
	@cargo build --quiet --locked --profile tools -p load
	@STREAMS="$(STREAMS)" ONLY="$(ONLY)" $(PYTHON) -m performance.idle

bench-translate: ## What translating costs, in Wasm instructions and native time
	@test-harness/setup.sh build
	@$(WASM_SMALL) -p bench
	@test-harness/optimize.sh small target/wasm32-wasip1/$(PROFILE)/bench.wasm target/bench.wasm
	@cargo run --quiet --locked -p test-harness --bin count-fuel -- target/bench.wasm
	@cargo run --quiet --release --locked -p bench

metrics-cost: ## What ai-metrics adds to a request and to an event, in native time
	@cargo run --quiet --release --locked -p ai-metrics --example cost --features shared/testing

soak: wasm mock ## Mixed load on one Envoy worker: wrong answers, growing memory [SECONDS=180] [CPU=0.7]
	@test-harness/setup.sh run
	@SECONDS="$(or $(SECONDS),180)" CPU="$(or $(CPU),0.7)" $(PYTHON) -m soak

soak-metrics: wasm ## ai-metrics' memory over many streams, in the emulator [SOAK=200000]
	@SOAK=$${SOAK:-200000} cargo test --quiet --release --locked -p test-harness --features built --test emulated ai_metrics_memory:: -- --nocapture

GUARD_SPEED = cargo build --quiet --locked --profile fast -p prompt-guard --no-default-features --example speed
guard-eval: ## Recall, false alarms and cost of prompt-guard, natively and in V8 DATA=folder
	@cargo run --quiet --locked --release -p test-harness --bin guard -- eval "$(DATA)"
	@$(GUARD_SPEED) --target wasm32-wasip1
	@echo && $(GUARD_SPEED) && target/fast/examples/speed < "$(DATA)/prompt_injection/dev.jsonl"
	@echo "in V8:" && node --no-warnings plugins/prompt-guard/examples/speed.mjs \
		target/wasm32-wasip1/fast/examples/speed.wasm < "$(DATA)/prompt_injection/dev.jsonl"

cache-eval: ## Precision and recall of the semantic cache DATA=folder [ROWS=of each file]
	@test-harness/setup.sh embedder
	@$(PYTHON) -m gateway.cache_eval "$(DATA)" $(ROWS) > target/cache-eval.jsonl
	@cargo run --quiet --locked -p test-harness --bin cache-eval < target/cache-eval.jsonl

bench-routing: ## What a decision over 500 rules and 200 targets costs, natively
	@cargo run --quiet --release --locked -p ai-proxy --features shared/testing --example decide

.PHONY: bench-limits
bench-limits: ## What a check of token-ratelimit's local store costs natively
	@cargo run --quiet --release --locked -p token-ratelimit --features shared/testing --example check

tokens-eval: ## How far the estimate of tokens is from o200k_base [DATA=folder of english, chinese, code, json]
	@cargo run --quiet --locked -p tokens-eval -- "$(DATA)"

features: ## Write the tables of what is translated (from the golden files) and of the providers anew
	UPDATE=1 cargo test --quiet --locked $(NATIVE) --test it -- features:: presets::

fuzz: ## Every fuzz target for a fixed number of inputs [RUNS=20000 SEED=1]
	test-harness/fuzz/run.sh

lint: ## rustfmt and clippy, warnings are errors
	@test-harness/setup.sh build
	cargo fmt --all --check
	cargo clippy --quiet --locked --workspace --all-targets --features shared/testing,ai-gateway/schema,ai-auth/mint -- -D warnings
	cargo clippy --quiet --locked $(addprefix -p ,$(PLUGINS) ai-gateway) --target wasm32-wasip1 -- -D warnings

schema: ## Write the JSON Schemas of all configurations anew
	UPDATE=1 cargo test --quiet --locked -p ai-gateway --features schema --test schema
	UPDATE=1 cargo test --quiet --locked -p ai-metrics --test examples
	@$(MAKE) --no-print-directory docs

docs: ## Write the tables of configuration fields anew, from the schemas
	@PYTHONPATH=test-harness python3 -m pages

clean: ## Remove what was built and installed here
	rm -rf target dist .run test-harness/fuzz/target
