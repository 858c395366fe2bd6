"""Write into versions.env which very image each tag means today, as the registry says through the engine."""

import re
from pathlib import Path

from labs.errors import UsageError
from labs.launch.engine import Engine
from scripts.environment.screen import say
from scripts.environment.torch_source import read_versions

VERSIONS = Path(__file__).parents[2] / "versions.env"
BASES = ("CPU_BASE", "GPU_BASE")
DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})$")


def pin() -> None:
    """Fetch what the images stand on, and write its digests into versions.env."""
    engine, versions = Engine.find(), read_versions(VERSIONS)
    found = {name: digest(engine, versions[name].partition("@")[0]) for name in BASES}
    text = VERSIONS.read_text(encoding="utf-8")
    for name, pinned in found.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={pinned}", text, flags=re.MULTILINE)
        say(f"image: {name} {'was' if versions[name] == pinned else 'is now'} {pinned}")
    VERSIONS.write_text(text, encoding="utf-8")


def digest(engine: Engine, tag: str) -> str:
    """Return the tag with its digest behind it."""
    engine.run("pull", tag)
    named = engine.ask("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', tag).split()
    digests = {match[1] for name in named if (match := DIGEST.search(name))}
    if len(digests) != 1:
        said = f"{engine.name} names {len(digests)} digests for {tag}, and one is needed"
        raise UsageError(f"{said}\npull it from a registry, under this name alone")
    return f"{tag}@{digests.pop()}"
