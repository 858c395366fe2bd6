"""The `labs` command in .venv. pip's own would obey PYTHONHOME and PYTHONPATH, and start a Python by a path that a renamed folder ends."""

from pathlib import Path

COMMAND = """\
#!/bin/sh
# Start the labs of the checkout in which this .venv lies, wherever that is now. -I: whatever is set for other Pythons, and lies around.
self=$0
while [ -L "$self" ]; do
    link=$(readlink "$self")
    case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
venv=$(CDPATH='' cd -- "${self%/*}/.." && pwd) || exit 2
labs=${venv%/*}/labs/__main__.py
if [ -f "$labs" ]; then
    exec "$venv/bin/python" -I "$labs" "$@"
fi
exec "$venv/bin/python" -I -m labs "$@"
"""


def write_command(venv: Path) -> None:
    """Put our own starter in the place of pip's; a run that is started meanwhile finds the one or the other, whole."""
    command = venv / "bin" / "labs"
    part = command.with_name(".labs.part")
    part.write_text(COMMAND, encoding="utf-8")
    part.chmod(0o755)
    part.replace(command)
