"""What can be fetched, for which labs, and what torchvision knows of it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from labs.errors import UsageError
from labs.places import torch_home

READ_BYTES = 2**20


class Source(NamedTuple):
    """Where a file comes from, and how it is known to be whole."""

    url: str
    algorithm: str  # sha256 or md5
    digest: str  # all of it, or, as in the names of torchvision's weights, its beginning

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[-1]

    def fits(self, file: Path) -> bool:
        """Tell whether a file is there, whole and unchanged."""
        if not file.is_file():
            return False
        sum_ = hashlib.new(self.algorithm, usedforsecurity=False)
        with file.open("rb") as opened:
            while data := opened.read(READ_BYTES):
                sum_.update(data)
        return sum_.hexdigest().startswith(self.digest)


@dataclass(frozen=True)
class Asset:
    """Weights of a network or a data set: its name, torchvision's name for it, its size, and the labs that use it where it is there."""

    name: str
    torchvision: str  # a member of a weights enum, or a class of torchvision.datasets
    megabytes: int
    labs: tuple[int, ...] = ()

    @property
    def is_weights(self) -> bool:
        return "Weights" in self.torchvision

    def sources(self) -> list[Source]:
        """Return its files. Imports torchvision."""
        if self.is_weights:
            from torchvision.models import get_weight

            url = str(get_weight(self.torchvision).url)
            return [Source(url, "sha256", url.rsplit("-", 1)[-1].removesuffix(".pth"))]
        from torchvision import datasets

        kind = getattr(datasets, self.torchvision)
        if hasattr(kind, "tgz_md5"):
            return [Source(kind.url, "md5", kind.tgz_md5)]
        return [
            Source(f"{kind.mirrors[0].rstrip('/')}/{name}", "md5", digest) for name, digest in kind.resources
        ]

    def place(self) -> Path:
        """Return the folder of its files: the one in which torchvision looks."""
        if self.is_weights:
            return torch_home() / "hub" / "checkpoints"
        return torch_home() / "datasets" / (f"{self.torchvision}/raw" if "MNIST" in self.torchvision else "")

    def there(self) -> bool:
        """Tell whether all its files are there, whole and unchanged."""
        return all(source.fits(self.place() / source.name) for source in self.sources())

    def unpack(self) -> None:
        """Let torchvision unpack a data set as it wants to read it."""
        if not self.is_weights:
            from torchvision import datasets

            getattr(datasets, self.torchvision)(
                torch_home() / "datasets", download=True
            )  # finds its files, and unpacks them


ASSETS = (
    Asset("resnet18", "ResNet18_Weights.IMAGENET1K_V1", 45, (28, 46)),
    Asset("vgg19", "VGG19_Weights.IMAGENET1K_V1", 548, (48,)),
    Asset("mnist", "MNIST", 12),
    Asset("cifar10", "CIFAR10", 170),
)


def select(names: Sequence[str]) -> list[Asset]:
    """Return the assets of these names, all where none is given. Raises UsageError for one that is not there."""
    known = {asset.name: asset for asset in ASSETS}
    for name in names:
        if name not in known:
            raise UsageError(f"there is nothing called {name} to fetch; choose from: {', '.join(known)}")
    return [known[name] for name in names] or list(ASSETS)
