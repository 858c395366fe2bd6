"""Write into versions.env which very image each tag means today, as the registry says through the engine."""

import re
from pathlib import Path

from labs.errors import UsageError
from labs.files import write_whole
from labs.launch.engine import Engine
from scripts.environment.screen import say
from scripts.environment.torch_source import read_versions

VERSIONS = Path(__file__).parents[2] / "versions.env"
BASES = ("CPU_BASE", "GPU_BASE")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def pin(file: Path = VERSIONS) -> None:
    """Fetch what the images stand on, and write its digests into versions.env."""
    engine, versions = Engine.find(), read_versions(file)
    pinned = {name: digest(engine, versions[name].partition("@")[0]) for name in BASES}
    text = file.read_text(encoding="utf-8")
    for name, reference in pinned.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={reference}", text, flags=re.MULTILINE)
        say(f"image: {name} {'was' if versions[name] == reference else 'is now'} {reference}")
    write_whole(file, text)


def digest(engine: Engine, tag: str) -> str:
    """Return the tag with its digest behind it."""
    engine.run("pull", tag)
    references = engine.ask("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', tag).split()
    pairs = [name.split("@") for name in references]
    digests = {
        digest for name, digest in pairs if repository(name) == repository(tag) and DIGEST.fullmatch(digest)
    }
    if len(digests) != 1:
        raise UsageError(
            f"{engine.name} names {len(digests)} digests for {tag}, and one is needed\n"
            f"remove what else it has of this image with `{engine.name} rmi`, and try again"
        )
    return f"{tag}@{digests.pop()}"


def repository(name: str) -> str:
    """Return a name without its tag, and without what docker leaves out where podman says it."""
    return re.sub(r":[^/:]*$", "", name).removeprefix("docker.io/").removeprefix("library/")
