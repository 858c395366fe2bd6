"""What lab 12 needs beside its lesson: operations to walk through, trunks with heads, cells, the truth."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from labs.kit.measure.memory import peak_bytes
from labs.m2_autograd._lab12_tools import (
    Loss,
    RecurrentCell,
    drawn,
    is_freed,
    kept_by,
    nodes_of,
    state_of,
    visited_nodes,
)

TRUNK, HEAD = 4, 4  # layers of the trunk, and of each head
OPTIMIZERS: dict[str, Any] = {
    "SGD": torch.optim.SGD,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "Adagrad": torch.optim.Adagrad,
}


def operations() -> dict[str, Loss]:
    """List operations on a matrix of 3 × 4."""
    c_NN, mask_NN = drawn(3, 4, seed=13), drawn(3, 4, seed=14) > 0
    return {
        "x + 1": lambda x: x + 1,
        "x.mean(0)": lambda x: x.mean(0),
        "x.view(12)": lambda x: x.view(12),
        "torch.cat((x, x))": lambda x: torch.cat((x, x)),
        "x.cumsum(0)": lambda x: x.cumsum(0),
        "x[0]": lambda x: x[0],
        "x[:1].expand(3, 4)": lambda x: x[:1].expand(3, 4),
        "torch.addcmul(x, c, c)": lambda x: torch.addcmul(x, c_NN, c_NN),
        "x * 2": lambda x: x * 2,
        "x * c": lambda x: x * c_NN,
        "x @ c.t()": lambda x: x @ c_NN.t(),
        "x.relu()": torch.relu,
        "x.abs()": torch.abs,
        "x.amax(0)": lambda x: x.amax(0),
        "x[[0]]": lambda x: x[[0]],
        "x.where(mask, 0)": lambda x: x.where(mask_NN, torch.zeros_like(c_NN)),
    }


def walk_twice(operation: Loss, x: Tensor) -> None:
    """Go backward twice through an operation, from random gradients."""
    leaf = x.detach().requires_grad_()
    y = operation(leaf)
    g = torch.rand_like(y)
    y.backward(g)
    y.backward(g)


def asked_twice(operation: Loss, x: Tensor) -> tuple[list[str], str]:
    """Look at what an operation's nodes keep, and ask for two walks through it."""
    kept = kept_by(*nodes_of(operation(x.detach().requires_grad_())))
    try:
        walk_twice(operation, x)
    except RuntimeError:
        return kept, "refused"
    return kept, "walked"


def walk_to(names: Sequence[str]) -> dict[str, tuple[bool, bool]]:
    """Build sin(exp(a)·w) + exp(b), walk to some of its inputs, and tell of each node: visited, freed."""
    inputs = {name: drawn(3, seed=seed).requires_grad_() for seed, name in enumerate("awb", 1)}
    exp_a, exp_b = torch.exp(inputs["a"]), torch.exp(inputs["b"])
    product = exp_a * inputs["w"]
    sine = torch.sin(product)
    y_N = sine + exp_b
    keeping = {"exp(a)": exp_a, "exp(a)·w": product, "sin": sine, "exp(b)": exp_b}
    nodes = {name: tensor.grad_fn for name, tensor in keeping.items()}
    walk = partial(y_N.backward, drawn(3), inputs=[inputs[name] for name in names])
    visited = visited_nodes(walk, nodes.values())
    return {name: (node in visited, is_freed(node)) for name, node in nodes.items()}


def far(got: Sequence[Tensor | None], want: Sequence[Tensor | None], dtype: torch.dtype) -> Tensor:
    """Tell how far gradients lie off, in units of the dtype's precision; of another kind, infinitely far."""
    found = [torch.zeros(0, dtype=torch.float64)]
    for ours, true in zip(got, want, strict=True):
        if ours is None or true is None:
            found.append(torch.full((1,), 0.0 if ours is true else torch.inf, dtype=torch.float64))
        elif (ours.shape, ours.dtype) != (true.shape, dtype):
            found.append(torch.full((true.numel(),), torch.inf, dtype=torch.float64))
        else:
            scale = max(1.0, true.abs().max().item()) * torch.finfo(dtype).eps
            found.append((ours.double() - true.double()).abs().flatten() / scale)
    return torch.cat(found)


# Trunks and heads -------------------------------------------------------------------------------------------


class Model(NamedTuple):
    """A trunk with heads: what computes its output, the heads' losses as functions of it, all parameters."""

    trunk: Callable[[], Tensor]
    losses: list[Loss]
    parameters: list[Tensor]
    walks: list[int]  # one entry for each time that a gradient came through the trunk


