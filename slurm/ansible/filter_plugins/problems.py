"""Judges an inventory, and what was found on its hosts: every fault as one sentence, all of them at once."""

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Hosts = dict[str, Any]
"""Ansible's `hostvars`: the variables and facts of each host."""

NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")  # of hosts, as Slurm and DNS bear it
PERSON = re.compile(r"[a-z_][a-z0-9_-]{0,30}")  # as useradd bears it
WORD = re.compile(r"[A-Za-z0-9]+")
TIME = re.compile(r"UNLIMITED|INFINITE|\d+|(\d+-)?\d{1,2}(:\d{2}){0,2}")
LIKENESS = 0.85  # from here on a variable's name is taken for a slip of the pen
CLOCKS_S = 60.0  # munge bears five minutes; the question itself may take some seconds
PORTS = {"controller": (6817, 6819), "nodes": (6818,)}
NODE_MIB = 1000
DISK_MIB = {"/": 1000, "/var": 1000}
PYTHON = (3, 9)


class Cluster:
    """The inventory and what was found, with the roles' own values where nothing else is said."""

    def __init__(self, hosts: Hosts, groups: dict[str, list[str]], roles: str) -> None:
        self.hosts, self.groups = hosts, groups
        self.defaults = defaults(roles)
        self.distributions = distributions(roles)
        self.oldest_slurm = oldest_slurm(roles)
        self.names = [name for name in groups.get("all", []) if "validate_looked" in hosts[name]]
        self.found = {name: looked(hosts[name]) for name in self.names if looked(hosts[name])}

    def members(self, group: str) -> list[str]:
        return self.groups.get(group, [])

    def value(self, variable: str) -> Any:
        """Return what holds for the whole cluster: what the inventory or the command line says, else the role's own value."""
        return next(
            (self.hosts[name][variable] for name in self.names if variable in self.hosts[name]),
            self.defaults[variable],
        )

    def address(self, name: str) -> str:
        return str(self.hosts[name].get("cluster_address") or self.hosts[name].get("ansible_host", name))


def looked(variables: dict[str, Any]) -> dict[str, Any]:
    """Return what was found on a host; nothing where it could not be looked at."""
    found: dict[str, Any] = variables["validate_looked"].get("ansible_facts", {}).get("labs_host", {})
    return found


def defaults(roles: str) -> dict[str, Any]:
    """Return the roles' variables with their values, as they are written."""
    values: dict[str, Any] = {}
    for file in sorted(Path(roles).glob("*/defaults/main.yml")):
        values |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return values


def distributions(roles: str) -> dict[str, dict[str, Any]]:
    """Return what is known of each distribution."""
    files = sorted(Path(roles, "cluster", "vars").glob("*.yml"))
    return {
        file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files if file.stem != "main"
    }


