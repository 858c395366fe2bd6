"""What lab 47 needs beside its lesson: the digits, dealt, and the pictures of those that are misread."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from labs.kit.draw.diagrams import Cell, Cells, Row
from labs.kit.topics.data import digits

TEST = 500  # images that no network trains on
FLAT = [5, 40]  # pixels that neither a straight nor a bent network looks at
Images = list[list[Tensor]]


class Dealt(NamedTuple):
    """Images and labels, for training and for testing."""

    train_NCHW: Tensor
    train_N: Tensor
    x_NCHW: Tensor
    y_N: Tensor


def dealt() -> Dealt:
    """Deal 1,797 handwritten digits: 500 for testing, the others for training."""
    images_NCHW, labels_N = digits()
    order_N = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(47))
    images_NCHW, labels_N = images_NCHW[order_N], labels_N[order_N]
    return Dealt(images_NCHW[TEST:], labels_N[TEST:], images_NCHW[:TEST], labels_N[:TEST])


def fooled_digits(
    model: nn.Sequential, data: Dealt, x_adv_NCHW: Tensor, count: int = 8
) -> tuple[Images, list[str], list[str]]:
    """Show digits that were read rightly and no longer are: what was added, at full contrast, and the sum."""
    was_N, is_N = model(data.x_NCHW).argmax(1), model(x_adv_NCHW).argmax(1)
    fooled_N = (was_N == data.y_N) & (is_N != data.y_N)
    places = fooled_N.int().argsort(descending=True, stable=True)[:count].tolist()
    change_NCHW = x_adv_NCHW - data.x_NCHW
    grey_NCHW = 0.5 + change_NCHW / (2 * change_NCHW.abs().max())
    rows = [[images[place, 0] for place in places] for images in (data.x_NCHW, grey_NCHW, x_adv_NCHW)]
    return rows, [f"{was_N[place]} → {is_N[place]}" for place in places], ["digit", "change", "sum"]


def steered_digits(
    model: nn.Sequential,
    data: Dealt,
    targeted: Callable[..., Tensor],
    epsilon: float = 4 / 16,
    steps: int = 40,
) -> tuple[Images, list[str], list[str]]:
    """Show a few digits steered to every class; where the network does not follow, the place stays empty."""
    some = [int((data.y_N == digit).nonzero()[0]) for digit in (1, 3, 4, 7)]
    x_NCHW, rows = data.x_NCHW[some], [[image_CHW[0]] for image_CHW in data.x_NCHW[some]]
    for target in range(10):
        steered_NCHW = targeted(model, x_NCHW, torch.full((len(some),), target), epsilon, steps)
        for row, image_CHW, label in zip(rows, steered_NCHW, model(steered_NCHW).argmax(1), strict=True):
            row.append(image_CHW[0] if label == target else torch.ones(8, 8))
    columns = ["digit", *(f"as {target}" for target in range(10))]
    return rows, columns, [str(int(data.y_N[place])) for place in some]


def straight(classes: int) -> nn.Sequential:
    """Make a network whose answer can be found with a pencil: one linear layer, in float64.

    Two of its pixels weigh nothing in any class, so that nothing is gained by moving them.
    """
    layer = nn.Linear(64, classes).double()
    with torch.no_grad():
        layer.weight[:, FLAT] = 0.0
    return nn.Sequential(nn.Flatten(), layer).requires_grad_(False)


def bent(classes: int) -> nn.Sequential:
    """Make a small network with ReLUs, in float64: on the way through the box its gradient turns.

    It does not look at two of its pixels, as the straight one.
    """
    layers = nn.Linear(64, 32).double(), nn.Linear(32, classes).double()
    with torch.no_grad():
        layers[0].weight[:, FLAT] = 0.0
    return nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1]).requires_grad_(False)


def corner(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor, wrong_N: Tensor, epsilon: float) -> Tensor:
    """Find the best change of all for a straight network of two classes, without any gradient.

    Its margin is a sum over pixels, so each pixel goes to the end of its own range: up where the wrong class
    has the larger weight, down where the right one has. Where both weigh the same, nothing moves.
    """
    gain_NP = model[1].weight[wrong_N] - model[1].weight[y_N]  # type: ignore[index]
    direction_NCHW = gain_NP.sign().view_as(x_NCHW)
    return (x_NCHW + epsilon * direction_NCHW).clamp(0, 1)


def shares_of(gradient_W: Tensor, coins_W: Tensor) -> Cells:
    """Draw the shares g·δ of a row of pixels in percent, for the gradient's signs and for a coin's."""
    drawn = []
    for name, signs_W in (("sign of g", gradient_W.sign()), ("a coin", coins_W)):
        shares_W = 100 * gradient_W * signs_W / gradient_W.abs().sum()
        drawn.append(Row(name, ["+" if sign > 0 else "−" if sign < 0 else "0" for sign in signs_W]))
        cells = [Cell(f"{share:+.0f}", tone=3 if share > 0 else 2 if share < 0 else 0) for share in shares_W]
        drawn.append(Row(f"shares, sum {shares_W.sum():+.0f}", cells))
    return Cells(drawn)
