PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
STAMP := .venv/.installed
BENCH := .venv/.bench
PEERS := tests/benchmarks/performance/peers-requirements.txt
PIP := $(BIN)/pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow test-kafka soak fuzz lint quality clean
.PHONY: bench bench-smoke bench-peers bench-profile

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo '  Options of a command go in ARGS, as in: make test ARGS="-k topics"'

install: $(STAMP)  ## set up .venv with everything

demo: $(STAMP)  ## run the whole system on this machine
	@$(BIN)/segmenter demo $(ARGS)

test: $(STAMP)  ## run all tests, in three processes (-n 0 in ARGS: in one)
	@$(BIN)/pytest -n 3 --dist worksteal $(ARGS)

test-slow: $(STAMP)  ## run the tests that take minutes: crash points in mid-stream, restarts, rebuilds
	@$(BIN)/pytest -m slow $(ARGS)

test-kafka: $(STAMP)  ## run the tests that need a broker on Apache Kafka (Java 17, Maven)
	@$(BIN)/python -m tests.kafka $(ARGS)

soak: $(STAMP)  ## faults under load, then a recount: MINUTES=20 SEED=1 BROKER=embedded, kafka1, kafka3
	@$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),20) $(if $(SEED),--seed $(SEED)) \
	  --broker $(or $(BROKER),embedded) $(ARGS)

fuzz: $(STAMP)  ## hostile records into decoding, led by coverage: INPUTS=1000000 SEED=1 (extra fuzz)
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) --seed $(or $(SEED),1) $(ARGS)

lint: $(STAMP)  ## check style, format and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(BENCH)  ## measure speed, latency and cost, eight minutes: ARGS=--help; ARGS="--out docs" writes
	@$(BIN)/python -m tests.benchmarks.performance $(ARGS)

bench-smoke: $(BENCH)  ## the same on 20,000 events, a minute: that it works and counts, no times
	@$(BIN)/python -m tests.benchmarks.performance --smoke $(ARGS)

bench-peers: $(BENCH) .venv-peers/.installed  ## the rates of Quix Streams and Bytewax beside ours
	@$(BIN)/python -m tests.benchmarks.performance.peers $(ARGS)

bench-profile: $(BENCH)  ## where a purchase's microseconds go, by py-spy
	@$(BIN)/python -m tests.benchmarks.performance.profile $(ARGS)

quality: $(STAMP)  ## measure the quality of the segments
	@$(BIN)/python -m tests.benchmarks.quality $(ARGS)

clean:  ## remove .venv, .segmenter, caches and build output
	@rm -rf .venv .venv-peers .segmenter .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is older or missing. Try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up .venv, once; this takes a minute or two ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) install -c constraints.txt -e '.[embedded,data,dashboard,dev]'
	@$(PIP) install --no-deps lifetimes==0.11.3  # its dependencies are old; only its data is used
	@touch $@

$(BENCH): $(STAMP)
	@$(PIP) install -c constraints.txt -e '.[bench]'
	@touch $@

.venv-peers/.installed: $(PEERS)
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/pip --quiet --disable-pip-version-check install -r $(PEERS)
	@touch $@
