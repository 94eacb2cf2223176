# Each target sets up .venv itself; nothing but Python and make has to be there.
PYTHON ?= python3
VENV := .venv
# Exact versions; /dev/null for the newest that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
QUESTIONS := training_step wide_step time_to_accuracy prediction growth limit memory start_up reading preparation objectives scaling long_text gradient_flow translation
WITH_DATA = --data $(DATA)
DATA ?= ../shared/data
export TOKENIZERS_PARALLELISM ?= true

.PHONY: quickstart test test-slow test-all test-lowest lint format counts conformance mutants chaos fuzz soak audit bench bench-accuracy bench-parts bench-gpu results gpu-test gpu-check works-with clean

# torch first, so that no other package decides which build of it is taken.
$(READY): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[dev,conformance]"
	touch $@

quickstart: $(READY)
	$(BIN)/python scripts/quickstart.py

PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/conformance

# Some minutes on two cores: all but the tests that start processes, train for long or try many inputs.
test: $(READY)
	$(PYTEST) -m "not slow" tests

test-slow: $(READY)
	$(PYTEST) -m slow tests

# Each test once.
test-all: test test-slow

# The tests of `make test` on the lowest versions that pyproject.toml promises, in an environment of their own. Old libraries call functions that
# newer ones beneath them have deprecated.
LOWEST := $(VENV)/lowest
test-lowest: $(READY)
	$(PYTHON) -m venv $(LOWEST)
	$(BIN)/python tools/lowest.py > $(VENV)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet -c $(VENV)/lowest.txt -e ".[excel,explain,tagging,translation]" \
		hypothesis import-linter markdown-it-py polars pytest pytest-xdist
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal --ignore tests/conformance --ignore tests/clients \
		-m "not slow" -W ignore::DeprecationWarning tests

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/python tools/counts.py --check

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Counts long files and functions, complexity and undocumented arguments, and writes them into docs/design.md.
counts: $(READY)
	$(BIN)/python tools/counts.py --check --write

# transformers' own test suite, out of its source distribution, against our models.
conformance: $(READY)
	$(BIN)/python tests/conformance/fetch.py
	$(BIN)/python -m pytest -c tests/conformance/pytest.ini -n 2 -q tests/conformance

# Breaks a copy of the package in many ways: each must make some test fail.
mutants: $(READY)
	$(BIN)/python tests/conformance/fetch.py
	$(BIN)/python tools/mutants.py

# Kills, starves and damages training runs, resumes them, and writes the counts into docs/reliability.md.
chaos: $(READY)
	$(BIN)/python tools/chaos.py --write

# The property tests with many tries, and 20,000 predictions in one process; both write into docs/reliability.md.
fuzz: $(READY)
	$(BIN)/python tools/fuzz.py --write

soak: $(READY)
	$(BIN)/python tools/soak.py --write

# A machine with a GPU may have no network to install from: .venv where it was made, else what PYTHON has (3.10 or newer,
# with torch, transformers, accelerate, datasets, jsonargparse, scipy, scikit-learn, pytest, and matplotlib for figures).
ON_GPU = PYTHONPATH=src $(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON))

gpu-test:
	$(ON_GPU) -m pytest -m gpu -rs tests/models/test_gpu.py tests/interpret/test_attribution.py

# The contracts, the tests and some figures, each within 150 seconds.
gpu-check:
	$(ON_GPU) tools/gpu_check.py

# Keras and its backends, to compare with.
$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[bench]"
	touch $@

# Answers all questions about speed (some two hours on two cores; nothing else should run) and writes docs/benchmarks.md.
bench: $(BENCH_READY)
	for question in $(QUESTIONS); do $(BIN)/python benchmarks/$$question.py $(WITH_DATA) || exit 1; done

# Trains the text classifiers of others and ours on the same rows, with three seeds (a day on two cores), and writes docs/benchmarks.md;
# SETS are folders of data sets, and CONTENDERS, SEEDS and VECTORS options such as CONTENDERS='--contenders "hf_rnn" "NB-SVM"'
# SEEDS='--seeds 0' VECTORS='--vectors glove.6B.100d.txt' REMARK='--remark "timed beside other work"'.
bench-accuracy: $(BENCH_READY)
	$(BIN)/python benchmarks/accuracy.py $(WITH_DATA) $(SETS) $(CONTENDERS) $(SEEDS) $(VECTORS) $(REMARK)

# Leaves out each part of the default classifier in turn, with three seeds (some two hours on two cores), and writes
# docs/benchmarks.md; VECTORS is an option such as VECTORS='--vectors glove.6B.100d.txt'.
bench-parts: $(BENCH_READY)
	$(BIN)/python benchmarks/parts.py $(WITH_DATA) $(SETS) $(VECTORS) $(SEEDS)

# Drives programs of others with small models, and writes what works into docs/works_with.md.
works-with: $(READY)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[clients]"
	$(BIN)/python tools/works_with.py --write

bench-gpu:
	$(ON_GPU) benchmarks/gpu.py $(WITH_DATA)

# Trains all configurations on the real data sets (a day on two cores; those on record are left out) and writes docs/results.md.
results: $(READY)
	$(BIN)/python scripts/results.py --data $(DATA)

# Known vulnerabilities of all that is installed, asked of a database on the network; what it does not know fails too.
audit: $(READY)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' > $(VENV)/installed.txt
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/installed.txt

clean:
	rm -rf $(VENV) .cache build dist
