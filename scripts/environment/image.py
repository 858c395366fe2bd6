"""Fill the venv of an image, by the steps of `make setup` and from the same pins. docker/Dockerfile calls this.

TORCH=cpu python3 -m scripts.environment.image /opt/venv
"""

import os
import shutil
import sys
from pathlib import Path

from scripts.environment.install import RUNTIME, install
from scripts.environment.pip import Pip
from scripts.environment.screen import SetupError, say
from scripts.environment.torch_source import choose, read_versions

ROOT = Path(__file__).parents[2]


def main() -> int:
    venv = Path(sys.argv[1])
    pip = Pip(venv)
    try:
        versions = read_versions(ROOT / "versions.env")
        ending = install(ROOT, venv, choose(os.environ["TORCH"], "", versions), versions, extras=RUNTIME)
        if not pip.versions("deepspeed"):
            raise SetupError(
                "an image without DeepSpeed would be another one every time; pip's own words are above."
            )
    except SetupError as error:
        say(pip.log.read_text(encoding="utf-8"))  # a build keeps no files when it fails
        say(f"image: {error}")
        return 2
    slim(venv)
    pip.log.unlink()  # it may name a site's own servers
    say(f"image: {ending}")
    return 0


def slim(venv: Path) -> None:
    """Remove the packages' own tests, a tenth of everything."""
    (site,) = venv.glob("lib/python*/site-packages")
    for folder in [site / "torch" / "test", *site.rglob("tests")]:
        if folder.is_dir():
            shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