def oldest_slurm(roles: str) -> str:
    """Return the oldest Slurm that the templates know."""
    lines = (Path(roles).resolve().parents[2] / "versions.env").read_text(encoding="utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("SLURM_MIN="))


def remarks(hosts: Hosts, groups: dict[str, list[str]], roles: str) -> list[str]:
    """Return what is good to know, and no fault."""
    cluster = Cluster(hosts, groups, roles)
    said = []
    for system, facts in cluster.distributions.items():
        names = [name for name, found in cluster.found.items() if found["os"] == system]
        if names and not facts["cluster_tried"]:
            said.append(f"{', '.join(names)}: the roles were written for {system}, and not tried there.")
    return said


def problems(hosts: Hosts, groups: dict[str, list[str]], roles: str) -> list[str]:
    """Return what is wrong, sentence by sentence, the inventory first and the hosts in their order."""
    cluster = Cluster(hosts, groups, roles)
    of_all = [
        *group_problems(cluster),
        *name_problems(cluster),
        *variable_problems(cluster),
        *people_problems(cluster),
    ]
    of_hosts = [sentence for name in cluster.names for sentence in host_problems(cluster, name)]
    return [*of_all, *of_hosts, *lookup_problems(cluster), *shared_problems(cluster)]


def group_problems(cluster: Cluster) -> Iterator[str]:
    """Judge who is who."""
    controllers = cluster.members("controller")
    if not controllers:
        yield "The inventory names no host under [controller]: one host gives out the nodes."
    if len(controllers) > 1:
        yield f"The inventory names {', '.join(controllers)} under [controller]: leave one of them there."
    if not cluster.members("nodes"):
        yield "The inventory names no host under [nodes]: labs run there."
    if not cluster.members("login"):
        yield "The inventory names no host under [login]: people log in there; it may be the controller."


def name_problems(cluster: Cluster) -> Iterator[str]:
    """Judge names and addresses."""
    for name in cluster.names:
        if not NAME.fullmatch(name):
            yield f"{name} is no host's name for Slurm: take small letters, digits and dashes, and no dots."
    counted = Counter(cluster.address(name) for name in cluster.names)
    for address in (address for address, times in counted.items() if times > 1):
        same = [name for name in cluster.names if cluster.address(name) == address]
        yield f"{' and '.join(same)} have one address, {address}: each host needs its own."


def variable_problems(cluster: Cluster) -> Iterator[str]:
    """Judge the variables: their names, and what is in them."""
    given = sorted({variable for name in cluster.names for variable in cluster.hosts[name]})
    for variable in given:
        alike = difflib.get_close_matches(variable, cluster.defaults, 1, LIKENESS)
        if alike and variable not in cluster.defaults and not variable.startswith("validate_"):
            yield f"{variable} is no variable of the roles: did you mean {alike[0]}?"
    if not WORD.fullmatch(str(cluster.value("cluster_name"))):
        yield f"cluster_name={cluster.value('cluster_name')} is not possible: take letters and digits."
    folder = str(cluster.value("cluster_shared_folder"))
    if not re.fullmatch(r"(/[\w.-]+)+", folder):
        yield f"cluster_shared_folder={folder} is not possible: take a path of letters, digits, _ - and dots."
    source = str(cluster.value("shared_source") or "")
    if source not in ("", "controller") and not re.fullmatch(r"\S+:/\S*", source):
        yield f"shared_source={source} is not possible: say controller, server:/path, or nothing where the folder is there already."
    bundle = str(cluster.value("labs_bundle") or "")
    if bundle and not Path(bundle).is_file():
        yield f"labs_bundle={bundle} is not there: `make bundle` writes one into dist/."
    image = str(cluster.value("labs_image") or "")
    if image and not Path(image).is_file():
        yield f"labs_image={image} is not there: it is a tar archive of what `make image-unpack` writes."
    yield from partition_problems(cluster.value("cluster_partitions"))


def partition_problems(partitions: Any) -> Iterator[str]:
    """Judge the list of partitions."""
    if not isinstance(partitions, list) or not partitions:
        yield "cluster_partitions is no list of partitions: say [{name: lab, max_time: '08:00:00', max_nodes: null}]."
        return
    for partition in partitions:
        keys = set(partition) if isinstance(partition, dict) else set()
        if keys != {"name", "max_time", "max_nodes"}:
            yield f"The partition {partition} of cluster_partitions is not whole: it needs name, max_time and max_nodes, and no more."
        elif not WORD.fullmatch(str(partition["name"])) or not TIME.fullmatch(str(partition["max_time"])):
            yield f"The partition {partition['name']} is not possible: its name is letters and digits, its time is like 08:00:00."


def people_problems(cluster: Cluster) -> Iterator[str]:
    """Judge the list of people."""
    people, gone = cluster.value("users_people") or [], cluster.value("users_gone") or []
    names = [str(person.get("name", "")) if isinstance(person, dict) else str(person) for person in people]
    for person, name in zip(people, names, strict=True):
        if not isinstance(person, dict) or not PERSON.fullmatch(name):
            yield f"users_people has a person {name!r}: a name is small letters, digits, _ and -, and begins with a letter."
        elif not WORD.fullmatch(str(person.get("group", ""))):
            yield f"users_people says no group of {name}: it is their account in Slurm, in letters and digits, such as course."
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"users_people has {name} twice: a name belongs to one person."
    for name in sorted(set(names) & {str(name) for name in gone}):
        yield f"{name} is in users_people and in users_gone: take one of them away."


def host_problems(cluster: Cluster, name: str) -> Iterator[str]:
    """Judge one host: whether it can be looked at, and what was found."""
    result = cluster.hosts[name]["validate_looked"]
    if name not in cluster.found:
        yield unseen_problem(cluster, name, result)
        return
    found = cluster.found[name]
    if found["uid"] != 0:
        user = cluster.hosts[name].get("ansible_user", "the user")
        yield f"On {name} {user} is not root, and Ansible does not ask for sudo: leave ansible_become away, and let {user} use sudo."
        return
    yield from system_problems(cluster, name, found)
    yield from network_problems(cluster, name, found)
    yield from room_problems(cluster, name, found)
    yield from slurm_problems(cluster, name, found)


def unseen_problem(cluster: Cluster, name: str, result: dict[str, Any]) -> str:
    """Say why a host could not be looked at."""
    words = " ".join(str(result.get(key, "")) for key in ("msg", "module_stderr", "module_stdout")).split()
    reason = " ".join(words)[-160:].rpartition("ssh: ")[2]
    if result.get("unreachable"):
        return f"{name} is not reached by ssh at {cluster.hosts[name].get('ansible_host', name)}: {reason or 'it does not answer'}."
    if "sudo" in reason or "password" in reason:
        return f"On {name} sudo wants a password: let it want none, or say ARGS=--ask-become-pass."
    if "python" in reason.lower() and ("not found" in reason or "No such file" in reason):
        return f"{name} has no Python: install python3 there, which Ansible and the labs lean on."
    return f"{name} could not be looked at: {reason}."


def system_problems(cluster: Cluster, name: str, found: dict[str, Any]) -> Iterator[str]:
    """Judge what a host runs."""
    known = cluster.distributions.get(found["os"])
    if known is None:
        yield f"{name} runs {found['os']}, whose packages are not known here: take one of {', '.join(cluster.distributions)}."
    elif numbers(known["cluster_slurm_version"]) < numbers(cluster.oldest_slurm) and not cluster.value(
        "base_apt_sources"
    ):
        have, want = known["cluster_slurm_version"], cluster.oldest_slurm
        yield f"{name} runs {found['os']}, whose Slurm {have} is older than {want}: let base_apt_sources name a newer one."
    if not found["systemd"]:
        yield f"{name} was not started by systemd, which the daemons need."
    if numbers(found["python"].rstrip("+")) < PYTHON:
        yield f"{name} has Python {found['python']}: Ansible needs {'.'.join(map(str, PYTHON))} or newer there."
    ahead = found["ahead_s"] - min(other["ahead_s"] for other in cluster.found.values())
    if ahead > CLOCKS_S:
        yield f"{name}'s clock is {ahead:.0f} s ahead of another host's: let chrony or systemd-timesyncd keep them together."


def network_problems(cluster: Cluster, name: str, found: dict[str, Any]) -> Iterator[str]:
    """Judge a host's own name and address. Of two hosts with one address nothing more is said."""
    address = cluster.address(name)
    if sum(cluster.address(other) == address for other in cluster.names) > 1:
        return
    if found["hostname"].split(".")[0] != name:
        yield f"{name} calls itself {found['hostname']}: say `hostnamectl set-hostname {name}` there, or name it so in the inventory."
    if is_address(address) and found["addresses"] and address not in found["addresses"]:
        yield f"{name} has no address {address}, but {', '.join(found['addresses'])}: set cluster_address beside it in the inventory."


def lookup_problems(cluster: Cluster) -> Iterator[str]:
    """Judge how hosts find one another. Those that are told elsewhere to be away, or to have one address, are left out."""
    counted = Counter(cluster.address(name) for name in cluster.names)
    for other in cluster.found:
        address = cluster.address(other)
        if not is_address(address) or counted[address] > 1:
            continue
        wrong: dict[str, list[str]] = {}
        for name, found in cluster.found.items():
            answers = found["looked_up"].get(other, [])
            own = name == other and all(answer.startswith("127.") for answer in answers)
            if answers and address not in answers and not own:
                wrong.setdefault(", ".join(answers), []).append(name)
        for answers, names in wrong.items():
            yield f"On {', '.join(names)} the name {other} leads to {answers}, not to {address}: mend /etc/hosts or the DNS."


# As in cluster.py: Ansible loads each of these files by itself, and none can import another.
def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 address, and no name."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def room_problems(cluster: Cluster, name: str, found: dict[str, Any]) -> Iterator[str]:
    """Judge memory, disk and GPUs."""
    if name in cluster.members("nodes") and found["mib"] < NODE_MIB:
        yield f"{name} has {found['mib']} MiB of memory: a node needs {NODE_MIB} at least."
    for path, wanted in DISK_MIB.items():
        if found["free_mib"][path] < wanted:
            yield f"{name} has {found['free_mib'][path]} MiB free in {path}: make room for {wanted}."
    drivers = sum(run["count"] for run in found["gpus"])
    if (
        name in cluster.members("nodes")
        and found["cards"] > drivers
        and "node_gpus" not in cluster.hosts[name]
    ):
        yield (
            f"{name} has {found['cards']} NVIDIA cards, and a driver answers for {drivers}: install the driver,"
            " or set node_gpus=[] beside it to do without."
        )


def slurm_problems(cluster: Cluster, name: str, found: dict[str, Any]) -> Iterator[str]:
    """Judge what is there of a Slurm."""
    if found["slurm_conf"] == "foreign" and not truth(cluster.value("slurm_config_replace")):
        yield f"{name} has an /etc/slurm/slurm.conf of somebody else's: say slurm_config_replace=true to have it replaced; a copy is kept."
    if found["slurm_conf"] == "":
        ports = {port for group, ports in PORTS.items() if name in cluster.members(group) for port in ports}
        for port in sorted(ports & set(found["listening"])):
            yield f"On {name} something listens on port {port} already, which Slurm needs."
    uid = found["ids"].get("slurm", {}).get("uid")
    wanted = int(cluster.value("base_slurm_uid"))
    if uid is not None and uid != wanted:
        yield f"{name} has a user slurm with the number {uid}: all hosts need the same, so set base_slurm_uid={uid}, or change it there."


def shared_problems(cluster: Cluster) -> Iterator[str]:
    """Judge the shared folder, where it is to be there already."""
    if cluster.value("shared_source"):
        return
    path = cluster.value("cluster_shared_folder")
    folders = {name: found["shared"] for name, found in cluster.found.items()}
    without = [name for name, folder in folders.items() if not folder["there"]]
    barred = [name for name, folder in folders.items() if folder["there"] and not folder["writable"]]
    marks = {folder["mark"]: name for name, folder in reversed(folders.items()) if folder["there"]}
    if without:
        yield f"There is no folder {path} on {', '.join(without)}: mount it there, or let shared_source say where it comes from."
    if barred:
        yield f"Nothing can be written into {path} on {', '.join(barred)}: mount it so that root may write."
    if len(marks) > 1:
        yield f"{path} is not one folder on {' and '.join(sorted(marks.values()))}: mount the same one on all hosts."


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which can be compared."""
    return tuple(int(part) for part in version.split("."))


def truth(value: Any) -> bool:
    """Return what an inventory means by yes."""
    return str(value).lower() in ("true", "yes", "1", "on")


def setting(variables: dict[str, Any], name: str, roles: str) -> Any:
    """Return a variable, else the role's own value."""
    return variables.get(name, defaults(roles)[name])


class FilterModule:
    """Ansible looks for a class of this name."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that playbooks use."""
        return {"problems": problems, "remarks": remarks, "setting": setting}
