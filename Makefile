# Two commands do everything: `make gate` (the main job) and `make test`. Both work on a fresh machine with
# Python 3.11+ and pip alone: no apt, no root, no Docker, no activated environment.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
# Images of containers often forbid bytecode. Hundreds of processes start here, and each would compile all it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup gate campaign explore-table gallery test soak lint format bench ml tft clients client-table lock clean

setup: .venv/installed

# The machine's certificates first, as companies add their own; uv's bundled ones where the machine has none.
# `venv --without-pip` because Debian splits ensurepip off into a package of its own; pip then installs into it from outside.
.venv/installed: pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip .venv
	test -x $(BIN)/uv || $(PYTHON) -m pip --quiet --disable-pip-version-check --python $(BIN)/python install 'uv>=0.13,<0.14'
	$(BIN)/uv sync --quiet --locked --inexact --system-certs 2>/dev/null || $(BIN)/uv sync --quiet --locked --inexact
	@touch $@

gate: setup
	$(BIN)/harness gate

# What the gate samples: 200 seeds of every scenario in the sim world; an hour or two on two cores.
campaign: setup
	$(BIN)/harness run --seeds 200 --jobs 2

# How many experiments `explore` needs to find each flawed variant: five tries of at most 200; for a night. What is
# measured is kept in reports/out/explore-table.jsonl, so that it can be broken off, and goes on from there.
explore-table: setup
	PYTHONPATH=. $(BIN)/python tests/explore/table.py --jobs 2

# Real reports to look at, of the reference and of targets that fail: reports/out/gallery/index.html.
gallery: setup
	$(BIN)/python -m reports.gallery

# Three workers on two cores: tests of the real world mostly wait, for processes and sockets.
test: setup
	$(BIN)/pytest -n 3 --dist loadgroup -m "not benchmark"

# Every search by properties, drawn anew and twenty times as long (tests/conftest.py); for a night.
soak: setup
	$(BIN)/pytest -n 2 --dist loadgroup -m "hypothesis and not benchmark" --hypothesis-profile=long --timeout=7200

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/pytest -o python_files='bench_*.py' -m benchmark -s tests/benchmarks

# The AI engine's own models: XGBoost and LightGBM (250 MB), and the tests that need them.
ml: setup
	$(BIN)/uv sync --quiet --locked --inexact --extra ml --system-certs 2>/dev/null || $(BIN)/uv sync --quiet --locked --inexact --extra ml
	$(BIN)/pytest -rs $(AI_TESTS)

# And the temporal fusion transformer. By pip, as uv would take PyTorch with CUDA (several GB) from PyPI; elsewhere say
# PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu, or have a wheel where pip looks and name it in TORCH.
TORCH ?= torch>=2.9,<3
tft: setup
	$(PYTHON) -m pip --quiet --disable-pip-version-check --python $(BIN)/python install '$(TORCH)'
	$(BIN)/pytest -rs $(AI_TESTS)

AI_TESTS := tests/reference_impl/ai tests/scenarios/test_ai_metrics_installed.py

# Other languages' Toxiproxy clients against the embedded proxy; needs node and npm, so it is no part of `test`.
clients: setup
	npm install --silent --no-audit --no-fund --prefix .cache/clients toxiproxy-node-client@4.1.0
	$(BIN)/pytest -rs tests/contract/test_toxiproxy_clients.py tests/contract/test_toxiproxy_oracle.py

# How ccxt and python-binance, as they come, behave in the scenario binance-storm, next to the reference.
client-table: setup
	$(BIN)/python tests/clients/table.py

lock:
	$(BIN)/uv lock

clean:
	rm -rf .venv .cache reports/out .mypy_cache .ruff_cache .pytest_cache .hypothesis
