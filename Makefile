# `make` lists the targets. Each can run again, as root or with sudo, on a bare Debian with Rust.

SERVERS := .local/servers
INSTALL := deploy/local/install.sh
LOCAL := deploy/local/servers.sh
# The paths of this machine, and what the program has instead of them.
REMAP := $(or $(CARGO_HOME),$(HOME)/.cargo)=/cargo $(CURDIR)=/offboarder
FUZZ_TARGETS := $(notdir $(wildcard fuzz/corpus/*))

.DEFAULT_GOAL := help
.PHONY: help build supply-chain sbom notices requirements demo play play-stop screenshots test test-backends test-backends-smoke test-kms test-profiles check check-deploy format clippy docs man chaos fuzz bench-access bench-access-first bench-archive bench-console bench-evidence bench-floor bench-lanes bench-million bench-outage bench-plan bench-quota bench-report bench-runtime bench-sizing bench-submit bench-telemetry bench-user bench-workers upgrade up down clean-local

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-19s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

build: ## build the release binary, target/release/offboarder, without paths of this machine; print how many remain; FEATURES=kms
	$(INSTALL) compiler
	RUSTFLAGS='$(RUSTFLAGS) $(REMAP:%=--remap-path-prefix=%)' CFLAGS='$(CFLAGS) $(REMAP:%=-ffile-prefix-map=%)' \
		cargo build --release --locked --features '$(FEATURES)'
	@printf 'paths of this machine in target/release/offboarder: %s\n' \
		"$$(grep -aoF $(foreach path,$(REMAP),-e $(firstword $(subst =, ,$(path)))/) target/release/offboarder | wc -l)"

supply-chain: ## check sources, checksums and licences of the crates against deny.toml; advisories if cargo-audit is installed
	python3 deploy/check/crates.py check
	@if cargo audit --version >/dev/null 2>&1; then cargo audit --deny warnings; \
	else echo 'not done   advisories: cargo-audit is not installed (cargo install --locked cargo-audit)'; fi
	@if cargo deny --version >/dev/null 2>&1; then cargo deny --locked check bans licenses sources; \
	else echo 'not done   cargo deny: it is not installed (cargo install --locked cargo-deny)'; fi

sbom: ## write an SBOM of the program to target/offboarder.cdx.json (CycloneDX 1.5)
	python3 deploy/check/crates.py sbom > target/offboarder.cdx.json

notices: ## write the licences of the crates of the program to target/THIRD-PARTY-NOTICES.txt
	python3 deploy/check/crates.py notices > target/THIRD-PARTY-NOTICES.txt

requirements: ## write the lists of Python packages with their hashes, from requirements.in
	python3 -m venv --clear target/pip-tools && target/pip-tools/bin/python -m pip install --quiet pip-tools==7.6.2
	for list in tests/python deploy docs/examples; do \
		echo '# Made by `make requirements` out of requirements.in.' > $$list/requirements.txt.new && \
		target/pip-tools/bin/pip-compile --quiet --generate-hashes --no-annotate --no-header --strip-extras \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
			-c tests/python/requirements.in -o - $$list/requirements.in >> $$list/requirements.txt.new && \
		mv $$list/requirements.txt.new $$list/requirements.txt || exit 1; \
	done

demo: ## off-board twelve users at a simulator, with one crash and resume; needs no server
	$(INSTALL) compiler
	cargo build --locked
	target/debug/offboarder demo

play: ## start servers, a simulator with faults, a worker and a batch of fifty users, and print commands to try; Ctrl-C ends it
	$(INSTALL) compiler
	$(INSTALL) servers
	cargo build --locked
	deploy/local/play.sh run .local/play target/debug/offboarder

play-stop: ## end `make play` from another shell
	deploy/local/play.sh stop .local/play

screenshots: ## pictures of each page of the console, light, dark and narrow, into target/screenshots; INTO=directory
	$(INSTALL) compiler
	$(INSTALL) servers
	$(INSTALL) browser
	cargo build --locked
	.venv/bin/python tests/python/browser/screenshots.py deploy/local/play.sh target/debug/offboarder $(or $(INTO),target/screenshots)

test: ## run all tests; starts its own RabbitMQ, Redis and S3 server
	$(INSTALL)
	cargo test --locked

test-profiles: ## run every off-boarding scenario at the APIs of NICE and Genesys; `make test` has a smoke of each
	$(INSTALL)
	cargo test --locked --test real_servers -- --include-ignored 'profiles: '

test-backends: ## off-board a hundred users on each broker, Redis and S3 server that can be had, and print the table; FILTER=Redis
	$(INSTALL)
	OFFBOARDER_MAJORITIES='$(or $(MAJORITIES),20)' tests/backends.sh run '$(FILTER)'

test-backends-smoke: ## the same on RabbitMQ 4 and Valkey 8, from Debian 13; needs root, and says "not tried" without it
	$(INSTALL)
	tests/backends.sh smoke

test-kms: ## a key in AWS KMS signs the evidence log: unit tests of the feature `kms`, and trials at MiniStack
	$(INSTALL)
	tests/backends.sh bring-kms
	cargo test --locked --features kms --lib -- kms signers
	cargo test --locked --features kms --test real_servers -- 'kms'

chaos: ## kill, cut, flush and duplicate while 300 users are off-boarded; SEED=n repeats a run, USERS=n sets its size
	$(INSTALL)
	OFFBOARDER_CHAOS_SEED='$(SEED)' OFFBOARDER_CHAOS_USERS='$(or $(USERS),300)' \
		cargo test --locked --test real_servers -- 'chaos: '

fuzz: ## run the fuzz targets with cargo-fuzz (needs a nightly toolchain); TARGET=message SECONDS=60
	$(INSTALL) compiler
	rustup run nightly rustc --version 2>/dev/null || rustup toolchain install nightly --profile minimal
	cargo fuzz --version 2>/dev/null || cargo install --locked cargo-fuzz
	cp Cargo.lock fuzz/Cargo.lock
	for target in $(or $(TARGET),$(FUZZ_TARGETS)); do \
		mkdir -p fuzz/found/$$target && \
		cargo +nightly fuzz run $$target fuzz/found/$$target fuzz/corpus/$$target -- \
			-max_total_time=$(or $(SECONDS),60) -timeout=20 || exit 1; \
	done

check: format clippy docs test test-backends-smoke check-deploy ## everything that CI runs: format, clippy, docs, tests, deploy/

check-deploy: ## check deploy/ with the tools that can be installed, and on real servers
	$(INSTALL) deploy
	deploy/check.sh

format: ## check the format
	cargo fmt --check

clippy: ## clippy on all targets with all features, warnings are errors
	$(INSTALL) compiler
	cargo clippy --locked --all-targets --all-features -- -D warnings

docs: ## build the API documentation, warnings are errors
	$(INSTALL) compiler
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --all-features

man: ## write the man pages to target/man
	$(INSTALL) compiler
	cargo run --quiet --locked -- man target/man

bench-access: build ## 100,000 submitted users: prints how long `users list --access` takes; USERS=n sets how many
	$(INSTALL) servers
	.venv/bin/python benches/access.py target/release/offboarder $(LOCAL) $(USERS)

bench-access-first: build ## a batch under the default quotas: prints who is deleted before all have lost their access; USERS=500
	$(INSTALL) servers
	.venv/bin/python benches/access_first.py target/release/offboarder $(LOCAL) $(USERS)

bench-archive: build ## archive 2 GB of one user with a real worker; prints MB/s, peak memory, CPU seconds per GB
	$(INSTALL) servers
	.venv/bin/python benches/archive.py target/release/offboarder $(LOCAL) $(GIGABYTES)

bench-console: build ## a batch of 100,000 users in the console; prints how long pages take, and what 50 viewers cost; USERS=n
	$(INSTALL) servers
	.venv/bin/python benches/console.py target/release/offboarder $(LOCAL) '$(USERS)'

bench-evidence: build ## a log of a million records: prints how long its check takes, the size of a proof, and what a worker pays; ENTRIES=n
	$(INSTALL) servers
	.venv/bin/python benches/evidence.py target/release/offboarder $(LOCAL) '$(ENTRIES)'

bench-floor: build ## a small user without a worker's promises: users a second and CPU of a bare program, and of a worker after it; USERS=1000
	$(INSTALL) servers
	cargo bench --locked --no-run --bench floor
	.venv/bin/python benches/floor.py target/release/offboarder $(LOCAL) $(USERS)

bench-lanes: build ## 5,000 waiting users and an urgent one; prints how long each keeps access
	$(INSTALL) servers
	.venv/bin/python benches/lanes.py target/release/offboarder $(LOCAL) $(USERS)

bench-million: build ## a million waiting users: prints submit, memory of every part, `batch show`, and a worker's speed against a few; USERS=n ROUNDS=n
	$(INSTALL) servers
	.venv/bin/python benches/million.py target/release/offboarder $(LOCAL) '$(USERS)' '$(ROUNDS)'

bench-outage: build ## 1,000 users queued through an outage of ten minutes; prints dead letters and attempts spent
	$(INSTALL) servers
	.venv/bin/python benches/outage.py target/release/offboarder $(LOCAL) $(USERS) $(MINUTES)

bench-plan: build ## plan 10,000 users of a CSV file; prints rows a second and peak memory; ROWS=n sets how many
	$(INSTALL) servers
	.venv/bin/python benches/plan.py target/release/offboarder $(LOCAL) $(ROWS)

bench-quota: build ## four workers on an analytics quota of 20/s and a routing quota of 50/s; prints how much is used, and 429s, quiet and busy
	$(INSTALL) servers
	.venv/bin/python benches/quota.py target/release/offboarder $(LOCAL) $(SECONDS) $(HOGS)

bench-report: build ## report on 10,000 and 100,000 leavers in a directory; prints leavers a second and peak memory; LEAVERS=n
	$(INSTALL) servers
	.venv/bin/python benches/report.py target/release/offboarder $(LEAVERS)

bench-runtime: build ## prints how long a worker needs to be ready, and its peak memory with pages of 20 MB; ROUNDS=3
	$(INSTALL) servers
	.venv/bin/python benches/runtime.py target/release/offboarder $(LOCAL) $(ROUNDS)

bench-sizing: build ## prints the bytes that waiting messages need in RabbitMQ, and users in Redis; MESSAGES=n sets how many
	$(INSTALL) servers
	.venv/bin/python benches/sizing.py target/release/offboarder $(LOCAL) $(MESSAGES)

bench-submit: build ## submit 100,000 users of a CSV file; prints seconds, users a second and peak memory; USERS=n sets how many
	$(INSTALL) servers
	.venv/bin/python benches/submit.py target/release/offboarder $(LOCAL) $(USERS)

bench-telemetry: build ## prints the cost of a telemetry collector that accepts all, is dead, silent or refuses; USERS=n ROUNDS=n
	$(INSTALL) servers
	.venv/bin/python benches/telemetry.py target/release/offboarder $(LOCAL) '$(USERS)' '$(ROUNDS)'

bench-user: build ## prints what a small user costs: calls, S3 requests, Redis and broker operations, CPU of each part, allocations; USERS=200
	$(INSTALL) servers
	.venv/bin/python benches/user.py target/release/offboarder $(LOCAL) $(USERS)

bench-workers: build ## prints the calls of a user by class, and compares two workers on the default quotas with the formula
	$(INSTALL) servers
	.venv/bin/python benches/workers.py target/release/offboarder $(LOCAL) $(or $(USERS),300) $(DIVISOR)

upgrade: ## replace workers of FROM=COMMIT one by one with those of this tree, and back, while users are off-boarded
	$(INSTALL)
	rm -rf target/upgrade && mkdir -p target/upgrade && git archive $(FROM) | tar x -C target/upgrade
	cargo build --locked --manifest-path target/upgrade/Cargo.toml
	OFFBOARDER_OTHER_RELEASE=$(CURDIR)/target/upgrade/target/debug/offboarder \
		cargo test --locked --test real_servers -- 'workers replaced one by one'

up: ## start a private RabbitMQ, Redis and S3 on loopback and print the settings for them
	$(INSTALL) servers
	$(LOCAL) start $(SERVERS)
	@$(LOCAL) env $(SERVERS)
	@echo '# into this shell: eval "$$($(LOCAL) env $(SERVERS))"   stop them: make down' >&2

down: ## stop the servers of `make up`; their data stays
	$(LOCAL) stop $(SERVERS)

clean-local: down ## stop the servers of `make up` and remove their data
	rm -rf .local
