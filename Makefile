# make demo       Figures 2 to 5 in miniature, from data to figures and report
# make demo-all   every figure in miniature
# make test       everything that CI runs
# make test-slurm the workflow on a real SLURM of one node, which it installs; needs root
PYTHON ?= python3
VENV := .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.PHONY: demo demo-all test test-slurm check clean

demo: $(VENV)/installed
	snakemake --cores all demo
	@$(MAKE) --no-print-directory results/demo/report-quick.zip
	@cat results/demo/quick.md

demo-all: $(VENV)/installed
	snakemake --cores all demo_all
	@$(MAKE) --no-print-directory results/demo/report-summary.zip
	@cat results/demo/summary.md

results/demo/report-%.zip: results/demo/%.md
	PYTHONWARNINGS=ignore snakemake $< --report $@

test: check
	pytest tests/test_*.py tests/slurm

test-slurm: $(VENV)/installed
	pytest tests/slurm

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
