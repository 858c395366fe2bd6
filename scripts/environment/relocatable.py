"""A .venv that may be renamed or copied together with its checkout. Python and pip write its path into it; this takes it out again.

What cannot do without, the activation of a shell, refuses where the path is no longer true, until set-up has written it anew.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

# As pip writes it for paths that no #! line takes: a shell runs the first line, Python reads it as a string.
FINDS_ITS_PYTHON = """\
#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0" 2>/dev/null || printf %s "$0")")/python" "$0" "$@"
' '''
"""
GUARD = """\
# labs: a shell is activated for one place.
labs_made_at={place} labs_is_at=
case ${BASH_SOURCE-} in */*) labs_is_at=${BASH_SOURCE%/*} ;; esac
if [ -n "${ZSH_VERSION-}" ]; then eval 'labs_is_at=${${(%):-%x}%/*}'; fi
if [ -n "$labs_is_at" ] && ! [ "$labs_is_at" -ef "$labs_made_at/bin" ]; then
    echo "this .venv was made as $labs_made_at, and was moved or copied since: say make setup in its checkout first" >&2
    return 2
fi
unset labs_made_at labs_is_at
# labs: end
"""
GUARDED = re.compile(r"\A# labs: .*?^# labs: end\n", re.MULTILINE | re.DOTALL)


def loosen(venv: Path, root: Path) -> None:
    """Take this .venv's path out of its commands, and the checkout's out of what leads to the labs."""
    # The second is pip's way for a path that no #! line takes.
    python = rb"[^\n]*/" + re.escape(venv.name).encode() + rb"/bin/python[0-9.]*"
    fixed = re.compile(
        rb"#!(?:" + python + rb"|/bin/sh\n'''exec' \"?" + python + rb"\"? \"\$0\" \"\$@\"\n' ''')\n"
    )
    for script in scripts_of(venv):
        whole = script.read_bytes()
        if fixed.match(whole):
            write(script, fixed.sub(lambda _: FINDS_ITS_PYTHON.encode(), whole, count=1))
    for leads in venv.glob("lib/python*/site-packages/*.pth"):
        if leads.read_text(encoding="utf-8").strip() == str(root):
            up = "/".join([".."] * len(leads.parent.relative_to(venv.parent).parts))
            write(leads, f"{up}\n".encode())  # site.py takes it from where the file lies
    guard(venv)


def guard(venv: Path) -> None:
    """Let `source .venv/bin/activate` refuse, in bash and zsh, where this .venv is no longer what it was made as."""
    activate = venv / "bin" / "activate"
    if activate.exists():
        text = GUARDED.sub("", activate.read_text(encoding="utf-8"))
        write(activate, (GUARD.replace("{place}", shlex.quote(str(venv))) + text).encode())


def settle(venv: Path, old: Path) -> None:
    """Put this .venv's path in the place of the one that it had in an old checkout, wherever one is needed."""
    before, now = (str(folder).encode() for folder in (old / venv.name, venv))
    for file in (*venv.glob("bin/[Aa]ctivate*"), venv / "pyvenv.cfg"):
        if file.is_file():
            write(file, file.read_bytes().replace(before, now))
    guard(venv)


def scripts_of(venv: Path) -> Iterator[Path]:
    for file in (venv / "bin").iterdir():
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as opened:
                if opened.read(2) == b"#!":
                    yield file


def write(file: Path, content: bytes) -> None:
    """Write a file anew, so that whoever runs it meanwhile has the one or the other whole."""
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    part.chmod(file.stat().st_mode)
    part.replace(file)
