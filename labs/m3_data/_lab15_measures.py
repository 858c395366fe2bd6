"""What lab 15 measures besides: a training and its time, how far samples moved, who reads what."""

from functools import partial
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from labs.kit.draw.diagrams import WARN, Cell, Cells, Row
from labs.kit.measure.timing import seconds
from labs.m3_data._lab15_helpers import BATCH

Origin = tuple[int, int, int]  # the rank and the worker that read a sample, and the sample's number


class Trained(NamedTuple):
    """What a training leaves: the weights, and the loss of each batch before the model learnt from it."""

    weights_D: Tensor
    losses: list[float]


def trained(loader: DataLoader[Tensor], features: int) -> Trained:
    """Train a linear model for one epoch on what a loader gives.

    Squares are summed and divided by B in every batch, also in the short last one, so that no sample counts
    more than another. With the rate η = B/(B + D + 1) a batch of random features leaves of the loss

        1 − 2η + η²·(1 + (D + 1)/B) = 1 − η,   on average.
    """
    model = torch.nn.Linear(features, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    rate = BATCH / (BATCH + features + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate / 2)
    losses = []
    for batch_BF in loader:
        error_B = model(batch_BF[:, 2:]).squeeze(1) - batch_BF[:, 1]
        losses.append(error_B.detach().square().mean().item())
        optimizer.zero_grad()
        (error_B.square().sum() / BATCH).backward()
        optimizer.step()
    return Trained(model.weight.detach().squeeze(0), losses)


def seconds_per_epoch(loaders: dict[str, DataLoader[Tensor]], features: int) -> dict[str, float]:
    """Time an epoch of training on each loader, in turn, and take the median of three."""
    rounds = [
        [seconds(partial(trained, each, features), calls=1) for each in loaders.values()] for _ in range(3)
    ]
    return dict(zip(loaders, map(median, zip(*rounds, strict=True)), strict=True))


def thinned(series: dict[str, list[float]], count: int) -> tuple[range, dict[str, list[float]]]:
    """Take 17 points or a few more of series of `count` or more."""
    places = range(0, count, count // 16)
    return places, {name: [values[place] for place in places] for name, values in series.items()}


def mean_displacement(order: list[int]) -> float:
    """Measure by how many places the samples 0, 1, 2 … moved, on average."""
    order_N = torch.tensor(order, dtype=torch.float64)
    moved = (order_N - torch.arange(len(order))).abs().mean().item()
    return moved


def who_reads(title: str, origins: list[Origin], ranks: int, workers: int) -> Cells:
    """Draw who read which sample: each worker in its colour, what was read before in the warning's."""
    rows, seen = [], set[int]()
    for place in range(ranks * workers):
        rank, worker = divmod(place, workers)
        own = [number for *reader, number in origins if reader == [rank, worker]]
        cells = [Cell(str(number), tone=WARN if number in seen else place % 6 + 1) for number in own]
        seen.update(own)
        rows.append(Row(f"{title}, r{rank} w{worker}", cells))
    return Cells(rows)
