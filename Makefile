# Each target sets up .venv itself and needs only Python and make.
PYTHON ?= python3
VENV := .venv
# File of exact versions. Use /dev/null for the newest versions that pyproject.toml allows.
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.bench-ready
QUESTIONS := training_step wide_step time_to_accuracy prediction growth limit memory start_up reading preparation objectives scaling long_text gradient_flow translation
WITH_DATA = --data $(DATA)
DATA ?= ../shared/data
export TOKENIZERS_PARALLELISM ?= true

.PHONY: quickstart test test-slow test-proofs test-all test-lowest lint format counts conformance docs docs-serve mutants chaos fuzz soak audit bench bench-accuracy bench-parts bench-scores bench-several-labels bench-going-on bench-tune bench-students bench-runtime bench-static-page bench-gpu results gpu-test gpu-check works-with clean

# torch is installed first, so that no other package decides which build of torch is used.
$(READY): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) torch
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[dev,conformance]"
	touch $@

quickstart: $(READY)
	$(BIN)/python scripts/quickstart.py

PYTEST = $(BIN)/python -m pytest -n 2 --dist worksteal --ignore tests/conformance

# All tests except those that start processes, train for long or try many inputs (some minutes on two cores).
test: $(READY)
	$(PYTEST) -m "not slow" tests

test-slow: $(READY)
	$(PYTEST) -m "slow and not proof" tests

# Slow tests that repeat others at length or on real data.
test-proofs: $(READY)
	$(PYTEST) -m proof tests

# All tests, each once.
test-all: test test-slow test-proofs

# Runs the tests of `make test` with the lowest versions that pyproject.toml allows, in a separate environment.
# Deprecation warnings are ignored, because old libraries call functions that their newer dependencies have deprecated.
LOWEST := $(VENV)/lowest
test-lowest: $(READY)
	$(PYTHON) -m venv $(LOWEST)
	$(BIN)/python tools/lowest.py > $(VENV)/lowest.txt
	$(LOWEST)/bin/python -m pip install --quiet -c $(VENV)/lowest.txt -e ".[excel,explain,tagging,translation,tune]" \
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

# Runs transformers' own test suite, from its source distribution, on our models.
conformance: $(READY)
	$(BIN)/python tests/conformance/fetch.py
	$(BIN)/python -m pytest -c tests/conformance/pytest.ini -n 2 -q tests/conformance

# The documentation site, with warnings as errors: build/site. `make docs-serve` shows it on http://127.0.0.1:8000.
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve

# Breaks a copy of the package in many ways and checks that each break makes a test fail.
mutants: $(READY)
	$(BIN)/python tests/conformance/fetch.py
	$(BIN)/python tools/mutants.py

# Kills training runs, fills their disk and damages their checkpoints, resumes them, and writes the counts into
# docs/reliability.md.
chaos: $(READY)
	$(BIN)/python tools/chaos.py --write

# `make fuzz` runs the property tests with many inputs, and `make soak` makes 20,000 predictions in one process. Both
# write their results into docs/reliability.md.
fuzz: $(READY)
	$(BIN)/python tools/fuzz.py --write

soak: $(READY)
	$(BIN)/python tools/soak.py --write

# A machine with a GPU may have no network to install from, so these targets use .venv if it exists, else PYTHON (3.10
# or newer, with torch, transformers, accelerate, datasets, jsonargparse, scipy, scikit-learn, pytest, and matplotlib for
# figures).
ON_GPU = PYTHONPATH=src $(if $(wildcard $(READY)),$(BIN)/python,$(PYTHON))

gpu-test:
	$(ON_GPU) -m pytest -m gpu -rs tests/models/test_gpu.py tests/interpret/test_attribution.py

# Runs the cuDNN contract tests, the GPU tests and a short benchmark, each step within 150 seconds.
gpu-check:
	$(ON_GPU) tools/gpu_check.py

# Installs the libraries of others that the benchmarks compare with.
$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[bench]"
	touch $@

# Runs all speed benchmarks (some two hours on two cores; nothing else should run) and writes docs/benchmarks.md.
bench: $(BENCH_READY)
	for question in $(QUESTIONS); do $(BIN)/python benchmarks/$$question.py $(WITH_DATA) || exit 1; done

