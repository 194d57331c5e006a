# `make help` lists the targets. EXTRA=cuda installs TensorFlow for NVIDIA GPUs (Linux x86-64).
PYTHON ?= python3
EXTRA ?= cpu
LOCK := requirements/$(EXTRA).txt
PINNED := .venv/pinned-$(EXTRA)
INSTALLED := .venv/installed-$(EXTRA)
TRAINING_SETS := random_subset representatives propagated
WITHOUT_NETWORK := -n 3 --dist worksteal -m "not network and not browser"

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DVC_NO_ANALYTICS := 1

.DEFAULT_GOAL := help
.PHONY: help setup prepare repro label verify test coverage test-browser test-network lint bench bench-scale cluster-demo ablation accuracy photographs robustness trust demo-own-images demo-photos study stands params readme pictures dag lock clean

help: ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(PINNED): $(LOCK)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("error: %s is Python %d.%d, but 3.11 to 3.13 is needed; name another with make PYTHON=..." % (sys.executable, *v))'
	rm -rf .venv
	$(PYTHON) -m venv .venv
	python -m pip install --require-hashes --requirement $(LOCK)
	@touch $@

$(INSTALLED): $(PINNED) pyproject.toml
	python -m pip install --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(INSTALLED) ## Make .venv with the pinned packages.

# Before DVC is called; checks the settings, too.
prepare: $(INSTALLED)
	@python -m fewlabel.prepare

repro: prepare ## Run the pipeline; print what each training set is worth.
	dvc repro
	@dvc metrics show $(TRAINING_SETS:%=metrics/%.json)
	@dvc metrics show metrics/propagation.json

label: prepare ## Label representatives in a browser; run again, it resumes where it was stopped.
	dvc repro dvc.yaml:cluster
	python -m fewlabel.web

verify: $(INSTALLED) ## Hash what lies in the workspace, the cache and the remotes; name what is not what it must be.
	@python -m fewlabel.verify

test: $(INSTALLED) ## Run the tests that need no network.
	python -m pytest $(WITHOUT_NETWORK) --durations 25

coverage: $(INSTALLED) ## Run the same tests; name the lines and branches that none of them runs.
	python -m pytest $(WITHOUT_NETWORK) --cov

test-browser: $(INSTALLED) ## Run the tests of the labeling page in Chromium, which is installed if it is missing.
	@command -v chromium >/dev/null \
	  || { apt-get update && apt-get install --yes --no-install-recommends chromium; } \
	  || python -m playwright install --with-deps chromium
	python -m pytest -n 2 --dist worksteal -m browser

test-network: $(INSTALLED) ## Run the tests on the real data sets, an SSH server and other CPUs (installs sshd and QEMU).
	@{ command -v /usr/sbin/sshd && command -v qemu-x86_64; } >/dev/null \
	  || { apt-get update && apt-get install --yes --no-install-recommends openssh-server qemu-user; }
	python -m pytest -n 3 --dist loadfile -m network

lint: $(INSTALLED) ## Check style, formatting and types.
	ruff check .
	ruff format --check .
	python -m mypy

bench: $(INSTALLED) ## Time the pipeline and its pieces; PHOTOS=FOLDER (of class folders) measures large photographs, too.
	python -m benchmarks.pipeline
	python -m benchmarks.pieces
	$(if $(PHOTOS),python -m benchmarks.memory $(PHOTOS))

bench-scale: $(INSTALLED) ## Measure the pipeline with 60,000 to 1,000,000 images, and on Dask (two hours; RUN="N ENGINE" measures one).
	python -m benchmarks.scale $(RUN)

cluster-demo: prepare ## Run the pipeline on a Dask scheduler and two workers of their own.
	python -m benchmarks.cluster

ablation: prepare ## Measure what each piece adds to the pseudo-labels, and what each propagation method is worth.
	dvc repro study/dvc.yaml:ablation study/dvc.yaml:methods

accuracy: prepare ## Measure accuracy, time and memory of each budget with five seeds (two and a half hours; it resumes where it was stopped).
	dvc repro study/dvc.yaml:accuracy

photographs: prepare ## Measure photographs, also with wrong answers, with five seeds (two hours; it resumes where it was stopped).
	dvc repro study/dvc.yaml:photographs

robustness: prepare ## Measure what wrong answers, rare classes and images of no class cost, with five seeds (up to ten hours; it resumes where it was stopped).
	dvc repro study/dvc.yaml:pools study/dvc.yaml:robustness

trust: $(INSTALLED) ## Attack every promise; write docs/trust.md (an hour).
	python -m trust

demo-own-images: $(INSTALLED) ## From a folder of color PNGs and a CSV of 100 labels to predictions, in a clone.
	python -m benchmarks.own_images

demo-photos: $(INSTALLED) ## From 200 labels of photographs of solar cells to a picture of what was learned, in a clone.
	python -m benchmarks.photographs

study: prepare ## Repeat every published method beside ours (hours; it resumes where it was stopped).
	dvc repro study/dvc.yaml

stands: prepare ## Prove that results stand after a refactoring, and record it: STAGE="spread propagate", or all; WHOLE=1 runs them.
	python -m benchmarks.stands $(if $(WHOLE),--whole) $(STAGE)

params: $(INSTALLED) ## Write params.yaml with the defaults and what each setting means.
	python -m docs.params

readme: $(INSTALLED) ## Write the generated parts of README.md and docs/, and docs/accuracy.png, again.
	python -m docs.readme

pictures: $(INSTALLED) ## Draw the picture of each step in docs/how-it-works.md from the last run here.
	python -m docs.steps

dag: $(INSTALLED) ## Print the graph of stages.
	dvc dag dvc.yaml

lock: ## Resolve pyproject.toml into requirements/*.txt again (needs uv 0.9 or later).
	for extra in cpu cuda; do \
	  uv pip compile pyproject.toml --extra $$extra --extra label --extra cluster --extra onnx --group dev --upgrade \
	    --no-header --no-strip-extras --quiet --output-file requirements/$$extra.txt; \
	done

clean: ## Remove .venv and what tools left; data and models stay.
	rm -rf .venv .coverage .pytest_cache .ruff_cache .hypothesis dvc_plots
	find . -name __pycache__ -prune -exec rm -rf {} +
