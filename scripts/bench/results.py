"""Results as files in bench/: the figures, and on what they were measured."""

import json
import os
import platform
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from labs.files import write_whole
from scripts.bench.figures import Figure

FOLDER = Path(__file__).resolve().parents[2] / "bench"
Load = tuple[float, float, float]


def document(figures: list[Figure], record: dict[str, Any], load: list[Load]) -> dict[str, Any]:
    """Return what is kept. `record` is a lab's, of the same machine; the load is uptime's, at the start and at the end."""
    about = {name: record.get(name) for name in ("git", "machine", "versions")}
    date = f"{datetime.now():%Y-%m-%d}"
    return {"date": date, **about, "load": load, "figures": [asdict(figure) for figure in figures]}


def keep(results: dict[str, Any], about: str = "") -> None:
    """Write results; later ones about the same, of the same day on a like machine, take their place."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{'-'.join(filter(None, (results['date'], about, machine_name())))}.json"
    write_whole(path, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    print(f"kept in {path.parent.name}/{path.name}")


def machine_name() -> str:
    """Name the machine by its kind, never by its host name."""
    return f"{platform.system()}-{platform.machine()}-{os.cpu_count()}-cores".lower()