# Trains our text classifiers and those of other libraries on the same rows, with three seeds (a day on two cores), and
# writes docs/benchmarks.md. SETS lists folders of data sets. CONTENDERS, SEEDS, VECTORS and REMARK hold options, such
# as CONTENDERS='--contenders "hf_rnn" "NB-SVM"' SEEDS='--seeds 0' VECTORS='--vectors glove.6B.100d.txt'
# REMARK='--remark "timed beside other work"'.
bench-accuracy: $(BENCH_READY)
	$(BIN)/python benchmarks/accuracy.py $(WITH_DATA) $(SETS) $(CONTENDERS) $(SEEDS) $(VECTORS) $(REMARK)

# Trains the default classifier without each of its parts in turn, with three seeds (some two hours on two cores), and
# writes docs/benchmarks.md. VECTORS holds an option, such as VECTORS='--vectors glove.6B.100d.txt'.
bench-parts: $(BENCH_READY)
	$(BIN)/python benchmarks/parts.py $(WITH_DATA) $(SETS) $(VECTORS) $(SEEDS)

# Measures rare classes and the calibration of scores (three quarters of an hour on two cores), and writes
# docs/benchmarks.md.
bench-scores: $(BENCH_READY)
	$(BIN)/python benchmarks/scores.py $(WITH_DATA)
	$(BIN)/python benchmarks/calibration.py $(WITH_DATA)

# Measures the thresholds of classifiers with several labels per text, with three seeds (over an hour on two cores), and
# writes docs/benchmarks.md.
bench-several-labels: $(BENCH_READY)
	$(BIN)/python benchmarks/several_labels.py $(WITH_DATA) $(SEEDS)

# Trains a classifier of TREC without one class and goes on with it, with three seeds (some 15 minutes on two cores), and
# writes docs/benchmarks.md.
bench-going-on: $(BENCH_READY)
	$(BIN)/python benchmarks/going_on.py $(WITH_DATA) $(SEEDS)

# Trains students of a fine-tuned transformer on TREC and SST-2 (some 3 hours on two cores), and writes
# docs/benchmarks.md. STUDENTS holds options: --sets, --vectors FILE, --transfer FILE (from scripts/film_sentences.py).
bench-students: $(BENCH_READY)
	$(BIN)/python benchmarks/students.py $(WITH_DATA) $(SEEDS) $(STUDENTS)

# Measures the runtime without torch beside Predictor (some 20 minutes on two cores), and writes docs/benchmarks.md.
# EXPORTED is a folder that hf-rnn export wrote, with int8 if that is measured too; the seed model if it is left out.
# ROWS holds an option, such as ROWS='--rows 5000'.
bench-runtime: $(READY)
	$(BIN)/python benchmarks/runtime.py $(EXPORTED) $(WITH_DATA) $(ROWS)

# Searches settings on TREC for ten minutes, trains the result beside configs/trec.yaml and the default with three seeds
# (some 20 minutes on two cores), and writes docs/benchmarks.md. REMARK holds an option, as above.
bench-tune: $(BENCH_READY)
	$(BIN)/python benchmarks/tune.py $(WITH_DATA) $(REMARK)

# Measures the page that runs a model in the browser (a minute; nothing else should run), and writes docs/benchmarks.md.
bench-static-page: $(BENCH_READY)
	$(BIN)/python benchmarks/static_page.py $(WITH_DATA)

# Tries small models with other programs, and writes the results into docs/works_with.md.
works-with: $(READY)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e ".[clients]"
	$(BIN)/python tools/works_with.py --write

bench-gpu:
	$(ON_GPU) benchmarks/gpu.py $(WITH_DATA)

# Trains all configurations on the real data sets (a day on two cores), except those that are on record, and writes
# docs/results.md.
results: $(READY)
	$(BIN)/python scripts/results.py --data $(DATA)

# Looks up known vulnerabilities of all installed packages in an online database. Packages that the database does not
# contain fail too.
audit: $(READY)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+.*//' > $(VENV)/installed.txt
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)/installed.txt

clean:
	rm -rf $(VENV) .cache build dist