def model(heads: int, size: int, dtype: torch.dtype = torch.float64, *, blind: bool = False) -> Model:
    """Build a trunk and heads of four layers each; one `blind` head more does not look at the trunk."""
    parameters: list[Tensor] = [
        number.clone().requires_grad_() for number in drawn(1 + heads + blind, dtype=dtype)
    ]
    data_N, walks = drawn(size, dtype=dtype), list[int]()

    def trunk() -> Tensor:
        h_N = data_N * parameters[0]
        h_N.register_hook(lambda grad: walks.append(1))
        for _ in range(TRUNK - 1):
            h_N = torch.tanh(h_N)
        return h_N

    def head(place: int) -> Loss:
        weights_N = drawn(size, dtype=dtype, seed=20 + place)

        def loss(h_N: Tensor) -> Tensor:
            y_N = h_N * parameters[place]
            for _ in range(HEAD - 1):
                y_N = torch.tanh(y_N)
            return torch.dot(y_N, weights_N)

        return loss

    losses = [head(place) for place in range(1, heads + 1)]
    losses += [lambda h_N: parameters[-1] ** 2] if blind else []
    return Model(trunk, losses, parameters, walks)


SMALL_MODELS = (  # heads, size of an activation, dtype, and whether one head more does not look at the trunk
    (4, 5, torch.float64, False),
    (3, 7, torch.float32, True),
    (1, 1, torch.float64, False),
    (0, 3, torch.float64, True),
)


def errors_of_heads(way: Callable[[Tensor, Sequence[Loss]], None]) -> Tensor:
    """Compare the gradients that a way leaves with those of the sum of the losses, computed in float64."""
    found = []
    for heads, size, dtype, blind in SMALL_MODELS:
        ours, true = model(heads, size, dtype, blind=blind), model(heads, size, blind=blind)
        h_N = ours.trunk()
        before = state_of(h_N)
        way(h_N, ours.losses)
        h_true_N = true.trunk()
        total = torch.stack([loss(h_true_N) for loss in true.losses]).sum()
        want = torch.autograd.grad(total, true.parameters, allow_unused=True)
        gaps = far([number.grad for number in ours.parameters], want, dtype)
        kept = state_of(h_N) == before and not h_N.retains_grad
        found.append(gaps if kept else torch.full_like(gaps, torch.inf))
    return torch.cat(found)


def walks_and_peak(way: Callable[[Tensor, Sequence[Loss]], None], heads: int, size: int) -> tuple[int, float]:
    """Build a new trunk and go backward in this way: walks through the trunk, and the peak in activations."""
    built = model(heads, size, torch.float32)
    peak = peak_bytes(lambda: way(built.trunk(), built.losses))
    return len(built.walks), peak / (4 * size)


# States that are carried on ---------------------------------------------------------------------------------


def recurrence(dtype: torch.dtype = torch.float64) -> tuple[RecurrentCell, list[Tensor]]:
    """Build a cell tanh(x·W + h·U) of 5 inputs and a state of 7 numbers, and return its two weights too."""
    w_IH, u_HH = drawn(5, 7, dtype=dtype).requires_grad_(), (drawn(7, 7, dtype=dtype) / 2).requires_grad_()

    def cell(x_BI: Tensor, h_BH: Tensor) -> Tensor:
        return torch.tanh(x_BI @ w_IH + h_BH @ u_HH)

    return cell, [w_IH, u_HH]


def weighted(h_BH: Tensor) -> Tensor:
    """Compute a loss of a state: a sum with fixed weights that differ."""
    return (h_BH * drawn(*h_BH.shape, dtype=h_BH.dtype, seed=15)).sum()


def by_pieces(xs_TBI: Tensor, h_BH: Tensor, every: int) -> tuple[list[Tensor | None], Tensor]:
    """Compute what truncation should give, the other way round: all states first, then each piece by itself.

    Returns the sums of the pieces' gradients, and the last state.
    """
    cell, weights = recurrence(xs_TBI.dtype)
    with torch.no_grad():
        states = [h_BH]
        for x_BI in xs_TBI:
            states.append(cell(x_BI, states[-1]))
    sums: list[Any] = [None, None]
    for start in range(0, len(xs_TBI), every):
        state_BH, losses = states[start], []
        for x_BI in xs_TBI[start : start + every]:
            state_BH = cell(x_BI, state_BH)
            losses.append(weighted(state_BH))
        found = torch.autograd.grad(torch.stack(losses).sum(), weights)
        sums = [grad if total is None else total + grad for total, grad in zip(sums, found, strict=True)]
    return sums, states[-1].detach()


