"""What a build is lent, and no layer keeps: indexes, proxies, certificates and wheels, the same that set-up would use here."""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.launch.engine import as_csv

ENVIRONMENT = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_NO_INDEX",
    "http_proxy",
    "https_proxy",
    "no_proxy",
)
CERTIFICATES = ("PIP_CERT", "SSL_CERT_FILE")
PIP_CONFS = ("~/.config/pip/pip.conf", "~/.pip/pip.conf", "/etc/pip.conf")


@contextmanager
def build_secrets(wheels: Path) -> Iterator[list[str]]:
    """Yield the options of a build that lend it this person's configuration, and show it the wheels of PIP_FIND_LINKS."""
    with TemporaryDirectory() as folder, wheels_beside(wheels):
        environment = Path(folder) / "environment"
        environment.write_text(settings(), encoding="utf-8")
        files = {
            "environment": environment,
            "certificates": next(filter(None, map(file_of, CERTIFICATES)), None),
            "pip.conf": pip_conf(),
            "apt.conf": file_of("APT_CONFIG"),
        }
        yield [
            word
            for id_, file in files.items()
            if file
            for word in ("--secret", as_csv(f"id={id_}", f"src={file}"))
        ]


def settings() -> str:
    """Return the variables that decide where pip and apt look, as a shell script. A proxy's name counts in either case."""
    names = [name for wanted in ENVIRONMENT for name in {wanted, wanted.upper()} if os.environ.get(name)]
    return "".join(f"export {name}={shlex.quote(os.environ[name])}\n" for name in sorted(names))


def pip_conf() -> Path | None:
    """Return pip's configuration: the one that a variable names, else the first that means something in a container."""
    paths = [Path(path).expanduser() for path in PIP_CONFS]
    return file_of("PIP_CONFIG_FILE") or next(
        (file for file in paths if file.is_file() and not names_folders(file)), None
    )


def names_folders(conf: Path) -> bool:
    """Tell whether a configuration points to folders of this machine, which a build does not see."""
    return re.search(r"file:/|find-links\s*=\s*/", conf.read_text(encoding="utf-8")) is not None


def file_of(variable: str) -> Path | None:
    """Return the file that a variable names, if it is there."""
    file = Path(os.environ.get(variable, "")).expanduser()
    return file if file.is_file() else None


@contextmanager
def wheels_beside(wheels: Path) -> Iterator[None]:
    """Put the wheels of PIP_FIND_LINKS beside those that lie in docker/wheels, as long as the build lasts."""
    folders = [Path(path) for path in os.environ.get("PIP_FIND_LINKS", "").split()]
    sources = {wheels / wheel.name: wheel for folder in folders for wheel in folder.glob("*.whl")}
    missing = [target for target in sources if not target.exists()]
    try:
        for target in missing:
            link_or_copy(sources[target], target)
        yield
    finally:
        for target in missing:
            target.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy(source, target)
