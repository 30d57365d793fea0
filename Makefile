# Two commands: `make demo` shows the product, `make test` proves it. Both make their own environment.
PYTHON ?= python3
DEMO_ENV := .venv-demo
TEST_ENV := .venv-test
OUT := .demo

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: $(DEMO_ENV)/ready
	$(DEMO_ENV)/bin/python tools/demo.py --out $(OUT)

$(DEMO_ENV)/ready: requirements/base.txt pyproject.toml
	$(PYTHON) -m venv $(DEMO_ENV)
	$(DEMO_ENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/base.txt
	$(DEMO_ENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

test: $(TEST_ENV)/ready lint
	$(TEST_ENV)/bin/python -m pytest -n 2 --dist loadfile

lint: $(TEST_ENV)/ready
	$(TEST_ENV)/bin/ruff check .
	$(TEST_ENV)/bin/ruff format --check .
	$(TEST_ENV)/bin/mypy
	$(TEST_ENV)/bin/lint-imports

$(TEST_ENV)/ready: requirements/base.txt requirements/test.txt requirements/test-nodeps.txt pyproject.toml tests/encoders/torchvision_stub.py tests/e2e/install_chromium.py
	$(PYTHON) -m venv $(TEST_ENV)
	$(TEST_ENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/base.txt -r requirements/test.txt
	$(TEST_ENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/test-nodeps.txt
	$(TEST_ENV)/bin/python tests/encoders/torchvision_stub.py
	$(TEST_ENV)/bin/python tests/e2e/install_chromium.py
	$(TEST_ENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf $(DEMO_ENV) $(TEST_ENV) $(OUT) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
