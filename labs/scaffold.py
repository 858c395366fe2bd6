"""Make a lab that runs at once: a small lesson about something else, whose form is kept while its content is exchanged."""

import csv
import re
from contextlib import suppress
from pathlib import Path
from string import Template

from labs import catalog
from labs.catalog import Entry
from labs.errors import UsageError
from labs.files import write_whole

TEMPLATES = catalog.PACKAGE / "templates"
LONGEST = 45  # characters of a title, so that the header is one line of at most 110
HIGHEST = 99  # two digits, as in every file's name and claim's id
NEEDS = {
    "cpu": "1 process, no GPU, 1 GiB of memory, 1 minute",
    "cpu gpu": "1 process, a GPU for some of the claims, 1 GiB of memory, 1 minute",
    "cpu dist": "1 process or more, no GPU, 1 GiB of memory, 1 minute",
    "cpu gpu dist": "1 process or more, a GPU for some of the claims, 1 GiB of memory, 1 minute",
    "dist": "2 processes or more, no GPU, 2 GiB of memory, 1 minute",
}


def make(number: str, title: str, title_pl: str, module: str) -> list[Path]:
    """Write a lab's file, its known mistakes and its test, all or nothing, and return their paths.

    What `labs/planned.csv` says of the lab moves into its header.
    """
    root = catalog.PACKAGE.parent
    if not (root / "Makefile").exists():
        raise UsageError(
            f"{root} is no checkout of the labs, and only there a new lab makes sense\nclone the repository first"
        )
    entry = _entry(_number(number), title.strip(), title_pl.strip(), module.strip())
    stem = catalog.file_stem(entry.notebook)
    names = {
        "NN": f"{entry.number:02d}", "title": entry.title, "title_pl": entry.title_pl, "module": entry.module, "stem": stem,
        "notebook": entry.notebook, "needs": NEEDS[entry.needs],
    }  # fmt: skip
    folder = catalog.PACKAGE / entry.module
    package = {} if (folder / "__init__.py").exists() else {folder / "__init__.py": ""}
    files = package | {
        folder / f"{stem}.py": Template(_template("lab")).substitute(names),
        folder / f"_lab{entry.number:02d}_mutants.py": Template(_template("mutants")).substitute(names),
        root / "tests" / entry.module / f"test_{stem}.py": Template(_template("test")).substitute(names),
    }
    _write(files, _planned_without(entry.number))
    return list(files)


def _number(text: str) -> int:
    digits = re.fullmatch(r"(?:lab)?[-_]?0*(\d{1,2})", text.strip().lower())
    if digits is None or not 1 <= int(digits[1]) <= HIGHEST:
        raise UsageError(
            f"{text!r} is no number for a lab; give a whole number from 1 to {HIGHEST}, such as 51"
        )
    return int(digits[1])


def _entry(number: int, title: str, title_pl: str, module: str) -> Entry:
    """Return what the new lab is called and where it belongs: as planned, or as the arguments say."""
    known = catalog.all_labs().get(number)
    if known and known.ready:
        raise UsageError(f"lab {number:02d}, {known.title}, is already there: {known.path}")
    if known and (title or title_pl or module):
        raise UsageError(
            f"lab {number:02d} is planned: {known.title}, in {known.module}\n"
            f"leave titles and module out, or change its row in {catalog.PLANNED}"
        )
    if known:
        return known
    missing = [
        name
        for name, value in (("--title", title), ("--title-pl", title_pl), ("--module", module))
        if not value
    ]
    if missing:
        raise UsageError(f"lab {number:02d} is not among the planned ones, so give also {', '.join(missing)}")
    if module not in catalog.MODULES:
        raise UsageError(f"--module={module} is not there; choose from: {', '.join(catalog.MODULES)}")
    for name, value in (("--title", title), ("--title-pl", title_pl)):
        if re.search(r'[·"\\\n]', value) or not re.search("[A-Za-z]", value) or len(value) > LONGEST:
            raise UsageError(
                f'{name}={value} makes no good header; give letters, {LONGEST} characters at most, and none of · " \\'
            )
    return Entry(number, module, title, title_pl, f"{number:02d}_{_slug(title)}", "cpu")


def _slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", title).strip("_")


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")


def _planned_without(number: int) -> str | None:
    """Return planned.csv without a lab's row; None where it has none."""
    lines = catalog.PLANNED.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if next(csv.reader([line]))[0] != str(number)]
    return "".join(kept) if len(kept) < len(lines) else None


def _write(files: dict[Path, str], planned: str | None) -> None:
    """Write all files, none of which may be there, and last planned.csv; undo everything where one write fails."""
    made: list[Path] = []
    path = catalog.PACKAGE
    try:
        for path, text in files.items():
            made += _folders(path.parent)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
        if planned is not None:
            write_whole(catalog.PLANNED, planned)
    except BaseException as error:
        _remove(made)
        if isinstance(error, OSError):
            raise UsageError(f"cannot write {path}: {error.strerror}\nnothing was made") from None
        raise


def _folders(folder: Path) -> list[Path]:
    """Make a folder and those above it, and return the ones that are new."""
    new = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return list(reversed(new))


def _remove(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
