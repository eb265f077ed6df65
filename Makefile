# make demo   the whole chain in miniature, from data to figures and report
# make test   everything that CI runs
PYTHON ?= python3
VENV := .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.PHONY: demo test check clean

demo: $(VENV)/installed
	snakemake demo
	@$(MAKE) --no-print-directory results/demo/report.zip
	@cat results/demo/summary.md

results/demo/report.zip: results/demo/summary.md
	snakemake demo --report $@

test: check
	pytest

check: $(VENV)/installed
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

# The constraints pin every version; torch comes as the build that the machine's index offers.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint constraints.txt torch
	pip install --quiet --constraint constraints.txt --editable '.[workflow,dev]'
	touch $@

clean:
	rm -rf results .snakemake
