"""What a pod's sidecar has printed becomes files of the run folder: whole, checked, and nothing but files."""

import base64
import binascii
import hashlib
import io
import json
import re
import shutil
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from labs.launch.kubernetes.packing import LINE, MARK, MOST_BYTES

MOST_LINES = MOST_BYTES * 4 // 3 // LINE + 2
MOST_UNPACKED = 200 * 2**20  # bytes; a run writes well under 10 MiB
MOST_FILES = 5000
BEGIN = re.compile(r"begin node=(\d{1,6}) bytes=(\d{1,8}) sha256=([0-9a-f]{64}) left=(\d{1,9})")
RANK_LOG = re.compile(r"rank\d{1,7}\.log")
OWN = ("job.json", "k8s.json")  # which run this is, and where: no pod may say


class Damaged(Exception):
    """What came cannot be taken for a run's results; the text says why."""


@dataclass
class Results:
    """The results of one node, gathered line by line."""

    node: int
    nonce: str
    left_out: list[str] = field(default_factory=list)
    trouble: str = "nothing of them came"
    archive: bytes | None = None
    _begin: tuple[int, str] | None = None
    _lines: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return self.archive is not None

    def take(self, line: str) -> None:
        """Take a line of the sidecar's log. What is neither marked with this run's nonce nor awaited is passed over."""
        if self.whole:
            return
        marked = f"{MARK} {self.nonce} "
        if line.startswith(marked):
            self._marked(line.removeprefix(marked))
        elif self._begin and not line.startswith(MARK):
            self._lines.append(line)
            if len(self._lines) > MOST_LINES or len(line) > LINE:
                self._again("more came than was announced")

    def _marked(self, words: str) -> None:
        begin = BEGIN.fullmatch(words)
        if begin and int(begin[1]) == self.node and int(begin[2]) <= MOST_BYTES * 2:
            self._lines, self._begin = [], (int(begin[2]), begin[3])
            self.trouble = "their end did not come"
        elif words.startswith("left-out ") and len(self.left_out) < 100:
            self.left_out.append(_left_out(words))
        elif words == f"end node={self.node}" and self._begin:
            self._finish(*self._begin)

    def _finish(self, size: int, digest: str) -> None:
        try:
            found = base64.b64decode("".join(self._lines), validate=True)
        except (binascii.Error, ValueError):
            return self._again("they are no base64")
        if len(found) != size or hashlib.sha256(found).hexdigest() != digest:
            return self._again("their SHA-256 is another one than their node has announced")
        self.archive, self.trouble = found, ""
        return None

    def _again(self, trouble: str) -> None:
        self.trouble, self._begin, self._lines = trouble, None, []

    def unpack(self, folder: Path) -> None:
        """Put the files into the run folder, each whole or not at all. Raises Damaged, having put none there."""
        assert self.archive is not None
        part = folder / f".node{self.node}.part"
        shutil.rmtree(part, ignore_errors=True)
        try:
            _extract(self.archive, part)
            for path in sorted(part.rglob("*")):
                name = path.relative_to(part)
                if path.is_file() and self._ours(name):
                    (folder / name.parent).mkdir(mode=0o700, parents=True, exist_ok=True)
                    path.replace(folder / name)
        except (tarfile.TarError, OSError, EOFError, ValueError) as error:
            raise Damaged(str(error).splitlines()[0][:200] if str(error) else type(error).__name__) from None
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _ours(self, name: Path) -> bool:
        """Tell whether a file may come from this node: job.json from none, and rank logs alone from those behind the first."""
        return str(name) not in OWN and (self.node == 0 or bool(RANK_LOG.fullmatch(str(name))))


def _extract(data: bytes, part: Path) -> None:
    part.mkdir(mode=0o700)
    used = count = 0
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive:
            used, count = used + member.size, count + 1
            if used > MOST_UNPACKED or count > MOST_FILES:
                raise Damaged(f"they hold more than {MOST_UNPACKED // 2**20} MiB, or than {MOST_FILES} files")
            if member.isfile():
                archive.extract(member, part, filter="data")


def _left_out(words: str) -> str:
    """Return a file that was too large, for people: its name comes from a pod, so no control character of it stays."""
    _, size, name = words.split(" ", 2)
    try:
        shown = str(json.loads(name))
    except ValueError:
        shown = name
    clean = "".join(letter if letter.isprintable() else "?" for letter in shown)[:200]
    return f"{clean} ({int(size) / 1e6:.1f} MB)" if size.isdecimal() else clean
