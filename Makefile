# One command for everything. GNU make 3.81 and a POSIX shell are enough; `make help` is made from the comments below.

include versions.env

PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.stamp
TOOLS := $(VENV)/.tools
LABS := $(VENV)/bin/labs
SCRIPT := $(VENV)/bin/python -I -m scripts
SETUP := scripts/setup.py $(wildcard scripts/environment/*.py scripts/torchvision_cpu/*.p*)
FILES := labs scripts tests slurm
YAML_RULES := {extends: default, rules: {line-length: {max: 140}, document-start: disable, truthy: {check-keys: false}}}

# What a person types is taken as it stands, never run: neither by make (hence `value`) nor by the shell, which gets it from the environment.
WISHES := TIME MEMORY CPUS IMAGE RUNTIME PARTITION ACCOUNT QOS RESERVATION CONSTRAINT SBATCH_ARGS SHM NAMESPACE KUBECONTEXT QUEUE PULL PULLSECRET SELECTOR TOLERATIONS SERVICEACCOUNT RUNTIMECLASS RESOURCE CLAIM RETRIES DETACH
USER_VARIABLES := NODES PROCS GPUS SMOKE LAUNCHER DRYRUN ARGS LAB PORT TORCH PYTHON CMD WHO USERS NODE ACTION YES INVENTORY TARGET FILE REGISTRY DIR SUITE $(WISHES)
export LABS_FROM_ENVIRONMENT := $(strip $(foreach name,$(USER_VARIABLES),$(if $(value $(name)),$(if $(filter environment,$(origin $(name))),$(name)))))
$(foreach name,$(USER_VARIABLES),$(eval override $(name) := $$(value $(name))))
export $(USER_VARIABLES)

on = $(filter-out 0 no false,$($1))
option = $(if $($1),--$2 "$$$1")
# Where a lab is to run, as options: NODES=2 becomes --nodes 2.
flag = $(shell echo $1 | tr A-Z_ a-z-)
where = $(foreach name,NODES PROCS GPUS LAUNCHER $(WISHES),$(if $($(name)),$(call option,$(name),$(call flag,$(name))))) \
    $(if $(call on,DRYRUN),--dry-run)
quoted = '$(subst ','\'',$1)'

# A wish for another torch than .venv has is a reason to set up again, unless it is meant for an image.
ifneq ($(TORCH),)
ifeq ($(filter image%,$(MAKECMDGOALS)),)
ifneq ($(TORCH),$(firstword $(shell cat $(STAMP) 2>/dev/null)))
$(STAMP): FORCE
endif
endif
endif

# Neither is a .venv that was renamed or copied with its checkout what it was: it knows the folder that it was made in.
ifneq ($(shell made_in=$$(sed -n 2p $(STAMP) 2>/dev/null); [ -z "$$made_in" ] || [ "$$made_in" -ef . ] || echo elsewhere),)
$(STAMP): FORCE
endif

.DEFAULT_GOAL := help
.PHONY: help setup tools list report open notebooks jupyter tensorboard fetch bundle doctor preflight check format test test-all mutants bench bench-slurm readme lock clean distclean FORCE image image-save image-load image-push image-unpack pin-digests test-docker test-k8s slurm-up slurm-down slurm-shell slurm-exec slurm-node test-slurm test-slurm-load cluster cluster-validate cluster-check cluster-users cluster-add-node cluster-remove-node cluster-update cluster-report cluster-teardown hosts-up hosts-down hosts-shell test-ansible

##: Labs
##lab-01..lab-50: run a lab; `make lab-43 NODES=2` on two nodes
lab-%: $(STAMP) FORCE
	@set -f; exec $(LABS) run $(call quoted,$*) $(where) $(if $(call on,SMOKE),--smoke) $(if $(ARGS),-- $$ARGS)

##list: the 50 labs
list: $(STAMP)
	@$(LABS) list

##doctor: is this machine ready? says what is missing
doctor: $(STAMP)
	@$(LABS) doctor

##preflight: do NODES=2 PROCS=2 meet, agree and share what they must?
preflight: $(STAMP)
	@exec $(LABS) preflight $(where)

##report: a page that leads to all your runs; LAB=29 for the page of that lab's newest run
report: $(STAMP)
	@$(LABS) report $(if $(LAB),"$$LAB")

##open: open the page of the newest run in the browser; LAB=29 for that lab's
open: $(STAMP)
	@$(LABS) report $(if $(LAB),"$$LAB",last) --open

##notebooks: write the labs as Jupyter notebooks into notebooks/
notebooks: $(STAMP)
	@$(LABS) notebooks

# The kernel of .venv, also where the checkout is somebody else's: Jupyter would else prefer one of the person's own.
jupyter: export JUPYTER_PREFER_ENV_PATH := 1
##jupyter: open the notebooks, on this machine alone
jupyter: notebooks
	@exec env -u PYTHONHOME -u PYTHONPATH $(VENV)/bin/jupyter lab --ip 127.0.0.1 "$$($(LABS) notebooks --folder)"

##tensorboard: curves and scalars of all runs, on this machine alone
tensorboard: $(STAMP)
	@exec $(LABS) tensorboard $(call option,PORT,port)

##: Set-up
##setup: make or update .venv; done by itself when a lab needs it
setup: $(STAMP)

$(STAMP): versions.env pyproject.toml constraints.txt $(SETUP) $(VENV)/bin/python
	@command -v "$$PYTHON" >/dev/null || { echo "set-up: there is no $$PYTHON here: install Python $(PYTHON_MIN) or newer, or name one with PYTHON=." >&2; exit 2; }
	@"$$PYTHON" -Es scripts/setup.py

##tools: add what tests the project and sets up clusters; done by itself where a command below needs it
tools: $(TOOLS)

$(TOOLS): $(STAMP)
	@$(VENV)/bin/python -I scripts/setup.py tools

# Gone, when the system's Python that .venv leans on is gone: no recipe, so that set-up runs and builds anew.
$(VENV)/bin/python:

##clean: remove caches
clean:
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis dist
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

##distclean: remove caches and .venv; runs and work stay
distclean: clean
	@rm -rf $(VENV)

##fetch: fetch pretrained weights and data sets that some labs can use
fetch: $(STAMP)
	@set -f; exec $(LABS) fetch $$ARGS

##bundle: pack wheels, weights and data sets for machines without internet, into dist/
bundle: $(STAMP)
	@set -f; exec $(SCRIPT).bundle $(if $(call on,YES),--yes) $$ARGS

##: Images
##image: build the image labs:cpu, or with TARGET=gpu labs:gpu
image: $(STAMP)
	@set -f; exec $(SCRIPT).images build "$${TARGET:-cpu}" $$ARGS

##image-save: write an image into FILE=, by default dist/labs-cpu.tar
image-save: $(STAMP)
	@exec $(SCRIPT).images save "$${TARGET:-cpu}" "$$FILE"

##image-load: take an image from FILE=
image-load: $(STAMP)
	@exec $(SCRIPT).images load "$$FILE"

##image-push: send an image to REGISTRY=
image-push: $(STAMP)
	@exec $(SCRIPT).images push "$${TARGET:-cpu}" "$$REGISTRY"

##image-unpack: unpack an image into DIR=, as RUNTIME=bwrap wants it
image-unpack: $(STAMP)
	@exec $(SCRIPT).images unpack "$${TARGET:-cpu}" "$$DIR"

##pin-digests: write into versions.env which very images the bases' tags mean today
pin-digests: $(STAMP)
	@exec $(SCRIPT).images pin

##: Development
##check: format, lint, types, import contracts: what CI checks
check: $(TOOLS)
	@$(VENV)/bin/ruff check $(FILES)
	@$(VENV)/bin/ruff format --check $(FILES)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-logo
	@$(VENV)/bin/shellcheck .ci/run $(wildcard scripts/*/*.sh docker/*.sh slurm/*.sh)
	@$(VENV)/bin/yamllint --strict -d '$(YAML_RULES)' $(wildcard .github docker k8s slurm)
	@cd slurm/ansible && PATH="$(CURDIR)/$(VENV)/bin:$$PATH" ansible-lint --offline -q

##format: format and mend what can be mended
format: $(TOOLS)
	@$(VENV)/bin/ruff format $(FILES)
	@$(VENV)/bin/ruff check --fix $(FILES)

##test: all tests, two at a time; ARGS='-k setup' for some of them
test: $(TOOLS)
	@set -f; $(VENV)/bin/pytest -n 2 $$ARGS

##test-docker: images and the docker launcher on a real engine of its own; ARGS=--yes installs what is missing
test-docker: $(TOOLS)
	@set -f; $(VENV)/bin/pytest tests/images $$ARGS

##test-k8s: the Kubernetes launcher against recordings of a real cluster, with the official client; no Kubernetes is needed
test-k8s: $(TOOLS)
	@set -f; $(VENV)/bin/pytest -n 4 tests/k8s tests/launch/kubernetes $$ARGS

##test-all: every lab by every launcher, the image with CUDA, and systematic mistakes; ARGS='local slurm' for some of it. Takes hours
test-all: $(TOOLS)
	@set -f; $(SCRIPT).test_all $$ARGS

##mutants: prove that the claims can fail; LAB=29 for one lab
mutants: $(STAMP)
	@$(LABS) mutants $(if $(LAB),"$$LAB")

##bench: measure, and keep the results as files
bench: $(TOOLS)
	@$(SCRIPT).bench

##bench-slurm: lab 43 on a Slurm cluster of its own, beside a batch script by hand and TorchX; asks before it installs (not with YES=1)
bench-slurm: $(TOOLS)
	@set -f; $(SCRIPT).bench.slurm $(if $(call on,YES),--yes) $$ARGS

##readme: make the READMEs' tables anew, of labs and of Ansible's roles
readme: $(STAMP)
	@$(SCRIPT).readme
	@$(SCRIPT).role_readmes

##lock: resolve all packages anew and write constraints.txt
lock:
	@"$$PYTHON" -Es scripts/setup.py lock

##: A real Slurm cluster on this machine
CLUSTER := $(SCRIPT).slurm_cluster

##slurm-up: start it, with NODES=3 GPUS=2 USERS=3; installs what is missing, and asks before (not with YES=1)
slurm-up: $(STAMP)
	@$(CLUSTER) up $(call option,NODES,nodes) $(call option,GPUS,gpus) $(call option,USERS,users) $(if $(call on,YES),--yes)

##slurm-down: end it; nothing is left
slurm-down: $(STAMP)
	@$(CLUSTER) down

##slurm-shell: a shell on its login node, as WHO=ada; there `make lab-43 NODES=2` works as on any cluster
slurm-shell: $(STAMP)
	@exec $(CLUSTER) shell $(call option,WHO,user)

##slurm-exec: one command there: make slurm-exec CMD='sinfo'
slurm-exec: $(STAMP)
	@exec $(CLUSTER) exec $(call option,WHO,user) -- "$$CMD"

##slurm-node: give a node bad luck: ACTION=kill, cut, heal or restart, NODE=node2
slurm-node: $(STAMP)
	@$(CLUSTER) node "$$ACTION" "$$NODE"

##test-slurm: the Slurm launcher on such a cluster: runs, faults, two people beside one another
test-slurm: $(TOOLS)
	@set -f; $(VENV)/bin/pytest -n 2 --dist loadfile tests/cluster $$ARGS

##test-slurm-load: two hundred jobs of fifty people on eight nodes of such a cluster
test-slurm-load: $(TOOLS)
	@set -f; $(VENV)/bin/pytest tests/cluster/load.py $$ARGS

##: Bare machines for Ansible on this machine
HOSTS := $(SCRIPT).hosts

##hosts-up: boot them, and say where their inventory is; installs what is missing, and asks before (not with YES=1)
hosts-up: $(TOOLS)
	@$(HOSTS) up $(call option,SUITE,suite) $(if $(call on,YES),--yes)

##hosts-down: end them; nothing is left but what saves time the next time
hosts-down: $(STAMP)
	@$(HOSTS) down

##hosts-shell: a shell on one of them, as root; by default on ctl, else NODE=node1
hosts-shell: $(STAMP)
	@exec $(HOSTS) shell "$${NODE:-ctl}"

##test-ansible: the playbooks on such hosts, which they make into a cluster: look ahead, cut off, power cut, nodes that come and go
test-ansible: $(TOOLS)
	@set -f; $(VENV)/bin/pytest tests/ansible --timeout 2400 $(call option,SUITE,suite) $$ARGS

##: From bare machines to a Slurm cluster: slurm/ansible/README.md
PROVISION = $(SCRIPT).provision
OVER = $(call option,INVENTORY,inventory) $(call option,NODE,node) $(if $(call on,DRYRUN),--dry-run) $(if $(ARGS),-- $$ARGS)

##cluster: all stages, with INVENTORY=hosts.ini; DRYRUN=1 says what would be changed
cluster: $(TOOLS)
	@set -f; exec $(PROVISION) site $(OVER)

##cluster-validate: judge the inventory and its hosts; changes nothing
##cluster-check: run jobs and labs on the cluster, as an ordinary user
##cluster-users: give people accounts, homes and limits, or take them away
##cluster-add-node: let NODE=node3 join, while jobs run
##cluster-remove-node: let NODE=node3 end its jobs and leave
##cluster-update: new configuration, without an end to any job
##cluster-report: what is there, in which version, and what differs
##cluster-teardown: take the cluster down; asks, and leaves homes and the database
cluster-validate cluster-check cluster-users cluster-add-node cluster-remove-node cluster-update cluster-report cluster-teardown: cluster-%: $(TOOLS)
	@set -f; exec $(PROVISION) $* $(OVER)

##: Variables
##NODES=2: nodes
##PROCS=2: processes per node
##GPUS=auto: GPUs per node
##LAUNCHER=slurm: where to run: local, slurm, docker or k8s; without it Slurm on a cluster, else local
##TIME=30: time limit: minutes, or 1:30:00
##MEMORY=8G: memory on each node
##CPUS=4: cores on each node
##IMAGE=labs: container image
##RUNTIME=none: what a Slurm node runs the lab in: none, bwrap, apptainer or pyxis
##PARTITION=lab: Slurm's partition
##ACCOUNT=lab: Slurm's account
##QOS=normal: Slurm's quality of service
##RESERVATION=lab: Slurm's reservation
##CONSTRAINT=h100: features that Slurm's nodes must have
##SBATCH_ARGS='--mail-type=END': further options of sbatch
##SHM=1G: size of /dev/shm in a container
##NAMESPACE=workshop: Kubernetes: the namespace, by default the context's
##KUBECONTEXT=course: Kubernetes: context of the kubeconfig
##QUEUE=students: Kubernetes: queue that lets the job start (Kueue)
##PULL=Never: Kubernetes: when the image is pulled: Always, IfNotPresent or Never
##PULLSECRET=registry: Kubernetes: Secret by which the image is pulled
##SELECTOR=gpu=h100: Kubernetes: labels that nodes must have
##TOLERATIONS=gpu=yes:NoSchedule: Kubernetes: taints of nodes that are borne
##SERVICEACCOUNT=labs: Kubernetes: service account of the pods
##RUNTIMECLASS=nvidia: Kubernetes: runtime class
##RESOURCE=nvidia.com/gpu: Kubernetes: what a GPU is called
##CLAIM=checkpoints: Kubernetes: volume claim, shared by all nodes, that keeps run folders
##RETRIES=2: Kubernetes: how often a run that broke begins anew
##TARGET=gpu: which image: cpu or gpu
##FILE=labs.tar: where an image is written to or taken from
##REGISTRY=registry.example.org/course: where an image is sent to
##DIR=/scratch/labs-image: where an image is unpacked
##SUITE=trixie: which Debian the bare machines have: bookworm or trixie
##DETACH=1: return once it is submitted; go on with labs status, logs and cancel
##SMOKE=1: a tiny run
##DRYRUN=1: print what would be submitted
##ARGS='--rows 8': flags of the lab itself, or of pytest
##INVENTORY=hosts.ini: the hosts of a cluster, for make cluster and its like
##CMD=sinfo: what make slurm-exec runs; WHO=ada says as whom
##PORT=6006: where TensorBoard listens; with compose also Jupyter
##TORCH=cpu: auto, cpu, cuda, or cu126 for older drivers; on a login node without a GPU say cuda
##PYTHON=python3.12: the Python that makes .venv
help:
	@awk -F': ' '/^##: / { printf "\n%s\n", $$2; next } /^##[^ ]/ { at = index($$0, ": "); printf "  %-18s %s\n", substr($$0, 3, at - 3), substr($$0, at + 2) }' Makefile
