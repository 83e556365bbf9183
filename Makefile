# Each target alone does what it says on a fresh machine with Python 3.11 and git.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
COMPAT = .compat/transformers4
NEWEST = .compat/newest

# Ends with a line where the Python of a command is too old.
IS_NEW = 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("linkbert needs Python 3.11 or \
newer, found %d.%d: install one and give make PYTHON=python3.11" % v[:2])'

.PHONY: demo test test-flink newest fuzz torture bench bench-large experiment check format docs clean

demo: $(VENV)/installed
	$(BIN)/linkbert demo

test: $(VENV)/installed-dev $(COMPAT)/installed
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

# On a Flink of two task managers that it starts itself: Java 11 or 17, and some ten minutes.
test-flink: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m flink tests/pipeline/engine/test_on_flink.py

# What a stranger gets: a wheel with the newest versions of all that it needs, no constraints.
newest:
	@$(PYTHON) -c $(IS_NEW)
	$(PYTHON) -m venv --clear $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --upgrade pip
	$(NEWEST)/bin/python -m pip wheel --quiet --no-deps --wheel-dir $(NEWEST)/wheel .
	$(NEWEST)/bin/python -m pip install "$$(echo $(NEWEST)/wheel/*.whl)[all]"
	cd $(NEWEST) && bin/linkbert --version \
		&& bin/linkbert demo --set max_steps=4 --set validation_instances=64 \
		&& bin/linkbert check linkbert-demo

fuzz: $(VENV)/installed-dev
	$(BIN)/python -m tests.fuzz_wikitext --seconds 60

# 30 kills at random moments of parse, graph, segment and sample; half an hour on two cores.
torture: $(VENV)/installed-dev
	$(BIN)/python -m tests.torture $(DUMP)

# DUMP, a large dump of real pages, makes figures worth quoting; BENCH may hold --reference, --wikrs.
bench: $(VENV)/installed-dev
	$(BIN)/python -m tests.benchmarks $(DUMP) $(BENCH)

# DUMP's pages over and over, 100 MB and 2 GB of XML, from dump to model. BENCH takes other sizes:
# "--megabytes 10000 --folder /big/disk" wants 60 GB of disk and hours on two cores.
bench-large: $(VENV)/installed-dev
	$(BIN)/python -m tests.benchmarks.bench_large $(or $(DUMP),$(error DUMP=a dump to repeat)) $(BENCH)

# One piece of the real run on a GPU; give it again until it says where the report lies.
# EXPERIMENT=enwiki-warmed begins with an encoder.
EXPERIMENT = enwiki
experiment: experiment/$(EXPERIMENT)-checked
	timeout --signal=TERM 570 $(BIN)/linkbert experiment tests/benchmarks/$(EXPERIMENT).toml \
		--out experiment/$(EXPERIMENT)

# What finds a fault before hours are spent: the tests that want a GPU, then every part of the same
# experiment with one step, one seed and a few pairs.
experiment/%-checked: tests/benchmarks/%.toml $(VENV)/installed-dev
	$(BIN)/python -m pytest -q -m gpu tests/linkbert/training/test_gpu.py
	mkdir -p $(@D)
	sed -e 's#"../../experiment/#"#' -e 's/^seeds = .*/seeds = [0]/' \
		-e 's/^epochs = .*/epochs = 1/' -e 's/^max_pairs = .*/max_pairs = 64/' \
		-e 's/^max_steps = .*/max_steps = 1/' -e 's/^warmup_steps = .*/warmup_steps = 0/' \
		-e 's/^warm_up_steps = .*/warm_up_steps = 1/' $< > $(@D)/$*-check.toml
	$(BIN)/linkbert experiment $(@D)/$*-check.toml --out $(@D)/$*-check --overwrite
	touch $@

check: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy schemas pipeline linkbert

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The documentation: build/docs/index.html, links checked, without a network.
docs: $(VENV)/installed-dev
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf $(VENV) .compat build *.egg-info .pytest_cache .mypy_cache .ruff_cache

# A .venv of an older Python, which an earlier try left, is made anew.
# Python 3.11's own pip reads the metadata of every package once per package that it has installed.
define MAKE_VENV
	@$(PYTHON) -c $(IS_NEW)
	@echo "installing into $(VENV): 3 GB of disk with PyTorch's CPU build, else 6 GB; some minutes"
	@$(BIN)/python -c $(IS_NEW) 2> /dev/null || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet -c constraints.txt --upgrade pip
endef

$(VENV)/installed: setup.py constraints.txt
	$(MAKE_VENV)
	$(BIN)/python -m pip install -c constraints.txt -e ".[all]"
	touch $@

$(VENV)/installed-dev: setup.py constraints.txt
	$(MAKE_VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all,dev]"
	touch $(VENV)/installed $@

# The exported folder must also load in the older major version of transformers: a folder that a
# subprocess puts before the installed packages.
$(COMPAT)/installed: $(VENV)/installed-dev
	$(BIN)/python -m pip install --quiet --no-deps --target $(COMPAT) \
		transformers==4.57.6 tokenizers==0.22.2 huggingface_hub==0.36.0
	touch $@
