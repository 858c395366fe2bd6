#!/usr/bin/python
"""Looks at a host: what it is, what it has, and what of Slurm is on it. Changes nothing."""

from __future__ import annotations

import glob
import grp
import itertools
import os
import platform
import pwd
import re
import socket
import subprocess
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: host_facts
short_description: Looks at a host, and changes nothing
description:
  - Returns what the cluster's roles must know of a host as the fact C(labs_host).
options:
  names:
    description: Names that the host is to look up.
    type: list
    elements: str
    default: []
  users:
    description: Users whose ids are wanted, where the host knows them.
    type: list
    elements: str
    default: [slurm, munge]
  asked_at:
    description: What time it is where Ansible runs, in seconds since 1970.
    type: float
    default: 0
  shared:
    description: A folder that all hosts are to share, or nothing.
    type: str
    default: ""
author: PyTorch Deep Dive labs
"""
EXAMPLES = """
- name: Look at the host
  host_facts:
"""
RETURN = """
ansible_facts:
  description: The fact C(labs_host), a dictionary.
  type: dict
  returned: always
"""

NVIDIA = "0x10de"
DISPLAYS = "0x03"  # PCI's class of graphics cards and of accelerators without a screen
V1_NEEDED = ("cpuset", "devices", "freezer", "memory")
V2_NEEDED = {"cpu", "cpuset", "memory"}
OURS = "PyTorch Deep Dive labs"  # in the first line of a configuration of ours


def read(path: str) -> str:
    """Return a file's text, or nothing where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def said(*command: str) -> str:
    """Return what a program prints, or nothing where it is not there, fails or hangs."""
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def distribution() -> str:
    """Return the distribution by its own name and version, such as debian-12; where there is none, what kind of system it is."""
    lines = (line.partition("=") for line in read("/etc/os-release").splitlines())
    values = {key: value.strip("\"'") for key, _, value in lines}
    version = values.get("VERSION_ID", "")
    if values.get("ID") in ("debian", "rocky"):
        version = version.partition(".")[0]
    return "-".join(part for part in (values.get("ID", platform.system().lower()), version) if part)


def addresses() -> list[str]:
    """Return the host's IPv4 addresses, those of loopback left out."""
    lines = said("ip", "-4", "-o", "addr", "show", "scope", "global").splitlines()
    return [line.split()[3].partition("/")[0] for line in lines]


def manager() -> str:
    """Return what installs packages here, by the name of Ansible's module."""
    return next((name for name in ("apt", "dnf") if os.path.exists("/usr/bin/" + name)), "unknown")


def looked_up(names: list[str]) -> dict[str, list[str]]:
    """Return each name's addresses, as this host finds them."""
    found = {}
    for name in names:
        try:
            answers = socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)
        except OSError:
            answers = []
        found[name] = sorted({str(answer[4][0]) for answer in answers})
    return found


def memory_mib() -> int:
    lines = read("/proc/meminfo").splitlines()
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("MemTotal:")), 0)


def cgroups() -> str:
    """Return which version of cgroups Slurm can use here: v1, v2, or none."""
    top = "/sys/fs/cgroup"
    if all(os.access(os.path.join(top, name, "cgroup.procs"), os.W_OK) for name in V1_NEEDED):
        return "v1"
    whole = V2_NEEDED.issubset(read(os.path.join(top, "cgroup.controllers")).split())
    return "v2" if whole and os.access(os.path.join(top, "cgroup.procs"), os.W_OK) else "none"


def gpus() -> list[dict[str, Any]]:
    """Return the GPUs that a driver answers for, as runs of one type: their type, number and device files."""
    names = said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader").splitlines()
    runs, first = [], 0
    for kind, same in itertools.groupby(kind_of_gpu(name) for name in names):
        count = len(list(same))
        last = first + count - 1
        files = f"/dev/nvidia[{first}-{last}]" if count > 1 else f"/dev/nvidia{first}"
        runs.append({"type": kind, "count": count, "files": files})
        first += count
    return runs


