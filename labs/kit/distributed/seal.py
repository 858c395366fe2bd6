"""Who wrote this? What ranks tell each other passes a store that any user of the network may reach, so each value is sealed.

A seal is an HMAC (RFC 2104) with SHA-256 over the value and the key that it stands under, by a random secret that only the
run's owner can read. What was written by somebody else, or copied from another key or run, is noticed before it is looked at.
"""

import hmac
import io
import os
import pickle
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch.distributed.distributed_c10d as c10d

SECRET_BYTES = 32
DIGEST_BYTES = 32  # SHA-256
NAME = re.compile(r"[0-9a-f]{16}")


class ForeignValue(BaseException):
    """A value that no rank of this run wrote. It ends the run: as a BaseException, since no lab may go on after it."""


class Seal:
    """Closes what one rank says under a key, and opens what others said there."""

    def __init__(self, secret: bytes = b"") -> None:
        self._secret = secret or secrets.token_bytes(SECRET_BYTES)

    def digest(self, key: str, content: bytes) -> bytes:
        return hmac.digest(self._secret, f"{len(key)}:{key}".encode() + content, "sha256")

    def closed(self, key: str, text: str) -> str:
        """Return a text with its seal before it."""
        return self.digest(key, text.encode()).hex() + text

    def opened(self, key: str, sealed: bytes) -> str:
        """Return the text. Raises ForeignValue, which does not show it, where no holder of the secret sealed it for this key."""
        digest, content = sealed[: 2 * DIGEST_BYTES], sealed[2 * DIGEST_BYTES :]
        if not hmac.compare_digest(digest, self.digest(key, content).hex().encode()):
            raise foreign(f"at {key!r}")
        return content.decode()

    def guard_objects(self) -> None:
        """Let torch's own collectives for objects open nothing but what a rank of this run sealed.

        `all_gather_object` and its like pickle what they send, and torch.distributed.checkpoint plans with them.
        """
        c10d._pickler, c10d._unpickler = _pickler(self), _unpickler(self)  # type: ignore[assignment]


def foreign(where: str) -> ForeignValue:
    """Return the one sentence that ends a run into which somebody else has written."""
    return ForeignValue(
        f"what stands {where} was not written by this run: somebody else reached its ranks over the network. "
        "It was not read, and the run ends here"
    )


def leave_secret(folder: Path) -> tuple[str, bytes]:
    """Write a new secret into a file that its owner alone can read, and return the file's name and the secret."""
    name, secret = secrets.token_hex(8), secrets.token_bytes(SECRET_BYTES)
    file = os.open(_place(folder, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(file, "wb") as out:
        out.write(secret)
    return name, secret


def find_secret(folder: Path, name: str) -> bytes:
    """Return the secret in a file that rank 0 left. Raises ForeignValue where the name can be none of ours, or the file is not."""
    if not NAME.fullmatch(name):
        raise foreign("in the place of the secret's name")
    try:
        file = os.open(_place(folder, name), os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        raise ForeignValue(
            f"rank 0 left this run's secret in {folder}, where this rank finds none ({error.strerror}): "
            "all nodes need one LABS_HOME on a shared file system"
        ) from None
    with open(file, "rb") as found:
        noted = os.fstat(file)
        if noted.st_uid != os.geteuid() or noted.st_mode & 0o077:
            raise foreign(f"in {folder} as the run's secret")
        return found.read()


def forget_secret(folder: Path, name: str) -> None:
    """Remove the file: whoever needs the secret has read it."""
    with suppress(OSError):
        _place(folder, name).unlink()


def _place(folder: Path, name: str) -> Path:
    return folder / f".secret-{name}"


def _pickler(seal: Seal) -> Callable[[io.BytesIO], Any]:
    class SealedPickler:
        def __init__(self, file: io.BytesIO) -> None:
            self.file = file

        def dump(self, value: object) -> None:
            content = pickle.dumps(value)
            self.file.write(seal.digest("object", content) + content)

    return SealedPickler


def _unpickler(seal: Seal) -> Callable[[io.BytesIO], Any]:
    class SealedUnpickler:
        def __init__(self, file: io.BytesIO) -> None:
            self.file = file

        def load(self) -> Any:
            digest, content = self.file.read(DIGEST_BYTES), self.file.read()
            if not hmac.compare_digest(digest, seal.digest("object", content)):
                raise foreign("in a collective for objects")
            return pickle.loads(content)

    return SealedUnpickler
