"""Make .venv, with torch and everything else that the labs need; with `tools`, add what tests them and sets up clusters; with
`lock`, resolve the versions in constraints.txt anew.

`make setup` and `make lock` call this, `make help` lists the choices.

Any Python must be able to read this file, even 2.7: it finds one that is new enough, which does the work in its place, or
tells a person that theirs is too old.
"""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def oldest_version():
    # type: () -> tuple[int, ...]
    with open(os.path.join(ROOT, "versions.env")) as versions:
        line = next(line for line in versions if line.startswith("PYTHON_MIN="))
    return tuple(int(part) for part in line.split("=")[1].split("."))


def find_python(oldest):
    # type: (tuple[int, ...]) -> str | None
    """Look for a Python under names such as python3.12; the oldest that will do is the one that is tested most."""
    for minor in range(oldest[1], oldest[1] + 10):
        name = "python%d.%d" % (oldest[0], minor)
        try:
            # Run it: a version manager may keep a name on PATH that only says "not installed".
            answer = subprocess.check_output(
                [name, "-c", "import sys; print(sys.executable)"], stderr=subprocess.STDOUT
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return answer.decode().strip()
    return None


def choose_python(oldest, locks):
    # type: (tuple[int, ...], bool) -> str | None
    """Choose this Python if it is new enough, else a newer one; to lock, the oldest, whose pins suit every other."""
    is_new_enough = tuple(sys.version_info[:2]) >= oldest
    if is_new_enough and not locks:
        return sys.executable
    return find_python(oldest) or (sys.executable if is_new_enough else None)


def main():
    # type: () -> None
    """Hand over to the Python that does the work, or say in one sentence what to do."""
    oldest = oldest_version()
    python = choose_python(oldest, locks=sys.argv[1:] == ["lock"])
    if python is None:
        came, needed = [".".join(str(part) for part in version) for version in (sys.version_info[:3], oldest)]
        sys.stderr.write(
            "set-up: this is Python %s (%s) but the labs need %s or newer: install one and run `make setup PYTHON=/path/to/it`.\n"
            % (came, sys.executable, needed)
        )
        sys.exit(2)
    for name in [name for name in os.environ if name.startswith("PYTHON") and name != "PYTHON"]:
        del os.environ[name]  # set for another Python, and no affair of those that we start
    os.execv(python, [python, "-I", os.path.abspath(__file__)] + sys.argv[1:])


def set_up():
    # type: () -> None
    """Do the work, with modules of this Python and of the checkout, and of no other place."""
    import runpy

    os.chdir(ROOT)
    sys.path.insert(
        0, ROOT
    )  # before other checkouts that this Python knows, but only while our own package is found
    import scripts.environment  # noqa: F401

    sys.path.remove(ROOT)
    runpy.run_module("scripts.environment", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    set_up() if sys.flags.isolated and tuple(sys.version_info[:2]) >= oldest_version() else main()
