"""The labs' images: their names, and whether one holds the versions that a checkout asks for."""

import hashlib
import re
import sys
from pathlib import Path

from labs import home
from labs.errors import UsageError
from labs.launch.engine import Engine

TARGETS = ("cpu", "gpu")
PYTHON = "/opt/venv/bin/python"  # in every image, whatever it stands on
PINNED_BY = ("versions.env", "pyproject.toml", "constraints.txt")
PINS_LABEL = "labs.pins"


def name_of(target: str) -> str:
    """Return the name under which `make image` keeps a target."""
    return f"labs:{target}"


def is_ours(name: str) -> bool:
    """Tell whether this is a name that `make image` gives. Of that name a public registry has somebody else's image, or could."""
    repository = re.sub(r"(@[^/]*|:[^/:]*)$", "", name.removeprefix("docker://"))
    return repository.removeprefix("docker.io/").removeprefix("library/") == name_of("").rstrip(":")


def pins(checkout: Path) -> str:
    """Return a digest of what decides on an image's packages; empty where the labs are installed without a checkout."""
    files = [checkout / name for name in PINNED_BY]
    if not all(file.is_file() for file in files):
        return ""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def surroundings() -> dict[str, str]:
    """Return what a container is told of the checkout whose labs it runs."""
    return {"PYTHONPATH": str(home.CHECKOUT), "LABS_REVISION": home.revision()}


def check(engine: Engine, image: str) -> None:
    """Raise UsageError where the image is missing; say so where it was made from other versions than the checkout asks for."""
    made_from = engine.fact(image, f'{{{{index .Config.Labels "{PINS_LABEL}"}}}}')
    here = pins(home.CHECKOUT)
    if here and made_from and made_from != here:
        print(
            f"image: {image} was made from other versions than this checkout names; `make image` makes it anew",
            file=sys.stderr,
        )


def require_target(target: str) -> str:
    """Return the target if there is one of that name. Raises UsageError otherwise."""
    if target not in TARGETS:
        raise UsageError(f"TARGET={target[:20]} is not there; choose from: {', '.join(TARGETS)}")
    return target
