"""Pretrained weights, where somebody fetched them. A lab also runs without, and always shows which it used."""

import torch
from torch import Tensor

from labs.fetch.assets import select
from labs.kit.runner.lab import Lab


def pretrained(lab: Lab, name: str) -> dict[str, Tensor] | None:
    """Return the weights of a network that `labs fetch` knows, such as "resnet18"; None where they are not here, whole and unchanged.

    Either way the run gets a table that says so. What a lab then claims of pretrained weights it notes as `lab.not_measured`.
    """
    asset = select([name])[0]
    (source,) = asset.sources()
    file = asset.place() / source.name
    here = source.fits(file)
    used = (
        (asset.torchvision, f"{source.algorithm} {source.digest}…")
        if here
        else ("random", f"labs fetch {name} brings {asset.torchvision}")
    )
    lab.table("Weights", ["network", "used", "from"], [(name, *used)])
    return dict(torch.load(file, map_location="cpu", weights_only=True)) if here else None
