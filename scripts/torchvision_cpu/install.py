"""Install the import hook into the Python that runs this, but only if torchvision does not import without it.

.venv/bin/python scripts/torchvision_cpu/install.py
"""

import py_compile
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

SYMPTOM = "operator torchvision::nms does not exist"
FILES = ("_torchvision_cpu.py", "_torchvision_cpu.pth")


def main() -> int:
    here, site = Path(__file__).parent, Path(sysconfig.get_path("purelib"))
    for name in FILES:
        (site / name).unlink(missing_ok=True)
    error = import_error()
    if SYMPTOM in error:
        for name in FILES:
            shutil.copyfile(here / name, site / name)
        py_compile.compile(str(site / FILES[0]))  # .venv may be read-only for those who use it
        error = import_error()
        how = " (with the import hook for a CPU torch)"
    else:
        how = ""
    print(error or f"torchvision {version('torchvision')}{how}", file=sys.stderr if error else sys.stdout)
    return 1 if error else 0


def import_error() -> str:
    """Import torchvision in a fresh process, and return what went wrong."""
    tried = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, text=True)
    return tried.stderr.strip() if tried.returncode else ""


if __name__ == "__main__":
    sys.exit(main())
