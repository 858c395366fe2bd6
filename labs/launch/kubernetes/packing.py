"""Run in the pod, beside the node, when the node has ended: print what the run has left, as text that a log can carry.

python -m labs.launch.kubernetes.packing FOLDER
"""

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

MARK = "labs-results 1"  # followed by the run's nonce, which no program of the learner's knows
MOST_BYTES = 6_000_000  # of the archive: in base64 that is 8 MB, and a log is cut at 10 MiB
LINE = 8000  # characters
NAMED = 20  # files that were left out and are named
READ = 2**20
FIRST = ("run.json", "log.txt", "report.html")


def chosen(folder: Path, node: int, most_bytes: int = MOST_BYTES) -> tuple[list[Path], list[Path]]:
    """Return which files go into the archive, and which are left out since they are too large. Nodes behind the first have logs alone."""
    found = folder.glob("rank*.log") if node else folder.rglob("*")
    files = [path for path in found if path.is_file() and not path.is_symlink()]
    files.sort(key=lambda path: (path.name not in FIRST, path.stat().st_size))
    taken, left, used = [], [], 0
    for path in files:
        size = _packed_size(path)
        if used + size <= most_bytes:
            used += size
            taken.append(path)
        else:
            left.append(path)
    return taken, left


def lines(folder: Path, node: int, nonce: str, most_bytes: int = MOST_BYTES) -> Iterator[str]:
    """Yield the lines that carry a folder: what was left out, a beginning with the archive's size and SHA-256, base64, an end."""
    taken, left = chosen(folder, node, most_bytes)
    for path in left[:NAMED]:
        named = json.dumps(str(path.relative_to(folder)))
        yield f"{MARK} {nonce} left-out {path.stat().st_size} {named}"
    archive = _archive(folder, taken)
    digest = hashlib.sha256(archive).hexdigest()
    yield f"{MARK} {nonce} begin node={node} bytes={len(archive)} sha256={digest} left={len(left)}"
    text = base64.b64encode(archive).decode()
    yield from (text[start : start + LINE] for start in range(0, len(text), LINE))
    yield f"{MARK} {nonce} end node={node}"


def main() -> None:
    folder, node = Path(sys.argv[1]), int(os.environ["JOB_COMPLETION_INDEX"])
    for line in lines(folder, node, os.environ["NONCE"]):
        print(line)


def _packed_size(path: Path) -> int:
    """Return about how much a file adds to an archive, without holding it in memory."""
    squeezing, size = zlib.compressobj(), 1024
    with path.open("rb") as file:
        while size <= MOST_BYTES and (part := file.read(READ)):
            size += len(squeezing.compress(part))
    return size + len(squeezing.flush())


def _archive(folder: Path, files: list[Path]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for path in files:
            archive.add(path, arcname=str(path.relative_to(folder)), recursive=False)
    return whole.getvalue()


if __name__ == "__main__":
    main()
