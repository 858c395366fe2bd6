"""A run that is cut off at a random task: Ansible is killed, and a host loses its power at that moment."""

import random
import subprocess

import psutil

from scripts.slurm_cluster.host import kill_and_wait
from tests.ansible.playbook import FOLDER, command, environment
from tests.ansible.site import Site

VICTIMS = ("ctl", "desk", "node1", "node2")


def cut_off(site: Site, seed: int, tasks: int) -> str:
    """Cut a run of all stages off at one of its first tasks, and return which one it was and whose power was lost."""
    chance = random.Random(seed)
    last, victim = chance.randint(1, tasks), chance.choice(VICTIMS)
    process = subprocess.Popen(
        command(site.hosts, site.whole, inventory=site.inventory),
        env=environment(site.hosts), cwd=FOLDER, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    task = _wait_for(process, last)
    for worker in psutil.Process(process.pid).children(recursive=True):
        kill_and_wait(worker.pid)
    process.kill()
    process.communicate()
    site.hosts.host(victim).kill()
    site.hosts.switch_on([site.hosts.host(victim)])
    return f"seed {seed}: cut off at task {last}, {task}, where {victim} lost its power"


def _wait_for(process: "subprocess.Popen[str]", last: int) -> str:
    assert process.stdout
    seen = 0
    for line in process.stdout:
        seen += line.startswith("TASK [")
        if seen == last:
            return line.removeprefix("TASK [").partition("]")[0]
    raise AssertionError(f"it ended after {seen} tasks, before it could be cut off")
