"""Models, batches and chains of layers on which lab 09 tries its steps, and what is right, by hand."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from labs.kit.draw.diagrams import WARN, Edge, Graph, Node

Batch = tuple[Tensor, Tensor]
LAYER, WEIGHT = 1, 3  # tones
EPS = 2**-10  # of BatchNorm, so that variances of 4, 16 and 1 stay exact


class Interrupted(Exception):
    """What goes wrong in the middle of an evaluation."""


class LossSum:
    """Σ (x − y)² + x over a batch. It notes whether x has a graph, and fails at a call if it is told to."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.fail_at = fail_at
        self.graphs: list[bool] = []

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        if len(self.graphs) == self.fail_at:
            raise Interrupted
        self.graphs.append(output.requires_grad)
        return loss_of(output, target)

    def __repr__(self) -> str:
        return "Σ (x − y)² + x" + (
            "" if self.fail_at is None else f", which fails at call {self.fail_at + 1}"
        )


def loss_of(x: Tensor, y: Tensor) -> Tensor:
    """Compute a loss that would be another one if its arguments were exchanged."""
    return ((x - y) ** 2 + x).sum()


@dataclass
class Evaluation:
    """A model in some state, batches of whole numbers, and whether the caller has the graph switched on."""

    name: str
    model: nn.Module
    batches: list[Batch]
    loss_sum: LossSum = field(default_factory=LossSum)
    graph: bool = True
    found: float | str = "not run"
    left_graph: bool | None = None  # whether the graph was on afterwards

    def told(self) -> list[Any]:
        """Write out what was found, of which type, whether a graph was made, and how all was left."""
        return [
            self.name,
            type(self.found).__name__,
            self.found,
            any(self.loss_sum.graphs),
            self.left_graph,
            *self.state(),
        ]

    def state(self) -> list[Any]:
        """Return all of the model that an evaluation could change."""
        tensors = [*self.model.named_parameters(), *self.model.named_buffers()]
        values = [
            (name, tensor.tolist(), tensor.requires_grad, tensor.grad is None) for name, tensor in tensors
        ]
        return [*values, *(module.training for module in self.model.modules())]

    def by_hand(self, state: list[Any]) -> list[Any]:
        """Compute the same from the layers' formulas: whole numbers and halves, none of them rounded."""
        losses = [
            float(loss_of(formula(self.model, x), y))
            for batch in self.batches
            for x, y in zip(*batch, strict=True)
        ]
        right: float | str = sum(losses) / len(losses) if self.loss_sum.fail_at is None else "Interrupted"
        return [self.name, type(right).__name__, right, False, self.graph, *state]


def formula(module: nn.Module, x: Tensor) -> Tensor:
    """Apply a module to one sample by the formula of its kind, as in `eval()`."""
    if isinstance(module, nn.Sequential):
        for part in module:
            x = formula(part, x)
    elif isinstance(module, nn.Linear):
        x = (module.weight.detach() * x).sum(1) + module.bias.detach()
    elif isinstance(module, nn.BatchNorm1d):
        assert module.running_mean is not None
        assert module.running_var is not None
        x = (x - module.running_mean) / (
            module.running_var + EPS
        ).sqrt() * module.weight.detach() + module.bias.detach()
    return x


def whole(*shape: int, most: int = 3) -> Tensor:
    """Draw whole numbers, as float64."""
    return torch.randint(-most, most + 1, shape).double()


