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
	@scripts/setup build
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo xtask tidy
	@if command -v cargo-deny >/dev/null; then cargo deny check bans licenses sources; else echo "cargo-deny is missing: skipped"; fi

bench:
	@scripts/setup bench
	cargo xtask bench list

clean-demo:
	rm -rf .demo
