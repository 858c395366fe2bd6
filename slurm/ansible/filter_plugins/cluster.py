"""What the playbooks compute: who is who in the cluster, and what Slurm's configuration says of each node."""

import ipaddress
import re
from typing import Any

Hosts = dict[str, Any]
"""Ansible's `hostvars`: the variables and facts of each host."""

NODE_LINE = re.compile(
    r"^NodeName=(?P<name>\S+) .*?CPUs=(?P<cores>\d+) RealMemory=(?P<mib>\d+)(?: Gres=(?P<gres>\S+))?",
    re.MULTILINE,
)


def is_address(text: str) -> bool:
    """Tell whether a text is an IPv4 address, and no name."""
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def cluster_address(name: str, hosts: Hosts) -> str:
    """Return the address by which the other hosts reach this one: what the inventory says, else the host's first."""
    given = hosts[name]
    if given.get("cluster_address"):
        return str(given["cluster_address"])
    reached_at = str(given.get("ansible_host", name))
    if is_address(reached_at):
        return reached_at
    found = given.get("ansible_facts", {}).get("labs_host", {}).get("addresses", [])
    return str(found[0]) if found else ""


def unseen(names: list[str], hosts: Hosts) -> list[str]:
    """Return the hosts that this run has not looked at yet."""
    return [name for name in names if "labs_host" not in hosts[name].get("ansible_facts", {})]


def cluster_hosts(names: list[str], hosts: Hosts) -> list[dict[str, str]]:
    """Return hosts by name and address."""
    return [{"name": name, "address": cluster_address(name, hosts)} for name in names]


def slurm_nodes(names: list[str], hosts: Hosts, written: str, reserved_mib: int) -> list[dict[str, Any]]:
    """Return the nodes as slurm.conf describes them.

    What the inventory says of a node comes before what was found on it. A node that could not be reached keeps the line that
    it has in `written`, the slurm.conf of until now; one that is neither known nor reached is left out.
    """
    known = {match["name"]: match for match in NODE_LINE.finditer(written)}
    nodes = [slurm_node(name, hosts, known.get(name), reserved_mib) for name in names]
    return [node for node in nodes if node["cores"] and node["mib"]]


def slurm_node(name: str, hosts: Hosts, line: re.Match[str] | None, reserved_mib: int) -> dict[str, Any]:
    """Return one node; its cores and memory are 0 where nobody knows them."""
    given, found = hosts[name], hosts[name].get("ansible_facts", {}).get("labs_host", {})
    before: dict[str, Any] = {}
    if line:
        before = {
            "cores": int(line["cores"]),
            "mib": int(line["mib"]),
            "gpus": gpus_of_line(line["gres"] or ""),
        }
    # In whole hundreds: a kernel counts a few MiB otherwise after the next boot, and nothing is to change by that.
    measured = {**found, "mib": (found["mib"] - reserved_mib) // 100 * 100} if found else before
    return {
        "name": name,
        "address": cluster_address(name, hosts),
        "cores": int(given.get("node_cores") or measured.get("cores", 0)),
        "mib": int(given.get("node_mib") or measured.get("mib", 0)),
        "gpus": given.get("node_gpus", measured.get("gpus", [])),
        "features": given.get("node_features", []),
    }


def gpus_of_line(gres: str) -> list[dict[str, Any]]:
    """Return the GPUs of a node's line, such as `gpu:h100:2`. Their files stand in gres.conf, which the node itself keeps."""
    entries = [entry.split(":") for entry in gres.split(",") if entry]
    first, gpus = 0, []
    for _, kind, count in entries:
        last = first + int(count) - 1
        gpus.append(
            {
                "type": kind,
                "count": int(count),
                "files": f"/dev/nvidia[{first}-{last}]" if last > first else f"/dev/nvidia{last}",
            }
        )
        first = last + 1
    return gpus


def weakest_cgroups(names: list[str], hosts: Hosts) -> str:
    """Return `none` where a node that was reached has no cgroups that Slurm can use, else `some`: how jobs are followed is one for all."""
    kinds = [
        hosts[name]["ansible_facts"]["labs_host"]["cgroups"]
        for name in names
        if "labs_host" in hosts[name].get("ansible_facts", {})
    ]
    return "none" if "none" in kinds or not kinds else "some"


def memory_for_a_core(nodes: list[dict[str, Any]]) -> int:
    """Return the MiB that a job gets with each core where it asks for none: half of what the poorest node has to share out."""
    return min((int(node["mib"]) // (2 * int(node["cores"])) for node in nodes), default=1000)


def slurm_keys(table: dict[str, dict[str, Any]], version: str) -> dict[str, Any]:
    """Return what a version of Slurm writes otherwise: each entry holds from its version on, until a later one says otherwise."""
    merged: dict[str, Any] = {}
    for since in sorted(table, key=numbers):
        if numbers(since) <= numbers(version):
            merged |= table[since]
    return merged


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as numbers, which can be compared."""
    return tuple(int(part) for part in version.split("."))


def hosts_file(hosts: list[dict[str, str]]) -> str:
    """Return lines of /etc/hosts."""
    return "\n".join(f"{host['address']} {host['name']}" for host in hosts)


def unit_of_path(path: str) -> str:
    """Return a folder's name as systemd writes it in the name of its mount: srv-labs for /srv/labs, with odd characters escaped."""
    parts = re.sub(r"[^\w/.]", lambda match: f"\\x{ord(match[0]):02x}", path.strip("/"))
    return parts.replace("/", "-")


def report_lines(names: list[str], hosts: Hosts) -> list[str]:
    """Return a line on each host, and one on whatever is not the same on all of them."""
    found = {name: hosts[name].get("ansible_facts", {}).get("labs_host", {}) for name in names}
    lines = [f"{name}: {host_in_words(facts)}" for name, facts in found.items()]
    for what, words in {
        "os": "distributions",
        "python": "versions of Python",
        "slurm": "versions of Slurm",
        "cgroups": "cgroups",
    }.items():
        kinds = sorted({str(facts[what]) for facts in found.values() if facts.get(what)})
        if len(kinds) > 1:
            lines.append(f"The hosts differ in their {words}: {', '.join(kinds)}.")
    return lines


def host_in_words(facts: dict[str, Any]) -> str:
    """Return what a host is and has."""
    if not facts:
        return "not reached"
    gpus = ", ".join(f"{run['count']} x {run['type']}" for run in facts["gpus"]) or "no GPU"
    slurm = f"Slurm {facts['slurm']}" if facts["slurm"] else "no Slurm"
    system = f"{facts['os']}, {slurm}, Python {facts['python']}"
    return f"{system}, {facts['cores']} cores, {facts['mib']} MiB, {gpus}, cgroups {facts['cgroups']}"


class FilterModule:
    """Ansible looks for a class of this name."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that playbooks use."""
        functions = (
            unseen,
            cluster_address,
            cluster_hosts,
            slurm_nodes,
            weakest_cgroups,
            memory_for_a_core,
            slurm_keys,
            hosts_file,
            unit_of_path,
            report_lines,
        )
        return {function.__name__: function for function in functions}
