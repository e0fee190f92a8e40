# Two commands matter: `make demo` and `make test`. Both set everything up by themselves, in .venv.
#
#   make demo [PORT=8000]     serve the demo; Ctrl-C ends it
#   make test [ARGS="-k x"]   start private servers, run the tests, stop the servers; JOBS=0: all
#                             in one process, not in one a core
#   make check                `style`, `types`, import `rules`, and the `wheel` in an empty environment
#   make test-all             the tests on every other supported Python found as well
#   make bench                what a request costs
#   make clean                remove everything made here

PORT   ?= 8000
ARGS   ?=
JOBS   ?= auto
PYTHON ?=

VENV   := .venv
STAMP   = $(VENV)/.installed
RUN     = $(VENV)/bin/python
OTHERS := 3.12 3.13

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test check style types rules wheel test-all bench clean install servers
.PHONY: $(OTHERS:%=test-%)

demo: install
	$(RUN) -m examples.demo --port $(PORT)

test: install servers
	$(RUN) -m pytest --numprocesses $(JOBS) --maxprocesses 4 --dist loadfile \
		--no-loadscope-reorder $(ARGS)

check: style types rules wheel

style: install
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: install
	$(RUN) -m mypy

rules: install
	$(RUN) -m pytest -q tests/test_architecture.py

wheel: install
	$(RUN) -m tests.check_wheel

test-all: test $(OTHERS:%=test-%)

$(OTHERS:%=test-%): test-%: | test
	@python="$$(.ci/python $*)"; \
	if [ -z "$$python" ]; then echo "Python $* not found: not tested"; \
	else $(MAKE) test VENV=.venv-$* PYTHON="$$python"; fi

bench: install
	$(RUN) -m tests.bench $(ARGS)

install: $(STAMP)

# pip is renewed first, because dependency groups need 25.1.
$(STAMP): pyproject.toml
	.ci/venv $(VENV) $(PYTHON)
	$(RUN) -m pip install -q --upgrade "pip>=25.1"
	$(RUN) -m pip install -q --editable ".[all]" --group dev
	touch $@

servers: install
	@$(RUN) -m tests.install_servers

clean:
	rm -rf .venv .venv-* dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
