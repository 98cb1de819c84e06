# The one list of commands; CI calls the same ones. `make help` prints it.
# := does not take them from the environment, where HOST and PORT may mean something else.
PYTHON ?= python3
PORT := 8000
CONFIG := configs/demo.yaml
NUM_GPUS := 0
FACE :=
HOST :=
NAME :=
UNTIL :=
KEYS := $(HOME)/.config/twinset/api-keys
REPORT :=
WEIGHTS :=
LOADTEST :=
MINUTES := 30
SETS :=
VERSION := 3.14
BENCH :=
SERVE :=
# Without those that import diffusers: that alone takes ten seconds.
QUICK := tests/unit tests/api $(addprefix --ignore tests/unit/,stable_diffusion benchmarks demo)
RUN := .venv/bin/python
# Two at a time on two cores: threads of torch that wait for each other must not keep them busy.
TWO := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(RUN)
# Ray's own name for it, taken from the environment.
RAY_DASHBOARD_ADDRESS ?= http://127.0.0.1:8265

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo serve deploy stop report api-key weights loadtest stall demo-weights
.PHONY: test test-quick test-full test-browser test-faults test-cluster test-gpu soak bench gpu-check bench-codecs audit check check-wheels check-monitoring format lock clean

help:  ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Make .venv with what serving needs (PYTHON=python3.12 chooses the interpreter)
	@$(PYTHON) scripts/setup.py

setup-dev:  ## Make .venv with what tests and checks need, too
	@$(PYTHON) scripts/setup.py --dev

demo: setup  ## One face in, twenty images and a contact sheet out (FACE=path.jpg for your own)
	@$(RUN) -m scripts.demo $(if $(FACE),--face "$(FACE)")

serve: setup  ## Serve in the foreground until Ctrl-C (PORT=8000 CONFIG=configs/demo.yaml NUM_GPUS=0)
	@$(RUN) -m scripts.serve --config "$(CONFIG)" --port $(PORT) --num-gpus $(NUM_GPUS)

deploy: CONFIG := serve_config.yaml
deploy: setup  ## Check a Serve config, deploy it on the Ray that runs, wait until it is healthy (CONFIG=...)
	@$(RUN) -m scripts.deploy --config "$(CONFIG)" --address "$(RAY_DASHBOARD_ADDRESS)"

stop: setup  ## Stop the services of this checkout, running or left behind
	@$(RUN) -m scripts.stop

report: setup-dev  ## The seed report as a page with figures in out/report (FACE=path.jpg CONFIG=...)
	@$(RUN) -m scripts.report --config "$(CONFIG)" --num-gpus $(NUM_GPUS) $(if $(FACE),--face "$(FACE)") $(REPORT)

api-key: setup  ## Make an API key (NAME=alice UNTIL=2027-01-31 KEYS=~/.config/twinset/api-keys); only its digest is stored
	@$(RUN) -m scripts.api_key $(if $(NAME),"$(NAME)",--help) --file "$(KEYS)" $(if $(UNTIL),--until "$(UNTIL)")

loadtest: setup-dev  ## A minute of checked load, report in out/loadtest (HOST=http://... for a service that runs)
	@$(RUN) -m scripts.loadtest --config "$(CONFIG)" --num-gpus $(NUM_GPUS) $(if $(HOST),--host "$(HOST)") $(if $(LOADTEST),-- $(LOADTEST))

stall: setup-dev  ## A stall of 10 s in a closed and an open loop, side by side
	@$(RUN) -m scripts.loadtest_stall

demo-weights: setup  ## Train the embedded demo weights from nothing (hours; SMOKE=1: minutes)
	@GOMP_SPINCOUNT=10000 $(RUN) -m models.demo.train $(if $(SMOKE),--smoke)

test: setup-dev  ## The tests that need only pip packages: five minutes on two cores
	@$(TWO) -m pytest -n 2 --no-loadscope-reorder -m "not slow" --ignore tests/browser --ignore tests/faults $(TESTS)
	@echo "Not run here: the slow tests (make test-full), the page in a browser (make test-browser),"
	@echo "killed processes, floods and bad input (make test-faults), several nodes (make test-cluster),"
	@echo "lint and types (make check)."

test-quick: setup-dev  ## Units, and HTTP in process without Ray: in a minute
	@$(TWO) -m pytest -q -n 2 --no-loadscope-reorder -m "not slow and not heavy" $(QUICK) $(TESTS)

test-full: setup-dev  ## All tests but those with a target of their own, the slow ones too
	@$(RUN) -m pytest --ignore tests/browser --ignore tests/faults --ignore tests/cluster $(TESTS)

test-browser: setup-dev  ## The page in a real browser (needs Debian's chromium and chromium-driver)
	@$(RUN) -m pytest tests/browser $(TESTS)

test-faults: setup-dev  ## Processes killed, floods, crafted files, strangers (a quarter of an hour)
	@$(RUN) -m pytest -s tests/faults $(TESTS)

test-cluster: setup-dev  ## Several nodes on this machine, one killed; user_config under load (5 minutes)
	@$(RUN) -m pytest -s tests/cluster $(TESTS)

soak: setup-dev  ## Half an hour of mixed load, memory watched (MINUTES=30); SETS=1500: odd sets, growth by process
	@$(RUN) -m tests.faults.$(if $(SETS),leaks --sets $(SETS),soak --minutes $(MINUTES))

bench: setup-dev  ## Twinset beside what people write themselves, in one run (BENCH="--help" for more)
	@$(RUN) -m benchmarks.side_by_side $(BENCH)

gpu-check: setup-dev  ## What the GPU at hand does with our models, in 8 minutes (SERVE=1: the service; BENCH="--help")
	@$(RUN) -m benchmarks.gpu$(if $(SERVE),.service) $(BENCH)

bench-codecs: setup-dev  ## What each image format costs, in time and bytes
	@$(RUN) -m benchmarks.codecs

test-gpu: setup-dev  ## Full-size models with random weights sharing the card at hand; skips without
	@$(RUN) -m pytest -s tests/gpu $(TESTS)

weights: setup  ## Prepare the published weights, resumable (WEIGHTS="--help" for more)
	@$(RUN) -m scripts.weights $(WEIGHTS)

audit: setup-dev  ## Known vulnerabilities of the locked dependencies (asks a service on the internet)
	@$(RUN) -m scripts.audit

check: setup-dev  ## Lint, format, types, import arrows and the keys of every config
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@.venv/bin/lint-imports
	@$(RUN) -m scripts.check_configs

check-wheels: setup-dev  ## Whether every locked package has a wheel for a Python (VERSION=3.14; asks the index)
	@$(RUN) -m scripts.check_wheels --python "$(VERSION)"

check-monitoring: setup-dev  ## Prometheus' own tool on our alerts (needs promtool)
	@$(RUN) -m scripts.check_monitoring

format: setup-dev  ## Put the code into the one format
	@$(RUN) -m ruff check --fix-only .
	@$(RUN) -m ruff format .

lock:  ## Lock the dependencies with hashes (needs uv)
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header -q -o requirements.txt
	@uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header -q --extra dev \
		-c requirements.txt -o requirements-dev.txt

clean:  ## Remove the environment, outputs and caches
	@rm -rf .venv out .mypy_cache .ruff_cache .pytest_cache build *.egg-info
