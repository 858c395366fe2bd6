"""What sacctmgr is to be told, so that Slurm's accounting comes to what the variables say. Nothing where it is so already."""

from typing import Any


def rows(lines: list[str]) -> list[list[str]]:
    """Return what sacctmgr listed, field by field."""
    return [line.split("|") for line in lines if line]


def accounting_sessions(
    found: list[list[str]], cluster: str, qualities: list[dict[str, Any]], accounts: list[str]
) -> list[list[str]]:
    """Return the commands that write down the cluster, its qualities of service and its accounts, by sessions of sacctmgr.

    A session knows only the qualities that were there when it began, so accounts need a second one. `found` is what sacctmgr
    listed: clusters; qualities with priority and preempt; associations with cluster, account and user.
    """
    clusters, listed, associations = (rows(lines) for lines in (*found, [], [], [])[:3])
    first = [] if [cluster] in clusters else [f"add cluster {cluster}"]
    first += quality_commands(listed, qualities)
    second = account_commands(
        associations, cluster, [str(quality["name"]) for quality in qualities], accounts
    )
    return [session for session in (first, second) if session]


def account_commands(
    associations: list[list[str]], cluster: str, qualities: list[str], accounts: list[str]
) -> list[str]:
    """Return the commands for accounts, and for root, who submits jobs by the first of them."""
    there = {account for where, account, _ in associations if where == cluster}
    settings = f"Cluster={cluster} qos={','.join(qualities)} defaultqos=normal"
    commands = [f"add account {account} {settings}" for account in accounts if account not in there]
    if [cluster, accounts[0], "root"] not in associations:
        commands.append(f"add user root account={accounts[0]} defaultaccount={accounts[0]}")
    return commands


def quality_commands(listed: list[list[str]], qualities: list[dict[str, Any]]) -> list[str]:
    """Return the commands for qualities of service, the ones that are named by others first."""
    have = {name: (priority, set(filter(None, preempt.split(",")))) for name, priority, preempt in listed}
    commands = []
    for quality in qualities:
        name, priority = str(quality["name"]), str(quality.get("priority", 0))
        preempt = set(quality.get("preempt", []))
        if have.get(name) != (priority, preempt):
            verb = f"modify qos {name} set" if name in have or name == "normal" else f"add qos {name}"
            # Where there is nobody to name, naming nobody would make sacctmgr read the list of names too early.
            told = (
                f" Preempt={','.join(sorted(preempt))}" if preempt or have.get(name, ("", set()))[1] else ""
            )
            commands.append(f"{verb} Priority={priority}{told}")
    return commands


class FilterModule:
    """Ansible looks for a class of this name."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that playbooks use."""
        return {"accounting_sessions": accounting_sessions}
