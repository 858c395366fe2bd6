"""The people of the cluster: ordinary users whom the machine itself does not know."""

from dataclasses import dataclass
from pathlib import Path

FIRST_UID = 20001
NAMES = ("ada", "bob", "eve")


@dataclass(frozen=True)
class Person:
    """A user with a home folder that all hosts share."""

    name: str
    uid: int

    @property
    def home(self) -> str:
        return f"/home/{self.name}"

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": self.home, "USER": self.name, "LOGNAME": self.name, "SHELL": "/bin/bash"}


ROOT = Person("root", 0)


def make_people(count: int) -> list[Person]:
    """Return so many people: ada, bob, eve, learner04 …"""
    names = [*NAMES, *(f"learner{number:02d}" for number in range(len(NAMES) + 1, count + 1))][:count]
    return [Person(name, FIRST_UID + index) for index, name in enumerate(names)]


def write_accounts(folder: Path, people: list[Person]) -> None:
    """Add these to the users and groups that a folder like /etc already knows."""
    users = "".join(
        f"{person.name}:x:{person.uid}:{person.uid}::{person.home}:/bin/bash\n" for person in people
    )
    groups = "".join(f"{person.name}:x:{person.uid}:\n" for person in people)
    for name, lines in (("passwd", users), ("group", groups)):
        with (folder / name).open("a") as file:
            file.write(lines)
