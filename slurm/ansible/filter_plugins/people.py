"""People: which number each one gets on all hosts, and what Slurm's accounting is to be told of them."""

from typing import Any

Hosts = dict[str, Any]
Person = dict[str, Any]


def people_of(name: str, hosts: Hosts) -> dict[str, int]:
    """Return the people whom a host knows already, with their numbers."""
    found: dict[str, int] = hosts[name].get("ansible_facts", {}).get("labs_host", {}).get("people", {})
    return found


def numbered(
    people: list[Person], known: dict[str, int], hosts: Hosts, names: list[str], first: int
) -> dict[str, int]:
    """Return everybody's number: the one of before, else the one that a host has, else the next that is free on all hosts.

    Those who are gone keep theirs, so that nobody else ever owns what they have left behind.
    """
    numbers = dict(known)
    there = {person: uid for name in reversed(names) for person, uid in people_of(name, hosts).items()}
    taken = {*numbers.values(), *there.values(), *(gid for name in names for gid in groups_of(name, hosts))}
    for person in (person["name"] for person in people):
        if person not in numbers:
            numbers[person] = there.get(person) or next_free(first, taken)
            taken.add(numbers[person])
    return numbers


def groups_of(name: str, hosts: Hosts) -> list[int]:
    """Return the numbers of the groups that a host has."""
    found: list[int] = hosts[name].get("ansible_facts", {}).get("labs_host", {}).get("gids", [])
    return found


def next_free(first: int, taken: set[int]) -> int:
    """Return the first number from `first` on that is not taken."""
    return next(number for number in range(first, first + len(taken) + 1) if number not in taken)


def to_make(people: list[Person], numbers: dict[str, int], there: dict[str, int]) -> list[Person]:
    """Return those whom a host does not know yet, with their numbers."""
    return [
        {"name": person["name"], "uid": numbers[person["name"]]}
        for person in people
        if person["name"] not in there
    ]


def with_other_number(people: list[Person], numbers: dict[str, int], there: dict[str, int]) -> list[str]:
    """Return those whom a host knows by another number than all other hosts."""
    names = [str(person["name"]) for person in people]
    return [name for name in names if name in there and there[name] != numbers[name]]


def duration(minutes: int) -> str:
    """Return minutes as sacctmgr lists them: 02:00:00, or 1-00:00:00 from a day on."""
    days, rest = divmod(minutes, 24 * 60)
    return f"{days}-" * bool(days) + f"{rest // 60:02d}:{rest % 60:02d}:00"


def wanted_limits(person: Person) -> list[str]:
    """Return a person's limits as sacctmgr lists them: GPUs, jobs, time; empty for none."""
    gpus, jobs, minutes = (person.get(key) for key in ("gpus", "jobs", "minutes"))
    return [
        "" if gpus is None else f"gres/gpu={gpus}",
        "" if jobs is None else str(jobs),
        "" if minutes is None else duration(int(minutes)),
    ]


def settings(limits: list[str]) -> str:
    """Return limits as sacctmgr is told them. -1 takes one away."""
    gpus, jobs, time = limits
    return f"GrpTRES={gpus or 'gres/gpu=-1'} MaxJobs={jobs or -1} MaxWall={time or -1}"


def people_commands(listed: list[str], cluster: str, people: list[Person], gone: list[str]) -> list[str]:
    """Return what sacctmgr is to be told so that everybody belongs to their account, with their limits, and those who go to none.

    `listed` is what it says of associations: account, user, GPUs, jobs and time.
    """
    rows = [line.split("|") for line in listed if line]
    accounts = {account for account, *_ in rows}
    have = {(account, user): limits for account, user, *limits in rows}
    commands = []
    for account in dict.fromkeys(str(person["group"]) for person in people):
        if account not in accounts:
            commands.append(f"add account {account} Cluster={cluster}")
    for person in people:
        place, limits = (str(person["group"]), str(person["name"])), wanted_limits(person)
        if place not in have:
            commands.append(f"add user {place[1]} account={place[0]} defaultaccount={place[0]}")
        if have.get(place, ["", "", ""]) != limits:
            commands.append(
                f"modify user {place[1]} where account={place[0]} cluster={cluster} set {settings(limits)}"
            )
    users = {user for _, user in have}
    return commands + [f"delete user {name}" for name in gone if name in users]


class FilterModule:
    """Ansible looks for a class of this name."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by the names that playbooks use."""
        return {
            function.__name__: function
            for function in (numbered, to_make, with_other_number, people_commands)
        }
