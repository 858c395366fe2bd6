"""Where this machine gets Debian from, asked of its own apt: hosts are made of the same, whatever mirror or proxy that is."""

import re

from scripts.slurm_cluster.commands import ClusterError, run

SUITES = {"bookworm": "12", "trixie": "13"}
PACKAGES = "Created-By: Packages"  # of all that apt knows, the lists of packages
FIELDS = "$(ORIGIN) $(REPO_URI) $(CODENAME) $(COMPONENT)"


def sources(suite: str) -> str:
    """Return the lines by which apt finds a suite of Debian, such as bookworm, and its updates. Raises ClusterError where none is known."""
    found = _known() or _known(after_update=True)
    if not found:
        raise ClusterError(
            "apt on this machine knows no source of Debian, and hosts are made of Debian's packages"
        )
    lines = (f"deb {uri} {suite}{part} {component}" for uri, part, component in found)
    return "".join(f"{line}\n" for line in dict.fromkeys(lines))


def options() -> list[str]:
    """Return what apt here is told about fetching, such as proxies, as lines of its configuration."""
    words = ["apt-config", "dump", "--no-empty", "--format", '%F "%v";%n', "Acquire::http", "Acquire::https"]
    return run(words).splitlines()


def _known(*, after_update: bool = False) -> list[tuple[str, str, str]]:
    """Return each source of Debian: its address; what follows the suite's name there, such as -security; its component."""
    if after_update:
        run(["apt-get", "update", "-qq"])
    rows = [
        line.split() for line in run(["apt-get", "indextargets", "--format", FIELDS, PACKAGES]).splitlines()
    ]
    named = [
        (row[1], re.fullmatch(r"[a-z]+(-updates|-security)?", row[2]), row[3])
        for row in rows
        if row[0] == "Debian"
    ]
    return [
        (uri, match[1] or "", component) for uri, match, component in named if match and component == "main"
    ]