SEQUENCES = (  # steps, samples, cut every so many steps, dtype
    (7, 3, 3, torch.float64),
    (7, 3, 1, torch.float32),
    (5, 1, 9, torch.float64),
    (6, 2, 2, torch.float64),
    (0, 3, 2, torch.float64),
)


def errors_of_truncation(truncated: Callable[..., Tensor]) -> tuple[Tensor, list[int]]:
    """Compare gradients and last states with those of the pieces, and count the walks of each sequence."""
    found, counts = [], []
    for steps, samples, every, dtype in SEQUENCES:
        xs_TBI, h_BH = drawn(steps, samples, 5, dtype=dtype), drawn(samples, 7, dtype=dtype).requires_grad_()
        cell, weights = recurrence(dtype)
        walks: list[int] = []
        weights[1].register_hook(lambda grad, walks=walks: walks.append(1))
        before = state_of(xs_TBI, h_BH)
        last_BH = truncated(cell, weighted, xs_TBI, h_BH, every)
        sums, state_BH = by_pieces(xs_TBI.double(), h_BH.detach().double(), every)
        gaps = far([weights[0].grad, weights[1].grad, last_BH], [*sums, state_BH], dtype)
        kept = state_of(xs_TBI, h_BH) == before and not last_BH.requires_grad
        found.append(gaps if kept else torch.full_like(gaps, torch.inf))
        counts.append(len(walks))
    return torch.cat(found), counts


def gradient_of(truncated: Callable[..., Tensor], xs_TBI: Tensor, h_BH: Tensor, every: int) -> Tensor:
    """Truncate a sequence, and return all gradients side by side."""
    cell, weights = recurrence()
    truncated(cell, weighted, xs_TBI, h_BH, every)
    return torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])


class Trained(NamedTuple):
    """What a training left: the states, the recurrent weights of each step, and the last step's gradients."""

    states: list[Tensor]
    weights: list[Tensor]
    gradients: list[Tensor]


def by_hand(xs_TBI: Tensor, trained: Trained, weights: Sequence[Tensor]) -> list[Tensor]:
    """Walk back by hand from the last state's loss, in step t by weights[t], to the gradients of W and U."""
    states = trained.states
    slope_BH = drawn(*states[-1].shape, seed=15)
    grad_w, grad_u = torch.zeros_like(xs_TBI[0].t() @ slope_BH), torch.zeros_like(weights[0])
    for step in reversed(range(len(xs_TBI))):
        slope_BH = slope_BH * (1 - states[step + 1] ** 2)
        grad_w = grad_w + xs_TBI[step].t() @ slope_BH
        grad_u = grad_u + states[step].t() @ slope_BH
        slope_BH = slope_BH @ weights[step].t()
    return [grad_w, grad_u]


# A generator and its critic ---------------------------------------------------------------------------------


class Adversaries(NamedTuple):
    """A generator and a critic, a batch of noise and one of real samples."""

    weights: list[Tensor]  # of the generator
    generator: Loss
    critic: Loss
    noise_BI: Tensor
    real_BN: Tensor


def adversaries() -> Adversaries:
    """Build a generator of 3 numbers from 2, and a critic that gives each sample one number."""
    w_IN, c_NH, b_H = drawn(2, 3).requires_grad_(), drawn(3, 4).requires_grad_(), drawn(4)

    def generator(noise_BI: Tensor) -> Tensor:
        return torch.tanh(noise_BI @ w_IN)

    def critic(x_BN: Tensor) -> Tensor:
        return torch.tanh(x_BN @ c_NH) @ b_H

    return Adversaries([w_IN], generator, critic, drawn(5, 2), drawn(5, 3))


# Graphs that are kept ---------------------------------------------------------------------------------------


def differentiate(retained: bool | None, created: bool) -> tuple[bool, bool, float | None]:
    """Differentiate x³ at 2: tell whether its graph is left, whether the gradient has one, and its slope."""
    x = torch.tensor(2.0, requires_grad=True)
    y = x**3
    (slope,) = torch.autograd.grad(y, x, retain_graph=retained, create_graph=created)
    second = torch.autograd.grad(slope, x)[0].item() if slope.requires_grad else None
    return not is_freed(y.grad_fn), slope.requires_grad, second


def added_up(forward: Callable[[], Tensor], count: int, recorded: bool, walked: bool) -> Tensor:
    """Add up the losses of many steps, for a report, with or without a walk back from each."""
    total = torch.zeros(())
    with torch.set_grad_enabled(recorded):
        for _ in range(count):
            loss = forward()
            if walked:
                loss.backward()
            total = total + loss
    return total