def network(*, norm: bool = True) -> nn.Sequential:
    """Make a network that a mode changes, of whole numbers; in training BatchNorm needs two samples."""
    middle = nn.BatchNorm1d(3, eps=EPS) if norm else nn.Linear(3, 3)
    inner = nn.Sequential(middle, nn.Dropout(0.5))
    model = nn.Sequential(nn.Linear(5, 3), inner, nn.Dropout(0.3), nn.Linear(3, 2)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(whole(*parameter.shape))
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(whole(3))
            if name.endswith("running_var"):
                buffer.copy_(torch.tensor([4.0, 16.0, 1.0]) - EPS)
    return model


def evaluations() -> list[Evaluation]:
    """Return models in all kinds of states: training, in part or not, without the graph, with a failure."""

    def batches(*sizes: int) -> list[Batch]:
        return [(whole(size, 5), whole(size, 2)) for size in sizes]

    frozen_norm, evaluating, inner_only = network(), network().eval(), network().eval()
    frozen_norm[1].eval()
    inner_only[1].train()
    large = torch.tensor([[2**24 + 1]])
    return [
        Evaluation("identity", nn.Identity(), [(whole(1, 1), whole(1, 1)), (whole(2, 1), whole(2, 1))]),
        Evaluation("whole numbers above 2²⁴", nn.Identity(), [(large, torch.tensor([[0]]))]),
        Evaluation("training", network(), batches(5, 3, 2)),
        Evaluation("batches of 5, 3 and 1", network(norm=False), batches(5, 3, 1)),
        Evaluation("an empty batch", network(norm=False), batches(4, 0, 1)),
        Evaluation("BatchNorm frozen in eval()", frozen_norm, batches(2, 5)),
        Evaluation("evaluating already", evaluating, batches(3, 2)),
        Evaluation("only its middle training", inner_only, batches(2, 4)),
        Evaluation("inside no_grad", network(), batches(3, 2), graph=False),
        Evaluation("fails at the second batch", network(), batches(2, 3), LossSum(fail_at=1)),
        Evaluation("fails inside no_grad", frozen_norm, batches(2, 3), LossSum(fail_at=0), graph=False),
    ]


@dataclass
class Chain:
    """Layers in a row, the places of the frozen ones, what goes in, and the gradient that comes back."""

    layers: list[nn.Module]
    frozen: set[int]
    x: Tensor
    grad: Tensor

    def linears(self) -> list[tuple[int, nn.Linear]]:
        """Return the linear layers in order, those inside others too, each with its place in the chain."""
        return [
            (place, module)
            for place, layer in enumerate(self.layers)
            for module in layer.modules()
            if isinstance(module, nn.Linear)
        ]

    def parameters(self) -> dict[str, nn.Parameter]:
        """Return every parameter once, by name."""
        return dict(nn.ModuleList(self.layers).named_parameters())

    def wanted(self) -> dict[str, Tensor]:
        """Return what requires a gradient: parameters by their flags, and the input."""
        everything: dict[str, Tensor] = {**self.parameters(), "x": self.x}
        return {name: tensor for name, tensor in everything.items() if tensor.requires_grad}

    def told(self, y: Tensor) -> list[Any]:
        """Write out a result, the gradient that each tensor gets, and the state in which all is left."""
        wanted = self.wanted()
        found: Sequence[Tensor | None] = [None] * len(wanted)
        if y.requires_grad and wanted:
            found = torch.autograd.grad(
                y, list(wanted.values()), self.grad, retain_graph=True, allow_unused=True
            )
        return [y.dtype, y.tolist(), *zip(wanted, map(listed, found), strict=True), *self.state()]

    def state(self) -> list[Any]:
        """Return the flag of each parameter, what stands in its `.grad`, and how often it was written to."""
        return [
            (name, parameter.requires_grad, listed(parameter.grad), parameter._version)
            for name, parameter in self.parameters().items()
        ]

    def by_products(self, state: list[Any]) -> list[Any]:
        """Compute the same from products: y = x·Wᵀ + b, and back g·W for x, gᵀ·x for W, g for b."""
        inputs, y = [], self.x.detach()
        for _, layer in self.linears():
            inputs.append(y)
            y = (y[:, None, :] * layer.weight.detach()).sum(2)
            y = y if layer.bias is None else y + layer.bias.detach()
        sums: dict[Tensor, Tensor] = {}
        grad = self.grad
        for (place, layer), x in reversed(list(zip(self.linears(), inputs, strict=True))):
            if place not in self.frozen:
                add(sums, layer.weight, (grad[:, :, None] * x[:, None, :]).sum(0))
                add(sums, layer.bias, grad.sum(0))
            grad = (grad[:, :, None] * layer.weight.detach()).sum(1)
        sums[self.x] = grad
        found = [(name, listed(sums.get(tensor))) for name, tensor in self.wanted().items()]
        return [y.dtype, y.tolist(), *found, *state]


def add(sums: dict[Tensor, Tensor], tensor: Tensor | None, grad: Tensor) -> None:
    """Add to the gradient of a tensor, if there is one."""
    if tensor is not None:
        sums[tensor] = sums[tensor] + grad if tensor in sums else grad


def listed(tensor: Tensor | None) -> Any:
    """Return a tensor as lists of numbers."""
    return tensor if tensor is None else tensor.tolist()


def linear(inputs: int, outputs: int, *, bias: bool = True, earlier: bool = False) -> nn.Linear:
    """Make a linear layer of whole numbers; `earlier` leaves something in the weight's `.grad`."""
    layer = nn.Linear(inputs, outputs, bias=bias).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_(whole(*parameter.shape))
    if earlier:
        layer.weight.grad = torch.full_like(layer.weight, 9.0)
    return layer


def chains(count: int) -> list[Chain]:
    """Return chains with a trap each, and random ones: of 1 to 4 layers, none, some or all of them frozen."""
    shared, fixed, mixed = linear(3, 3, bias=False), linear(5, 2), linear(2, 3)
    fixed.requires_grad_(False)
    mixed.bias.requires_grad_(False)
    nested = nn.Sequential(linear(3, 2), linear(2, 5))
    single = [layer.float() for layer in (linear(2, 3), linear(3, 1))]
    special = [
        Chain([linear(1, 1, bias=False) for _ in range(3)], {1}, whole(1, 1), whole(1, 1)),
        Chain([linear(3, 5, earlier=True), fixed, mixed], {0, 2}, whole(2, 3), whole(2, 3)),
        Chain([linear(2, 3), nested, fixed, linear(2, 1, earlier=True)], {1, 3}, whole(3, 2), whole(3, 1)),
        Chain([shared, linear(3, 3), shared], {0}, whole(2, 3), whole(2, 3)),
        Chain([linear(2, 5), linear(5, 3)], {0, 1}, whole(4, 2).requires_grad_(), whole(4, 3)),
        Chain([linear(2, 5), linear(5, 3)], {0, 1}, whole(4, 2), whole(4, 3)),
        Chain([linear(2, 3), linear(3, 5)], {0}, whole(0, 2), whole(0, 5)),
        Chain(list(single), {1}, whole(3, 2).float(), whole(3, 1).float()),
    ]
    return [*special, *(_random_chain() for _ in range(count))]


def _random_chain() -> Chain:
    """Draw a chain of linear layers."""
    sizes = random.choices((1, 2, 3, 5), k=random.randint(2, 5))
    layers: list[nn.Module] = [
        linear(*pair, bias=random.random() < 0.5, earlier=random.random() < 0.5) for pair in pairwise(sizes)
    ]
    frozen = {place for place in range(len(layers)) if random.random() < 0.5}
    batch = random.choice((1, 2, 3))
    x = whole(batch, sizes[0]).requires_grad_(random.random() < 0.3)
    return Chain(layers, frozen, x, whole(batch, sizes[-1]))


class Use(NamedTuple):
    """An operation on w, which requires a gradient, and t, and what that gradient is."""

    apply: Callable[[Tensor, Tensor, Tensor], Tensor]
    gradient: str


USES = {
    "w + t": Use(lambda w, t, places: w + t, "g"),
    "w − t": Use(lambda w, t, places: w - t, "g"),
    "cat([w, t])": Use(lambda w, t, places: torch.cat([w, t]), "a piece of g"),
    "where(t > 1, w, t)": Use(lambda w, t, places: torch.where(t > 1, w, t), "g where t > 1"),
    "(w − t).abs()": Use(lambda w, t, places: (w - t).abs(), "g · sign(w − t)"),
    "w * t": Use(lambda w, t, places: w * t, "g · t"),
    "w / t": Use(lambda w, t, places: w / t, "g / t"),
    "t / w": Use(lambda w, t, places: t / w, "−g · t / w²"),
    "w @ t": Use(lambda w, t, places: w @ t, "g · t"),
    "maximum(w, t)": Use(lambda w, t, places: torch.maximum(w, t), "g where w > t"),
    "mse_loss(w, t)": Use(lambda w, t, places: nn.functional.mse_loss(w, t), "2g · (w − t) / n"),
    "w[places]": Use(lambda w, t, places: w[places], "g, at the places"),
    "w * t.clone()": Use(lambda w, t, places: w * t.clone(), "g · (the clone)"),
}


class Kept:
    """What a node keeps in the place of a tensor; it dies when the node does, so it must not lead to it."""

    def __init__(self, layer: int, tensor: Tensor) -> None:
        self.layer = layer
        self.tensor = tensor.detach()


class Arm(NamedTuple):
    """What became of a chain: the norm of each weight's gradient, gradients that came back, bytes kept."""

    norms: list[float | None]
    passed: set[int]  # the layers to whose results a gradient came
    kept: list[int]  # for each layer, besides the weights and the data, which live anyway

    @property
    def learning(self) -> list[int]:
        """Return the numbers of the layers whose weights got a gradient."""
        return [number for number, norm in enumerate(self.norms, 1) if norm is not None]


Through = Callable[[list[nn.Module], set[int], Tensor], Tensor]
SIZES = (5, 7, 3, 2)  # numbers that go into each of three layers, and come out of the last


def bytes_by_layer(kept: Iterable[Kept], besides: list[Tensor]) -> list[int]:
    """Add up what each of three layers keeps; what two of them keep belongs to the first."""
    known = {tensor.untyped_storage().data_ptr() for tensor in besides}
    storages: dict[int, tuple[int, int]] = {}
    for one in sorted(kept, key=lambda one: -one.layer):
        storage = one.tensor.untyped_storage()
        storages[storage.data_ptr()] = one.layer, 0 if storage.data_ptr() in known else storage.nbytes()
    return [sum(size for layer, size in storages.values() if layer == place) for place in range(3)]


def watched(through: Through, held: set[int], batch: int) -> Arm:
    """Send a batch through three layers and a gradient back; note what is kept, and who gets a gradient."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        layers = [nn.Sequential(nn.Linear(SIZES[at], SIZES[at + 1]), nn.Tanh()) for at in range(3)]
        x, grad = torch.randn(batch, SIZES[0]), torch.randn(batch, SIZES[-1])
    kept: WeakSet[Kept] = WeakSet()
    passed: set[int] = set()
    done: list[int] = []

    def put_aside(tensor: Tensor) -> Kept:
        kept.add(found := Kept(len(done), tensor))
        return found

    def note(place: int, layer: nn.Module, inputs: Any, result: Tensor) -> None:
        done.append(place)
        if result.requires_grad:
            result.register_hook(lambda grad: passed.add(place))

    for place, layer in enumerate(layers):
        layer.register_forward_hook(partial(note, place))
    with saved_tensors_hooks(put_aside, lambda found: found.tensor):
        y = through(list(layers), held, x)
    weights: list[Tensor] = [layer.get_parameter("0.weight") for layer in layers]
    sizes = bytes_by_layer(kept, [x, *weights])
    if y.requires_grad:
        y.backward(grad)
    norms = [None if weight.grad is None else float(weight.grad.norm()) for weight in weights]
    return Arm(norms, passed, sizes)


def chain_pictured(name: str, arm: Arm) -> Graph:
    """Draw the way back through three layers, solid where a gradient came, and what each layer keeps."""
    boxes = {"loss": Node(3, 0, f"{name}: loss")}
    edges = []
    for place, norm in enumerate(arm.norms):
        layer, weight = f"layer {place}", f"weight {place}"
        after = "loss" if place == 2 else f"layer {place + 1}"
        boxes[layer] = Node(place, 0, f"layer {place + 1} keeps {arm.kept[place]}", LAYER)
        boxes[weight] = Node(place, 1, f"weight {place + 1}", 0 if norm is None else WEIGHT)
        edges.append(Edge(after, layer, tone=LAYER if place in arm.passed else WARN))
        edges.append(
            Edge(layer, weight, "none" if norm is None else f"{norm:.2f}", WARN if norm is None else WEIGHT)
        )
    legend = {
        LAYER: "a gradient goes back; a layer keeps so many bytes",
        WEIGHT: "and reaches a weight: its norm",
        WARN: "none comes",
    }
    return Graph(boxes, edges, legend)
