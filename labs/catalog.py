"""Which labs there are. A lab's number, titles and needs stand in its own header; this module reads no further than that."""

import csv
import math
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from labs.errors import UsageError

PACKAGE = Path(__file__).resolve().parent
PLANNED = PACKAGE / "planned.csv"
MODULES = {
    "m1_tensors": "Tensors",
    "m2_autograd": "Autograd internals",
    "m3_data": "Data engineering",
    "m4_architecture": "Architecture",
    "m5_training": "Training and optimization",
    "m6_production": "Ecosystem and production",
    "m7_bonus": "Experiments and curiosities",
}
SECTIONS = ("Question", "You will see", "Run", "Needs", "Builds on", "Remember", "Sources", "Notebook")

_TITLES = re.compile(r"Lab (?P<number>\d+) · (?P<title>[^·\n]+) · (?P<title_pl>[^·\n]+)")
_SECTION = re.compile(
    rf"^({'|'.join(SECTIONS)}):[ \t]*\n?(.*?)(?=^(?:{'|'.join(SECTIONS)}):|\Z)", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Entry:
    """One of the labs. `path` is None, and `sections` empty, as long as the lab is planned."""

    number: int
    module: str
    title: str
    title_pl: str
    notebook: str
    needs: str
    path: Path | None = None
    sections: dict[str, str] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.path is not None

    @property
    def processes(self) -> int:
        """Return on how many processes the lab runs where nobody asks for a number: the first one in its needs."""
        found = re.match(r"(\d+) process", self.needs)
        return int(found[1]) if found else 1

    @property
    def distributed(self) -> bool:
        """Tell whether the lab's needs say that it also runs on more processes, and so works in a process group."""
        return " or more" in self.needs.partition(",")[0]

    @property
    def processes_to_judge(self) -> int:
        """Return on how many processes mistakes are tried: those of a run, but two where the lab also runs on more than one."""
        return max(self.processes, 2) if self.distributed else 1

    @property
    def memory_gib(self) -> int:
        """Return how much memory the lab's needs name, in GiB; 0 where they name none."""
        found = re.search(r"(\d+) GiB", self.needs)
        return int(found[1]) if found else 0

    def memory_of_node(self, processes: int) -> int:
        """Return how many GiB a node needs for so many processes: what the lab's needs name is for its usual number of them."""
        usual = self.memory_gib or 2
        return max(usual, math.ceil(usual * processes / self.processes))

    @property
    def uses_gpu(self) -> bool:
        """Tell whether the lab's needs name a GPU."""
        return "no GPU" not in self.needs

    @property
    def import_name(self) -> str:
        return f"labs.{self.module}.{file_stem(self.notebook)}"


def file_stem(notebook: str) -> str:
    """Turn the lesson's original name into its file's: `01_Storage_vs_View` into `lab01_storage_vs_view`."""
    return "lab" + notebook.lower().replace("-", "_")


def first_string(path: Path) -> str:
    """Return a file's first triple-quoted string, reading line by line and stopping where it ends."""
    taken: list[str] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            taken.append(line)
            if "".join(taken).count('"""') >= 2:
                break
    parts = "".join(taken).split('"""')
    if len(parts) < 3:
        raise ValueError(f"{path.name} does not start with a header in triple quotes")
    return parts[1]


def read_header(path: Path) -> Entry:
    """Read one lab's header. Raises ValueError where a title or a section is missing."""
    text = first_string(path)
    titles = _TITLES.match(text)
    if titles is None:
        raise ValueError(f"{path.name}: the first line must read 'Lab NN · English title · Polish title'")
    sections = {
        name: re.sub(r"^ {4}", "", body, flags=re.MULTILINE).strip() for name, body in _SECTION.findall(text)
    }
    missing = [name for name in SECTIONS if not sections.get(name)]
    if missing:
        raise ValueError(f"{path.name}: the header lacks {', '.join(missing)}")
    notebook = sections["Notebook"].removesuffix(".ipynb")
    names = {key: value.strip() for key, value in titles.groupdict().items() if key != "number"}
    return Entry(
        int(titles["number"]),
        path.parent.name,
        **names,
        notebook=notebook,
        needs=sections["Needs"],
        path=path,
        sections=sections,
    )


def read_planned() -> list[Entry]:
    """Read the labs that are not written yet."""
    with PLANNED.open(encoding="utf-8", newline="") as rows:
        return [
            Entry(
                int(row["number"]),
                row["module"],
                row["title_en"],
                row["title_pl"],
                row["notebook"],
                row["where"],
            )
            for row in csv.DictReader(rows)
        ]


@cache
def all_labs() -> dict[int, Entry]:
    """Return every lab, ready or planned, by number in ascending order."""
    written = [read_header(path) for path in sorted(PACKAGE.glob("m*_*/lab[0-9]*.py"))]
    entries = {entry.number: entry for entry in (*read_planned(), *written)}
    return dict(sorted(entries.items()))


def find(wanted: str) -> Entry:
    """Return the lab that a person means by `1`, `01`, `lab01` or `lab-1`. Raises UsageError with what is allowed."""
    labs = all_labs()
    digits = re.fullmatch(r"(?:lab[-_]?)?0*(\d{1,4})", wanted.strip().lower())
    if digits is None or int(digits[1]) not in labs:
        raise UsageError(
            f"there is no lab {wanted!r}; labs are numbered {min(labs)} to {max(labs)}\nsee them with: labs list"
        )
    return labs[int(digits[1])]


def find_ready(wanted: str) -> Entry:
    """Return a lab that is there to be run. Raises UsageError where it is only planned."""
    entry = find(wanted)
    if not entry.ready:
        ready = ", ".join(str(number) for number, lab in all_labs().items() if lab.ready)
        raise UsageError(
            f"lab {entry.number:02d}, {entry.title}, is planned and not written yet; these can be run: {ready}"
        )
    return entry
