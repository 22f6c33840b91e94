UV ?= uv
LOCK_FLAGS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q

lock:  ## Resolve every requirements.in into its hashed lock file
	$(UV) pip compile $(LOCK_FLAGS) tests/requirements.in -o tests/requirements.txt
	for room in contract api model model/export local stress_test; do \
	  $(UV) pip compile $(LOCK_FLAGS) -c tests/requirements.txt $$room/requirements.in -o $$room/requirements.txt || exit 1; done
	$(UV) pip compile $(LOCK_FLAGS) model/export/requirements-npm.in -o model/export/requirements-npm.txt
