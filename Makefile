# `make demo` and `make test` do everything on a fresh machine; see scripts/setup.sh for what is set up.
BAG ?=
VARIANT ?=
CHECKPOINT ?=
OUT ?= out
DEMO_ARGS ?=
TEST_ARGS ?=
GPU_ARGS ?=

# With a sourced ROS 2 the package is built with colcon into install/.
SOURCE = $(if $(ROS_DISTRO),. install/setup.sh && ,)
PYTHON_ENV = $(SOURCE).venv/bin/python
# The shipped networks need no PyTorch; others are exported from it on first use, and so is what
# `flashocc demo` takes for a recording of somebody's own.
DEMO_NETWORK = $(or $(VARIANT),$(if $(BAG),published,synthetic-tiny-4d))
DEMO_PROFILE = $(if $(filter-out synthetic-tiny synthetic-tiny-4d,$(DEMO_NETWORK))$(CHECKPOINT),torch,runtime)

.PHONY: help setup demo docs test test-slow soak gpu-check lint clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

setup: ## Prepare .venv for running and developing
	@scripts/setup.sh dev

demo: ## Replay a drive through the node and show what came out [BAG= VARIANT= CHECKPOINT= OUT= DEMO_ARGS=]
	@scripts/setup.sh $(DEMO_PROFILE)
	@$(PYTHON_ENV) -m flashocc_ros.cli demo --out $(OUT) $(if $(BAG),--bag $(BAG)) $(if $(VARIANT),--variant $(VARIANT)) \
	  $(if $(CHECKPOINT),--checkpoint $(CHECKPOINT)) $(DEMO_ARGS)

docs: ## Build the documentation as a site, out/site/index.html, and check its links
	@scripts/setup.sh dev
	@NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet
	@echo "open out/site/index.html"

test: lint ## Check style, types and imports, run the tests [TEST_ARGS=]
	@$(PYTHON_ENV) -m pytest -m "not slow" -n 2 --dist loadfile $(TEST_ARGS)

test-slow: ## Run the tests that take minutes
	@scripts/setup.sh dev
	@$(PYTHON_ENV) -m pytest -m slow $(TEST_ARGS)

soak: ## Let a running node bear every known fault, then random ones [MINUTES=30]
	@scripts/setup.sh dev
	@$(PYTHON_ENV) -m benchmarks.soak --minutes $(or $(MINUTES),30)

gpu-check: ## Is every result right on this GPU, and how fast? Installs nothing [PYTHON= GPU_ARGS=]
	@scripts/gpu_check.sh $(GPU_ARGS)

lint: ## Check style, types and the order of imports
	@scripts/setup.sh dev
	@$(PYTHON_ENV) -m ruff check .
	@$(PYTHON_ENV) -m ruff format --check .
	@$(PYTHON_ENV) -m mypy
	@.venv/bin/lint-imports

clean: ## Remove what the other targets made
	rm -rf .venv build install log out