def kind_of_gpu(name: str) -> str:
    """Return a GPU's name as Slurm's users are to type it: h100, a6000, rtx4090."""
    match = re.search(r"[a-z]+ ?\d+[a-z]*", name.lower())
    return match[0].replace(" ", "") if match else "gpu"


def cards() -> int:
    """Return how many of NVIDIA's cards are on the bus, with or without a driver."""
    folders = glob.glob("/sys/bus/pci/devices/*")
    ours = [folder for folder in folders if read(os.path.join(folder, "vendor")).strip() == NVIDIA]
    return sum(read(os.path.join(folder, "class")).startswith(DISPLAYS) for folder in ours)


def ids(names: list[str]) -> dict[str, Any]:
    """Return the numbers of users and of their own groups, where the host knows them."""
    found = {}
    for name in names:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        found[name] = {"uid": user.pw_uid, "group": grp.getgrgid(user.pw_gid).gr_name, "gid": user.pw_gid}
    return found


def people() -> dict[str, int]:
    """Return the accounts that are no system's own, with their numbers."""
    return {user.pw_name: user.pw_uid for user in pwd.getpwall() if 1000 <= user.pw_uid < 60000}


def listening() -> list[int]:
    """Return the TCP ports that something listens on at any address."""
    lines = (read("/proc/net/tcp") + read("/proc/net/tcp6")).splitlines()
    fields = [line.split() for line in lines]
    return sorted(
        {int(words[1].rpartition(":")[2], 16) for words in fields if len(words) > 3 and words[3] == "0A"}
    )


def configuration() -> str:
    """Return whose slurm.conf is here: ours, foreign, or nobody's."""
    text = read("/etc/slurm/slurm.conf")
    return ("ours" if OURS in text.partition("\n")[0] else "foreign") if text else ""


def folder(path: str) -> dict[str, Any]:
    """Return what is known of a folder that is to be shared: whether it is there, writable, and which one it is."""
    if not path or not os.path.isdir(path):
        return {"there": False}
    # The same on all hosts where it is one folder; writing into it would tell for sure, and would change it.
    seen = os.stat(path)
    return {"there": True, "writable": os.access(path, os.W_OK), "mark": f"{seen.st_ino} {seen.st_mtime_ns}"}


def free_mib(path: str) -> int:
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize // 2**20


def facts(names: list[str], users: list[str], shared: str, asked_at: float) -> dict[str, Any]:
    """Return all that is to be known of the host. Its clock is told by how much it is ahead, the time of the question included."""
    version = said("sinfo", "--version").removeprefix("slurm ").strip()
    return {
        "os": distribution(), "machine": platform.machine(), "python": platform.python_version(), "uid": os.geteuid(),
        "systemd": os.path.isdir("/run/systemd/system"), "hostname": socket.gethostname(), "addresses": addresses(),
        "looked_up": looked_up(names), "ahead_s": time.time() - asked_at, "cores": os.cpu_count(), "mib": memory_mib(),
        "free_mib": {path: free_mib(path) for path in ("/", "/var", "/tmp")}, "gpus": gpus(), "cards": cards(),
        "cgroups": cgroups(), "ids": ids(users), "people": people(), "gids": sorted(group.gr_gid for group in grp.getgrall()),
        "listening": listening(), "slurm_conf": configuration(), "slurm": version, "shared": folder(shared),
    }  # fmt: skip


def main() -> None:
    lists = {"type": "list", "elements": "str"}
    options = {
        "names": {**lists, "default": []},
        "users": {**lists, "default": ["slurm", "munge"]},
        "shared": {"default": ""},
        "asked_at": {"type": "float", "default": 0},
    }
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    module.exit_json(changed=False, ansible_facts={"labs_host": facts(**module.params), "pkg_mgr": manager()})


if __name__ == "__main__":
    main()
