"""The network interfaces that ranks talk through: those that somebody named must be there, and names of one machine are of no other."""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

EXACT = ("GLOO_SOCKET_IFNAME", "TP_SOCKET_IFNAME")  # names, with commas between them
BEGINNINGS = "NCCL_SOCKET_IFNAME"  # of names; after ^ those to leave out, after = whole names
# What names a piece of this very machine, and would be another one, or none, in a container or a pod.
OF_THIS_MACHINE = {
    *EXACT, BEGINNINGS, "NCCL_OOB_NET_IFNAME", "NCCL_IB_HCA", "NCCL_COMM_ID", "NCCL_HOSTID", "NCCL_TOPO_FILE", "NCCL_GRAPH_FILE",
}  # fmt: skip
INTERNET = (socket.AF_INET, socket.AF_INET6)


def usable() -> dict[str, list[str]]:
    """Return this host's interfaces that are up and have an address, of IPv4 or IPv6, with their addresses."""
    import psutil  # only where it is needed

    state = psutil.net_if_stats()
    return {
        name: found
        for name, addresses in psutil.net_if_addrs().items()
        if (name not in state or state[name].isup)
        and (found := [one.address.partition("%")[0] for one in addresses if one.family in INTERNET])
    }


def trouble() -> str | None:
    """Return a sentence where the environment names an interface that this host has not, with those that it has."""
    named = {name: os.environ[name] for name in (*EXACT, BEGINNINGS) if os.environ.get(name)}
    if not named:
        return None
    there = usable()
    wrong = [f"{name}={text}" for name, text in named.items() if not _is_there(name, text, list(there))]
    if not wrong:
        return None
    here = ", ".join(sorted(there)) or "none that is up"
    return f"{', '.join(wrong)} names no network interface of this host ({socket.gethostname()}), which has: {here}"


def named() -> str:
    """Return the interface that somebody named for gloo, or else for NCCL; empty where nobody did."""
    return os.environ.get(EXACT[0]) or os.environ.get(BEGINNINGS) or ""


def is_loopback(name: str) -> bool:
    """Tell whether an interface leads to nobody but this very host."""
    addresses = usable().get(name, [])
    return bool(addresses) and all(one == "::1" or one.startswith("127.") for one in addresses)


def on_one_machine(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for ranks that are all on this machine: they meet on loopback, whatever was named for others."""
    names = [name for name, addresses in usable().items() if {"127.0.0.1", "::1"} & {*addresses}]
    loopback = {name: names[0] for name in (EXACT[0], BEGINNINGS) if names}
    return {name: value for name, value in environment.items() if name not in (*EXACT, BEGINNINGS)} | loopback


@contextmanager
def on_this_machine_alone() -> Iterator[None]:
    """Let this process talk on loopback, as `on_one_machine` says, as long as the block lasts."""
    before = {name: os.environ.get(name) for name in (*EXACT, BEGINNINGS)}
    wanted = on_one_machine(os.environ)
    try:
        _set({name: wanted.get(name) for name in before})
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _is_there(variable: str, text: str, there: list[str]) -> bool:
    """Tell whether all that was named is there; of NCCL's beginnings, or of what it may not leave out, one is enough."""
    names = [name for name in text.lstrip("^=").split(",") if name]
    if variable in EXACT:
        return bool(names) and all(name in there for name in names)
    chosen = [one for one in there if _is_chosen(one, text, names)]
    return bool(chosen)


def _is_chosen(interface: str, text: str, names: list[str]) -> bool:
    names = [name.partition(":")[0] for name in names]
    meant = interface in names if "=" in text[:2] else interface.startswith(tuple(names))
    return not meant if text.startswith("^") else meant
