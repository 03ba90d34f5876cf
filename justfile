# The commands that contributors use; `just` lists them. CONTRIBUTING.md explains them.

[private]
default:
    @just --list

# Run all tests
test *ARGS:
    cargo test --no-fail-fast {{ARGS}}

# Run all tests COUNT times, alone and beside three busy loops, and show what failed
flaky COUNT="30":
    tests/flaky {{COUNT}}

# Run the tests that take minutes, or the part called PART: `COUNT=1000 just endure interrupts`
endure PART="":
    cargo test --release --test it -- --ignored --nocapture --test-threads 1 endure::{{PART}}

# Replay the sample suites, or the cases whose name contains NAME
replay *NAME:
    cargo test --test replay -- {{NAME}}

# Format the code
format:
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml

# Run clippy on every set of features
lint:
    cargo clippy --all-targets -- -D warnings
    cargo clippy --no-default-features --features embedded --lib --tests -- -D warnings
    cargo clippy --no-default-features --lib --tests -- -D warnings

# Build the documentation and open it
doc:
    cargo doc --no-deps --open

# Run the command from the source tree, such as `just run inspect case cases/checkout/happy.case.json`
run *ARGS:
    cargo run --quiet -- {{ARGS}}

# Accept changed report snapshots; review them with `git diff` afterwards
snapshots:
    INSTA_UPDATE=always cargo test --lib report

# Run fuzz targets for SECONDS each, such as `just fuzz 60 suite`
fuzz SECONDS *TARGETS:
    fuzz/run {{SECONDS}} {{TARGETS}}

# Measure a run against a bare HTTP loop
bench *ARGS:
    cargo bench --bench run -- {{ARGS}}

# Build packages for people without Rust into target/dist
dist:
    dist/install
    dist/build

# Build the documentation as a site into target/site, and check its links
site:
    docs/site --install
    docs/site

# Run everything that CI runs
ci:
    .ci/run
