"""Write the README's table of labs from the labs' own headers; with `--check`, only say whether it is up to date."""

import re
import sys
from itertools import groupby
from pathlib import Path

from labs import catalog
from labs.catalog import Entry

README = Path(__file__).resolve().parent.parent / "README.md"
PLACES = {"cpu": "CPU", "gpu": "GPU", "dist": "several processes"}


def labs_table() -> str:
    """Return the labs by module, each with its question and its needs, in Markdown."""
    entries = list(catalog.all_labs().values())
    ready = sum(entry.ready for entry in entries)
    parts = [f"{ready} of {len(entries)} labs are written so far; the others are planned."]
    for module, members in groupby(sorted(entries, key=lambda entry: (entry.module, entry.number)), key=lambda entry: entry.module):
        rows = "\n".join(row(entry) for entry in members)
        parts.append(f"**{catalog.MODULES[module]}**\n\n| lab | title | question | needs |\n| --- | --- | --- | --- |\n{rows}")
    return "\n\n".join(parts)


def row(entry: Entry) -> str:
    """Return one lab as a row of the table."""
    if entry.path is None:
        places = ", ".join(PLACES[place] for place in entry.needs.split())
        return f"| {entry.number:02d} | {entry.title} | *planned* | {places} |"
    where = f"{entry.path.relative_to(catalog.PACKAGE.parent).as_posix()}"
    return f"| {entry.number:02d} | [{entry.title}]({where}) | {cell(entry.sections['Question'])} | {cell(entry.needs)} |"


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def renewed(text: str) -> str:
    """Return the README with what stands between its markers made anew. Raises ValueError where there are no markers."""
    found = re.search(r"(?<=<!-- labs -->\n).*?(?=<!-- /labs -->)", text, re.DOTALL)
    if found is None:
        raise ValueError("README.md lacks the lines <!-- labs --> and <!-- /labs -->")
    return f"{text[: found.start()]}\n{labs_table()}\n\n{text[found.end() :]}"


def main(arguments: list[str]) -> int:
    """Write the README, or with --check return 1 where it would change."""
    text = README.read_text(encoding="utf-8")
    try:
        wanted = renewed(text)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    if arguments != ["--check"]:
        README.write_text(wanted, encoding="utf-8")
        return 0
    if text != wanted:
        print("README.md: its table of labs is not up to date; run: make readme", file=sys.stderr)
    return int(text != wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
