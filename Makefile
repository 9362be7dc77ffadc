# The two commands of the README are `make demo` and `make test`. Each sets up .venv by itself.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

# Images and CI set it; each interpreter would then compile what it imports anew: 5.7 of 13.1 CPU
# seconds of a run's imports.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test test-airflow test-faults test-flink test-full test-kubernetes test-spark test-store \
	lint bench bench-encode bench-growth bench-ingest bench-quality bench-reconstruction clean

install: $(INSTALLED)

# uv reads the overrides of [tool.uv] in pyproject.toml; pip has none (docs/install.md says why).
$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv -c constraints.txt
	$(BIN)/uv pip install --python $(BIN)/python --quiet -e '.[test]' -c constraints.txt
	touch $@

demo: install
	$(BIN)/ragline synth --output demo/data
	$(BIN)/ragline run examples/gestures.toml

# Two workers; tests/conftest.py says what each does in a row. A worker that is lost ends the tests:
# with another in its place, pytest-xdist waits for the group of the lost one for ever.
PYTEST := $(BIN)/python -m pytest -n 2 --max-worker-restart 0 --dist loadgroup --no-loadscope-reorder

# The workers share the cores: a second thread of OpenBLAS in each would wait for the other's.
test test-full: export OPENBLAS_NUM_THREADS := 1

test: install
	$(PYTEST)

# All there is: every case that is drawn, twenty kills, full disks, whole runs on every engine, a
# search, the memory of a long sequence (tests/profiles.py).
test-full: install
	RAGLINE_TESTS=full $(PYTEST) --durations=20

# Of these, real kills, full disks, damaged databases, a kill after every call that changes a file.
test-faults: install
	RAGLINE_TESTS=full RAGLINE_TREES=1000 $(PYTEST) tests/faults tests/push/test_transaction.py \
		tests/pipeline/test_marker.py tests/pipeline/test_encode_output.py

# Beam parts, plug-ins, an S3 server, a whole run and kills on Flink; Java and Maven must be there.
test-flink: install .venv-moto/.installed
	$(BIN)/python tests/flink/check.py

# Beam parts on Spark, in one process and on a cluster with two workers, a run with an S3 server, and
# one with kills; Java and Maven must be there.
test-spark: install .venv-moto/.installed
	$(BIN)/python tests/spark/check.py

# Ingest and encode in a store of objects: an S3 server on this machine, at times busy, slow or cut off.
test-store: install .venv-moto/.installed
	$(PYTEST) tests/store

.venv-moto/.installed: pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[s3]' -c constraints.txt
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-moto
	$(BIN)/uv pip install --quiet --python .venv-moto/bin/python --group store
	touch $@

# The manifests of examples/kubernetes by the schemas of Kubernetes and of Flink's operator.
test-kubernetes: install .venv-kubernetes/.installed
	.venv-kubernetes/bin/python tests/kubernetes/check.py

.venv-kubernetes/.installed: pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-kubernetes
	$(BIN)/uv pip install --quiet --python .venv-kubernetes/bin/python --group kubernetes
	touch $@

# The DAG of examples/airflow under Airflow 3 and 2.11, in environments of their own (3 GB).
test-airflow: install
	$(BIN)/python tests/airflow/check.py

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The tables of docs/performance.md; some half an hour, a part: python -m benchmarks.train --units 64
bench: install .venv-torch/.installed
	$(BIN)/python -m benchmarks.train
	$(BIN)/python -m benchmarks.runtimes
	$(BIN)/python -m benchmarks.growth --commands

# PyTorch and what it needs, 5 GB.
.venv-torch/.installed: pyproject.toml
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-torch
	$(BIN)/uv pip install --quiet --python .venv-torch/bin/python --group bench
	touch $@

# The whole pipeline on up to 100,000 sequences: an hour
bench-growth: install
	$(BIN)/uv pip install --quiet --python $(BIN)/python -e '.[plot]' -c constraints.txt
	$(BIN)/python -m benchmarks.growth --plot growth.png

# The better part of an hour, and 8 GB of disk; a part of it: python -m benchmarks.ingest --sizes 10000
bench-ingest: install
	$(BIN)/python -m benchmarks.ingest

# The table of docs/serving.md; ten minutes, a part: python -m benchmarks.encode --sequences 5000
bench-encode: install
	$(BIN)/python -m benchmarks.encode

# Ten sets, five seeds; some hours, a part: --sets vowels --seeds 0. Two of the sets are in aeon's wheel.
bench-quality: install .venv-quality/.installed
	PYTHONPATH=.venv-quality $(BIN)/python -m benchmarks.quality --output quality.jsonl

# Beside our environment, which stays as it is: sktime for MiniRocket, and the data in both wheels.
.venv-quality/.installed: pyproject.toml
	$(BIN)/uv pip install --quiet --no-deps --target .venv-quality --group quality
	touch $@

# Errors beside PCA's; some two hours, a part: python -m benchmarks.reconstruction --data vowels
bench-reconstruction: install
	$(BIN)/python -m benchmarks.reconstruction --output reconstruction.jsonl

clean:
	rm -rf .flink .venv .venv-kubernetes .venv-moto .venv-torch .venv-quality demo .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
