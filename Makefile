# make demo       Figures 2 to 5 in miniature, from data to figures and report
# make demo-all   every figure in miniature
# make demo-psld  phase-space Langevin diffusion (the second paper) in miniature: its processes and
#                 samplers; make demo-psld-all also what it conditions on, and all pictures
# make report     one page of a preset with all its checks: results/demo/report.html (PRESET=demo)
# make reproduce  runs a preset a second time, in again/, and compares all artefacts (PRESET=demo);
#                 with TARGET=demo, or any other target, that part of it alone
# make quick      the tests that take seconds, each less than three
# make test       everything that CI runs
# make test-slurm the workflow on a real SLURM of one node, which it installs; needs root
# make docs       the API reference, from the docstrings: docs/api/index.html
PYTHON ?= python3
VENV := .venv
export PATH := $(abspath $(VENV))/bin:$(PATH)
export PYTHONUNBUFFERED := 1

PRESET := demo
TARGET := all
# Tests run in a process for each core, one thread each; the long ones in one more, since some wait.
# They start hundreds of processes, for which what is compiled is kept, whatever the user's setting.
# Their order is that of tests/conftest.py, what takes longest first.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 pytest --maxprocesses 4 --dist loadgroup \
	--no-loadscope-reorder --numprocesses
# Without checks of the shapes and dtypes of the arrays that functions take and return.
UNCHECKED := --jaxtyping-packages=

.PHONY: demo demo-all demo-psld demo-psld-all report reproduce quick quick-strict test test-slurm check docs clean

demo: $(VENV)/installed
	snakemake --cores all demo
	$(call told,demo,report-quick.zip,quick.md verdict-quick.md)

demo-all: $(VENV)/installed
	snakemake --cores all demo_all
	$(call told,demo,report-summary.zip,summary.md verdict.md)

demo-psld: $(VENV)/installed
	snakemake --cores all demo_psld
	$(call told,demo_psld,report-quick.zip,quick.md verdict-quick.md)

demo-psld-all: $(VENV)/installed
	snakemake --cores all demo_psld_all
	$(call told,demo_psld,report-summary.zip,summary.md verdict.md)

# The report of a preset, and what its tables say; claims without data are left to the file.
define told
@$(MAKE) --no-print-directory results/$(1)/$(2)
@sed '/^| not tested/,$$d' $(addprefix results/$(1)/,$(3))
@echo "What has no data, and what would decide it: results/$(1)/$(lastword $(3))"
endef

.SECONDEXPANSION:
results/%.zip: results/$$(subst report-,,$$*).md
	PYTHONWARNINGS=ignore snakemake $< --report $@

report: $(VENV)/installed
	gud report $(PRESET)

reproduce: $(VENV)/installed
	snakemake --cores all --profile profiles/default --directory again $(TARGET) --config preset=$(PRESET)
	gud compare results/$(PRESET) again/results/$(PRESET) $(if $(filter-out all,$(TARGET)),--part)

quick: $(VENV)/installed
	$(PYTEST) auto -m "not slow and not cluster" $(UNCHECKED)

# With checks of shapes and dtypes.
quick-strict: $(VENV)/installed
	$(PYTEST) auto -m "not slow and not cluster"

# The checks, of which that of types takes most, run beside the tests that take seconds.
test: $(VENV)/installed
	$(MAKE) --jobs 2 check quick-strict
	$(PYTEST) $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -m "slow or cluster" $(UNCHECKED)

test-slurm: $(VENV)/installed
	pytest tests/slurm

check: $(VENV)/installed
	ruff format --check .
	ruff check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

docs: $(VENV)/installed
	python docs/api.py docs/api

# The constraints pin every version; torch comes as the build that the machine's index offers. All
# cores compile what pip would compile with one, but for what next to nothing is imported of.
NOT_COMPILED := /(tests|testing|pip|mypyc?|onnx|torchgen|_inductor|sympy|mpmath)/|py312_intrinsics
PIP := pip install --quiet --no-compile --constraint constraints.txt
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) --editable '.[workflow,dev,docs,tensorboard]'
	-python -m compileall -qq --workers 0 -x '$(NOT_COMPILED)' $(VENV)
	touch $@

clean:
	rm -rf results again docs/api .snakemake
