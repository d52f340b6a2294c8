# What a fresh machine needs: Python 3.11 or newer, make, and a package index. `make demo` and `make test` do the rest.

PYTHON ?= python3
PIP_VERSION := 26.3# the pip that comes with Python 3.11 knows no dependency groups
PYTEST_ARGS ?= -n 4# a worker process each, each with a server of its own: the tests mostly wait
BIN := .venv/bin

.PHONY: demo test check isolation faults cluster clean
.PHONY: bench bench-tenants bench-peers bench-pools bench-budget bench-pages bench-fires bench-million bench-crowd bench-cluster
.DELETE_ON_ERROR:

demo: .venv/.stamp ## real jobs of three tenants on an embedded server, for DEMO_SECONDS (20)
	$(BIN)/taglane demo --app-dir tests/apps --seconds $${DEMO_SECONDS:-20} $(DEMO_ARGS)

test: .venv/.stamp ## the whole suite; PYTEST_ARGS replaces `-n 4`
	$(BIN)/pytest $(PYTEST_ARGS)

check: .venv/.stamp ## what CI and pre-commit hold: format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy worker_sdk scheduler cli tests
	$(BIN)/lint-imports
	$(BIN)/pytest $(PYTEST_ARGS)

bench: .venv/.stamp ## measurements: nothing beside them, so one process
	PYTHONPATH=tests $(BIN)/python -m bench

bench-tenants: .venv/.stamp ## what tenants on one server have of one another; BENCH_ONLY=shares,idle for some of it
	PYTHONPATH=tests $(BIN)/python -m bench.tenancy

bench-peers: .venv/.stamp ## beside rq, dramatiq, arq, taskiq, huey, saq, procrastinate; BENCH_ONLY=huey,rq BENCH_PART=enqueue,drain,latency,start
	PYTHONPATH=tests $(BIN)/python -m bench.peers docs/performance

bench-pools: .venv/.stamp ## which pool suits which work; POOLS_WORK=noop,crunch,ask,both POOLS_SLOTS=2,10 POOLS_ROUNDS=1
	PYTHONPATH=tests $(BIN)/python -m bench.pools

bench-budget: .venv/.stamp ## where a run's processor time goes; with py-spy on PATH by part of the worker, too
	PYTHONPATH=tests $(BIN)/python -m bench.budget

bench-pages: .venv/.stamp ## what the console's pages and the API's lists take, and what looking on costs; PAGES_ONLY=pages,tabs,many
	PYTHONPATH=tests $(BIN)/python -m bench.pages

bench-fires: .venv/.stamp ## how many due instants a second become runs, how late, at what cost; FIRES_ONLY=many,steady for some of it
	PYTHONPATH=tests $(BIN)/python -m bench.firing

bench-million: .venv/.stamp ## what very many jobs cost: to apply, to wait for, to change; BENCH_JOBS=1000,10000 for fewer
	PYTHONPATH=tests $(BIN)/python -m bench.holding

bench-crowd: .venv/.stamp ## what very many idle tenants cost, and whether memory is flat over a million runs; CROWD_ONLY=waiting,herd,flat,drain
	PYTHONPATH=tests $(BIN)/python -m bench.crowd

bench-cluster: .venv/.stamp ## what a fire and a run cost on one server and on clusters of one and three primaries
	PYTHONPATH=tests $(BIN)/python -m bench.cluster
	PYTHONPATH=tests $(BIN)/python -m bench.cluster_runs

cluster: .venv/.stamp ## the suites on a cluster of six processes, then its faults, watched for longer
	TAGLANE_TEST_SERVER=cluster $(BIN)/pytest $(PYTEST_ARGS) tests/scheduler tests/worker_sdk tests/isolation tests/cli tests/e2e tests/faults
	CLUSTER_SECONDS=20 $(BIN)/pytest tests/faults/test_cluster.py

isolation: .venv/.stamp ## what one tenant may not do to another
	$(BIN)/pytest tests/isolation

faults: .venv/.stamp ## killed workers, frozen servers, lost connections: the tests, then a table beside stock Celery
	$(BIN)/pytest tests/faults
	PYTHONPATH=tests $(BIN)/python -m faults

# Made again when the project's or the pinned dependencies change.
.venv/.stamp: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Taglane needs Python 3.11 or newer, and '$(PYTHON)' is not: try 'make PYTHON=python3.12 $(MAKECMDGOALS)'" >&2; \
		exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip==$(PIP_VERSION)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo]' --group dev
	@touch $@

clean: ## what tools and tests leave behind; .venv stays
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage dist build
	find cli scheduler tests worker_sdk -name __pycache__ -type d -prune -exec rm -rf {} +
