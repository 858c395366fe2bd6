"""Where things lie: the checkout, and a person's own folder with `runs/` and `work/` in it."""

import glob
import os
import re
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labs.errors import UsageError
from labs.files import unused

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Home:
    """A person's own folder: `runs/` keeps every run, `work/` the exercises and what was passed."""

    root: Path

    @classmethod
    def from_environment(cls) -> "Home":
        """Return LABS_HOME, by default one's own checkout; beside a shared one, and in an image, $SCRATCH/labs or ~/labs."""
        chosen = os.environ.get("LABS_HOME")
        if chosen:
            return cls(_expanded(chosen))
        if (CHECKOUT / "Makefile").exists() and os.access(CHECKOUT, os.W_OK):
            return cls(CHECKOUT)
        return cls(Path(os.environ.get("SCRATCH") or Path.home()) / "labs")

    @property
    def runs(self) -> Path:
        return self.root / "runs"

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
        """Name the folder of a run that begins now, `runs/labNN/<time>-<launcher>`; one of the same second gets a number behind."""
        return unused(self.runs_folder(number) / f"{datetime.now():%Y-%m-%dT%H-%M-%S}-{launcher}")

    def found_runs(self, pattern: str) -> list[Path]:
        """Return what matches below runs/, sorted by time. What belongs to somebody else is no error: it is not there."""
        # Not Path.glob, which stumbles over such folders.
        return sorted(self.runs / name for name in glob.glob(pattern, root_dir=self.runs))

    def find_run(self, which: str) -> Path:
        """Return a run's folder by its path, its name, or its lab's number (the newest). Raises UsageError where there is none."""
        number = re.fullmatch(r"(?:lab)?[-_]?0*(\d{1,2})", which.strip().lower())
        if number:
            folders = [path for path in self.found_runs(f"lab{int(number[1]):02d}/*") if path.is_dir()]
        else:
            named = self.found_runs(f"lab*/{glob.escape(Path(which).name)}")
            folders = [path for path in (Path(which), *named) if _is_run(path)]
        if not folders:
            raise UsageError(
                f"there is no run {which} under {self.runs}\nname a lab by its number, or a run by its folder"
            )
        return folders[-1]


def _expanded(chosen: str) -> Path:
    try:
        return Path(chosen).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(
            f"LABS_HOME={chosen} leads nowhere: {error}\nname a folder, such as LABS_HOME=/some/folder"
        ) from None


def _is_run(folder: Path) -> bool:
    """Tell whether a run has begun here, or waits as a job."""
    return any(os.path.exists(folder / name) for name in ("run.json", "job.json"))


def revision() -> str:
    """Return the checkout's git revision, `-dirty` behind it where files differ; empty where there is no git.

    A container has neither git nor the checkout's history: it is told, by LABS_REVISION.
    """
    try:
        command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("LABS_REVISION", "")
