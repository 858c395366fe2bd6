"""Where things lie: the checkout, and a person's own folder with `runs/` and `work/` in it."""

import glob
import os
import re
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labs import ownership
from labs.errors import UsageError
from labs.files import read_json

RECORDS = ("run.json", "job.json")  # in a run's folder: what it found, and where it runs
PREFLIGHT = ".preflight-"
CHECKOUT = Path(__file__).resolve().parent.parent
OF_A_CHECKOUT = ("labs/catalog.py", "versions.env")


@dataclass(frozen=True)
class Home:
    """A person's own folder: `runs/` keeps every run, `work/` the exercises and what was passed."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Return LABS_HOME, by default one's own checkout; beside a shared one, and in an image, $SCRATCH/labs or ~/labs.

        Raises UsageError where it, or what lies in it, is in somebody else's hands.
        """
        home = cls(chosen_root())
        places = home.runs, *home.found_runs("lab*"), home.work, home.meetings
        ownership.check_home(home.root, places, owners_of(home.root))
        return home

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def meetings(self) -> Path:
        """Return where ranks leave a secret for one another that no node starter started."""
        return self.root / "meetings"

    @property
    def work(self) -> Path:
        return self.root / "work"

    def work_file(self, number: int) -> Path:
        """Return the learner's file for a lab, `work/lab07.py`."""
        return self.work / f"lab{number:02d}.py"

    def runs_folder(self, number: int) -> Path:
        """Return the folder of all runs of a lab, `runs/lab07`."""
        return self.runs / f"lab{number:02d}"

    def run_folder(self, number: int, launcher: str) -> Path:
        """Name the folder of a run that begins now, `runs/labNN/<time>-<launcher>`. `files.made_anew` makes it, for one run alone."""
        return self.runs_folder(number) / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{launcher}"

    def found_runs(self, pattern: str) -> list[Path]:
        """Return what matches below runs/, sorted by time. What belongs to somebody else is no error: it is not there."""
        # Not Path.glob, which stumbles over such folders.
        return sorted(self.runs / name for name in glob.glob(pattern, root_dir=self.runs))

    def all_runs(self, number: int | None = None) -> list[Path]:
        """Return the folders of all runs, or of those of one lab, sorted by lab and time."""
        labs = "lab[0-9]*" if number is None else self.runs_folder(number).name
        found = {path.parent for name in RECORDS for path in self.found_runs(f"{labs}/*/{name}")}
        return sorted(folder for folder in found if folder.parent.name.removeprefix("lab").isdecimal())

    def preflight_folder(self) -> Path:
        """Name the folder of a preflight that begins now; it is kept only where the preflight goes on by itself."""
        return self.runs / f"{PREFLIGHT}{datetime.now():%Y-%m-%dT%H-%M-%S}"

    def preflights(self) -> list[Path]:
        """Return the folders of the preflights that went on by themselves, from the oldest to the newest."""
        return [path.parent for path in self.found_runs(f"{PREFLIGHT}*/job.json")]

    def find_run(self, which: str) -> Path:
        """Return a run's folder by its lab's number (the newest), its job's number, its path or its name; `preflight` is the last one.

        A number that could be both is a lab's; `job7` is always a job. Raises UsageError where there is no such run.
        """
        found = self._runs_of_lab(which) or self._runs_of_job(which) or self._runs_named(which)
        found = found or (self.preflights() if which == "preflight" else [])
        if not found:
            raise UsageError(
                f"there is no run {which} under {self.runs}\nname a lab by its number, a job by its number, or a run by its folder"
            )
        return found[-1]

    def _runs_of_lab(self, which: str) -> list[Path]:
        number = re.fullmatch(r"(?:lab)?[-_]?0*(\d{1,2})", which.strip().lower())
        folders = self.found_runs(f"lab{int(number[1]):02d}/*") if number else []
        return [path for path in folders if path.is_dir()]

    def _runs_of_job(self, which: str) -> list[Path]:
        number = re.fullmatch(r"(?:job)?[-_]?(\d+)", which.strip().lower())
        noted = (
            [*self.found_runs("lab*/*/job.json"), *self.found_runs(f"{PREFLIGHT}*/job.json")]
            if number
            else []
        )
        return [path.parent for path in noted if number and read_json(path).get("id") == number[1]]

    def _runs_named(self, which: str) -> list[Path]:
        named = self.found_runs(f"lab*/{glob.escape(Path(which).name)}")
        return [path for path in (Path(which), *named) if _is_run(path)]


def chosen_root() -> Path:
    """Return the folder that holds a person's runs and work. Raises UsageError where LABS_HOME leads nowhere."""
    chosen = os.environ.get("LABS_HOME")
    if chosen:
        return _expanded(chosen)
    if (CHECKOUT / "Makefile").exists() and os.access(CHECKOUT, os.W_OK):
        return CHECKOUT
    return Path(os.environ.get("SCRATCH") or Path.home()) / "labs"


def _expanded(chosen: str) -> Path:
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(
            f"LABS_HOME={chosen} leads nowhere: {error}\nname a folder, such as LABS_HOME=/some/folder"
        ) from None


def other_checkout() -> Path | None:
    """Return the checkout in which the person is, where that is another one than these labs'."""
    with suppress(OSError):  # the current folder was removed, or may not be read
        here = Path.cwd()
        found = (
            folder
            for folder in (here, *here.parents)
            if all((folder / name).is_file() for name in OF_A_CHECKOUT)
        )
        folder = next(found, CHECKOUT)
        return None if folder.samefile(CHECKOUT) else folder
    return None


def owners_of(place: Path) -> set[int]:
    """Return whose files may be at a place: one's own; in a checkout also those of its owner, whose code is run anyway."""
    return {os.geteuid()} | ({CHECKOUT.stat().st_uid} if place.is_relative_to(CHECKOUT) else set())


def _is_run(folder: Path) -> bool:
    """Tell whether a run has begun here, or waits as a job."""
    return any(os.path.exists(folder / name) for name in RECORDS)


def revision() -> str:
    """Return the checkout's git revision, `-dirty` behind it where files differ; empty where there is no git.

    A container has neither git nor the checkout's history: it is told, by LABS_REVISION.
    """
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("LABS_REVISION", "")
