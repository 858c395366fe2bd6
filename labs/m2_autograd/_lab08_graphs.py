"""Formulas for lab 08, recordings of them, nodes that note their calls, and pictures of graphs."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple
from weakref import WeakSet

import torch
from torch import Tensor
from torch.autograd.graph import get_gradient_edge, saved_tensors_hooks
from torch.nn import functional

from labs.kit.draw.diagrams import Edge as Line
from labs.kit.draw.diagrams import Graph
from labs.kit.draw.diagrams import Node as Box

SHAPES = ((), (1,), (7,), (5, 3), (2, 1, 3), (3, 1, 2, 5))
ROWS = 3  # results of each `unbind`
OPERATION, LEAF, KEPT = 1, 3, 2  # tones

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "sin": torch.sin,
    "tanh": torch.tanh,
    "double": lambda x: 2 * x,
    "sum": torch.sum,
    "stack": lambda *tensors: torch.stack(tensors),
    "unbind": torch.unbind,
    "t": torch.t,
    "addmm": torch.addmm,
    "relu": torch.relu,
    "log_softmax": partial(torch.log_softmax, dim=1),
    "nll_loss": functional.nll_loss,
}
BINARY, UNARY = ("add", "sub", "mul", "mul"), ("sin", "tanh", "double")


class Leaf(NamedTuple):
    """A tensor that a formula starts from."""

    name: str
    shape: tuple[int, ...] | None = None  # None: that of the formula
    requires_grad: bool = True


class Step(NamedTuple):
    """One line of a formula: an operation, and the names of what it is applied to."""

    operation: str
    operands: tuple[str, ...]


@dataclass(frozen=True)
class Formula:
    """Leaves, and lines of one operation each, whose results are called t1, t2 …; the last is the result."""

    leaves: tuple[Leaf, ...]
    steps: tuple[Step, ...]
    shape: tuple[int, ...] = (7,)

    @cached_property
    def results(self) -> dict[str, tuple[int, int]]:
        """Return for the name of each result which line makes it, and which of that line's results it is."""
        made: dict[str, tuple[int, int]] = {}
        for line, step in enumerate(self.steps):
            for number in range(ROWS if step.operation == "unbind" else 1):
                made[f"t{len(made) + 1}"] = line, number
        return made

    @property
    def text(self) -> str:
        """Return the formula as one would write it down, line by line."""
        names: dict[int, list[str]] = {}
        for name, (line, _) in self.results.items():
            names.setdefault(line, []).append(name)
        told = [
            f"{', '.join(names[line])} = {step.operation}({', '.join(step.operands)})"
            for line, step in enumerate(self.steps)
        ]
        return "; ".join(told if len(told) < 12 else [*told[:2], "…", told[-1]])

    def line(self, label: str) -> str:
        """Write the operation of a node as in mathematics, with dots for what other lines have computed."""
        step = self.steps[self.results[label][0]]
        operands = [name if name not in self.results else "…" for name in step.operands]
        signs = {"add": " + ", "sub": " − ", "mul": " · "}
        if step.operation in signs:
            return signs[step.operation].join(operands)
        return (
            f"2 · {operands[0]}" if step.operation == "double" else f"{step.operation}({', '.join(operands)})"
        )

    def counted(self) -> tuple[list[str], list[tuple[str, str, int]], int]:
        """Read a formula's graph off its text, without any graph: nodes, edges, operands without a gradient.

        An operation has a node where something that requires a gradient goes into it, and belongs to the
        graph where the result hangs on it. Its node is called after its first result, a leaf's after the
        leaf.
        """
        makers = {name: (name, 0) for name, _, wanted in self.leaves if wanted}
        for name, (line, number) in self.results.items():
            if any(operand in makers for operand in self.steps[line].operands):
                makers[name] = self.firsts[line], number
        nodes, edges, idle = {self.firsts[-1]: None}, [], 0
        waiting = [self.firsts[-1]]
        while waiting:
            node = waiting.pop()
            if node not in self.results:
                continue
            step = self.steps[self.results[node][0]]
            slots = (
                step.operands[:1] if step.operation == "nll_loss" else step.operands
            )  # a class is no number
            used = [makers[operand] for operand in slots if operand in makers]
            edges += [(node, *maker) for maker in used]
            waiting += dict.fromkeys(maker for maker, _ in used if maker not in nodes)
            nodes |= dict.fromkeys(maker for maker, _ in used)
            idle += len(slots) - len(used) + (step.operation == "double")  # the 2 is an operand as well
        return sorted(nodes), sorted(edges), idle

    @cached_property
    def firsts(self) -> list[str]:
        """Return the name of each line's first result, by which its node is called."""
        return [name for name, (_, number) in self.results.items() if number == 0]


FORMULA = Formula(
    (Leaf("x"), Leaf("w")),
    (
        Step("mul", ("x", "w")),
        Step("sin", ("t1",)),
        Step("double", ("x",)),
        Step("add", ("t2", "t3")),
        Step("sum", ("t4",)),
    ),
)


ROWS_USED = Formula(
    (Leaf("m", (ROWS, 7)),),
    (Step("unbind", ("m",)), Step("sin", ("t1",)), Step("tanh", ("t3",)), Step("mul", ("t4", "t5"))),
)


def squarings(count: int) -> Formula:
    """Square x so many times: x², x⁴, x⁸ …"""
    names = ["x", *(f"t{place}" for place in range(1, count))]
    return Formula((Leaf("x"),), tuple(Step("mul", (name, name)) for name in names))


def network(batch: int) -> Formula:
    """Write Linear(4, 5), ReLU, Linear(5, 2) and the loss as operations that have one node each."""
    leaves = (
        Leaf("data", (batch, 4), requires_grad=False),
        Leaf("w1", (5, 4)),
        Leaf("b1", (5,)),
        Leaf("w2", (2, 5)),
        Leaf("b2", (2,)),
        Leaf("classes", (batch,), requires_grad=False),
    )
    steps = (
        Step("t", ("w1",)),
        Step("addmm", ("b1", "data", "t1")),
        Step("relu", ("t2",)),
        Step("t", ("w2",)),
        Step("addmm", ("b2", "t3", "t4")),
        Step("log_softmax", ("t5",)),
        Step("nll_loss", ("t6", "classes")),
    )
    return Formula(leaves, steps)


def some_formulas(count: int) -> list[Formula]:
    """Write formulas with a trap each (two uses, arms of unequal length, a deep chain), and draw others."""
    x, w, c = Leaf("x"), Leaf("w"), Leaf("c", requires_grad=False)
    arms = Step("sin", ("x",)), Step("tanh", ("t1",)), Step("mul", ("t2", "t2")), Step("add", ("t3", "x"))
    aside = Step("mul", ("x", "c")), Step("sin", ("w",)), Step("sin", ("c",)), Step("sub", ("t3", "t1"))
    chain = [Step("sin", ("x",)), *(Step("sin", (f"t{place}",)) for place in range(1, 1200))]
    special = [
        squarings(1),
        Formula((x,), arms),
        Formula((x, w, c), aside),
        Formula((x, w, c), aside, shape=(0, 3)),
        Formula((x,), tuple(chain), shape=()),
        FORMULA,
    ]
    return [*special, *(_random_formula() for _ in range(count))]


def formulas_with_rows(count: int) -> list[Formula]:
    """Write and draw formulas in which `unbind` has three results, used once, twice or never."""
    m, x, c = Leaf("m", (ROWS, 7)), Leaf("x"), Leaf("c", requires_grad=False)
    first = Step("unbind", ("m",)), Step("sin", ("t1",))
    outer = Step("unbind", ("m",)), Step("mul", ("t1", "t3"))
    again = Step("unbind", ("m",)), Step("sub", ("t3", "t2")), Step("mul", ("t4", "t2"))
    inner = (
        Step("sin", ("x",)),
        Step("stack", ("t1", "c", "x")),
        Step("unbind", ("t2",)),
        Step("sub", ("t5", "t3")),
    )
    special = [
        ROWS_USED,
        Formula((m,), first),
        Formula((m,), outer),
        Formula((m,), again),
        Formula((x, c), inner),
    ]
    return [*special, *(_random_formula(rows=True) for _ in range(count))]


def stretchable(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Draw a shape that torch stretches to this one: some first sizes left out, others made 1."""
    return tuple(1 if random.random() < 0.4 else size for size in shape[random.randint(0, len(shape)) :])


def _random_formula(*, rows: bool = False) -> Formula:
    """Draw leaves, of which some need no gradient, and two to seven operations on any of what is there."""
    shape = random.choice(SHAPES[:-1] if rows else SHAPES)
    wanted = random.random() < 0.5
    leaves = [Leaf("x"), Leaf("w", stretchable(shape), wanted), Leaf("c", requires_grad=False)]
    steps, made, known = [], 0, [leaf.name for leaf in leaves]
    if rows:
        leaves.append(Leaf("m", (ROWS, *shape)))
        steps, made = [Step("unbind", ("m",))], ROWS
        known += ["t1", "t2", "t3"]
    for _ in range(random.randint(2, 7)):
        two = random.random() < 0.7
        steps.append(Step(random.choice(BINARY if two else UNARY), tuple(random.choices(known, k=1 + two))))
        made += 1
        known += [f"t{made}"] * 2  # what came last is used more often
    last = random.choice(("t1", "t2", "t3")) if rows else "x"
    return Formula(tuple(leaves), (*steps, Step("mul", (f"t{made}", last))), shape)


class Apart(NamedTuple):
    """An operation on x, the gradient that it sends to x (and w), and what it has to keep for that."""

    apply: Callable[..., Tensor]
    gradient: str
    keeps: str


APART = {
    "x + c": Apart(lambda x, c, w, places: x + c, "g", "nothing"),
    "x.sum()": Apart(lambda x, c, w, places: x.sum(), "g, for each element", "nothing"),
    "x.view(5, 1)": Apart(lambda x, c, w, places: x.view(5, 1), "g, in the old shape", "nothing"),
    "x * c": Apart(lambda x, c, w, places: x * c, "g · c", "c"),
    "x * w": Apart(lambda x, c, w, places: x * w, "g · w, and g · x for w", "w, x"),
    "x / c": Apart(lambda x, c, w, places: x / c, "g / c", "c"),
    "x.sin()": Apart(lambda x, c, w, places: x.sin(), "g · cos x", "x"),
    "x.log()": Apart(lambda x, c, w, places: x.log(), "g / x", "x"),
    "x.exp()": Apart(lambda x, c, w, places: x.exp(), "g · y", "y"),
    "x.tanh()": Apart(lambda x, c, w, places: x.tanh(), "g · (1 − y²)", "y"),
    "x.relu()": Apart(lambda x, c, w, places: x.relu(), "g where y > 0", "y"),
    "x[places]": Apart(lambda x, c, w, places: x[places], "g, at the places", "places"),
}


Data = dict[str, Tensor]


def squared(counts: Sequence[int]) -> list[tuple["Recording", Tensor]]:
    """Record chains of squarings of 1 and −1, with whole numbers as gradients, so that no sum is rounded."""
    recordings = [
        Recording(squarings(count), drawn_data(squarings(count), torch.float64, whole=True))
        for count in counts
    ]
    return [(recording, torch.randint(-9, 10, (7,), dtype=torch.float64)) for recording in recordings]


def drawn_data(formula: Formula, dtype: torch.dtype, *, whole: bool = False) -> Data:
    """Draw what a formula starts from: numbers up to 1.5 in size, or, for exact sums, ones with signs."""
    data = {}
    for name, shape, _ in formula.leaves:
        size = formula.shape if shape is None else shape
        signs = 1.0 - 2.0 * torch.randint(0, 2, size)
        data[name] = (signs if whole else signs * (0.5 + torch.rand(size, dtype=torch.float64))).to(dtype)
        if name == "classes":
            data[name] = torch.randint(0, 2, size)
    return data


class Recording:
    """A formula, computed while autograd watched: its leaves, its result, and who is who in the graph."""

    def __init__(self, formula: Formula, data: Data) -> None:
        self.formula = formula
        self.data = data
        wanted = {leaf.name: leaf.requires_grad for leaf in formula.leaves}
        self.leaves = {name: tensor.clone().requires_grad_(wanted[name]) for name, tensor in data.items()}
        self.wanted = [name for name in self.leaves if wanted[name]]
        for name in self.wanted:
            self.leaves[name].grad = torch.full_like(self.leaves[name], 7.0)  # from an earlier batch
        self.kept: WeakSet[Kept] = WeakSet()
        values = dict(self.leaves)
        labels: dict[Any, str] = {get_gradient_edge(self.leaves[name]).node: name for name in self.wanted}
        names = iter(formula.results)
        for line, step in enumerate(formula.steps):
            label = formula.firsts[line]
            with saved_tensors_hooks(partial(self._keep, label), lambda kept: kept.tensor):
                made = OPERATIONS[step.operation](*(values[operand] for operand in step.operands))
            for result in made if isinstance(made, tuple) else (made,):
                values[next(names)] = result
            if values[label].grad_fn is not None:
                labels[values[label].grad_fn] = label
        self.labels = labels
        self.result = result

    def _keep(self, label: str, tensor: Tensor) -> "Kept":
        kept = Kept(label, tensor)
        self.kept.add(kept)
        return kept

    def again(self) -> "Recording":
        """Record the same formula over the same numbers once more: another graph with the same gradients."""
        return Recording(self.formula, self.data)

    def operations(self) -> list[str]:
        """Return the names of the operations' nodes, read off the text."""
        nodes, _, _ = self.formula.counted()
        return [name for name in nodes if name not in self.leaves]

    def used(self) -> list[str]:
        """Return the names of the leaves that the result hangs on."""
        nodes, _, _ = self.formula.counted()
        return [name for name in self.wanted if name in nodes]

    def root(self) -> Any:
        """Return the node of the result. It notes its calls, and those of all that it leads to."""
        return Calls(self).node(self.result.grad_fn)

    def kept_alone(self) -> list[tuple[list[str], int]]:
        """Return the storages that the graph alone keeps alive: which nodes do so, and bytes.

        Leaves and the result live anyway.
        """
        known = {tensor.untyped_storage().data_ptr() for tensor in [*self.leaves.values(), self.result]}
        storages: dict[int, tuple[list[str], int]] = {}
        for kept in self.kept:
            storage = kept.tensor.untyped_storage()
            if storage.data_ptr() not in known:
                storages.setdefault(storage.data_ptr(), ([], storage.nbytes()))[0].append(kept.label)
        return sorted((sorted(nodes), size) for nodes, size in storages.values())

    def kept_bytes(self) -> int:
        """Return the bytes that the graph alone keeps alive, each storage once."""
        return sum(size for _, size in self.kept_alone())


def recorded(formulas: Sequence[Formula]) -> list[Recording]:
    """Record formulas, in float64 and in float32 by turns."""
    dtypes = (torch.float64, torch.float32)
    return [Recording(formula, drawn_data(formula, dtypes[n % 2])) for n, formula in enumerate(formulas)]


def as_tuple(found: Any) -> tuple[Any, ...]:
    """Return what a node returned as a tuple with one gradient for each of its edges."""
    return found if isinstance(found, tuple) else (found,)


class Kept:
    """What a node keeps in the place of a tensor; it dies with the node, and so must not lead to it."""

    def __init__(self, label: str, tensor: Tensor) -> None:
        self.label = label
        self.tensor = tensor.detach()


class Calls:
    """Which nodes of a graph were called by hand, in order."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.order: list[str] = []
        self.nodes: dict[Any, NotingNode] = {}

    def node(self, node: Any) -> "NotingNode":
        """Return the one that notes the calls of a node of torch's."""
        return self.nodes.setdefault(node, NotingNode(node, self))


class NotingNode:
    """A node of torch's graph that notes when it is called; in everything else it asks torch's own."""

    def __init__(self, node: Any, calls: Calls) -> None:
        self._node = node
        self.calls = calls
        self.label = calls.recording.labels[node]

    @property
    def next_functions(self) -> tuple[tuple["NotingNode | None", int], ...]:
        edges = self._node.next_functions
        return tuple((None if node is None else self.calls.node(node), number) for node, number in edges)

    def __call__(self, *grads: Tensor | None) -> Any:
        self.calls.order.append(self.label)
        return self._node(*grads)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> "NotingNode":
        """Note anew who calls a copy: it stands for the same node of the same graph."""
        return Calls(self.calls.recording).node(self._node)

    def __repr__(self) -> str:
        recording = self.calls.recording
        return (
            f"the node of {recording.formula.text}" if self._node is recording.result.grad_fn else self.label
        )


def told(recording: Recording, grad: Tensor, gradients: Mapping[Tensor, Tensor]) -> list[tuple[Any, ...]]:
    """Write out each leaf's gradient (shape, dtype, values, whether it has a graph), and what must stay.

    That is the leaf itself, what stood in its `.grad`, and the gradient that came in.
    """
    names = {leaf: name for name, leaf in recording.leaves.items()}
    rows = [
        (
            names.get(leaf, "?"),
            *described(found),
            *described(leaf),
            leaf.grad is not None,
            *described(leaf.grad),
        )
        for leaf, found in gradients.items()
    ]
    return [*sorted(rows, key=str), described(grad)]


def described(tensor: Tensor | None) -> tuple[Any, ...]:
    """Write out a tensor, so that two of them can be compared in every respect."""
    if tensor is None:
        return (None,)
    return tuple(tensor.shape), tensor.dtype, tensor.requires_grad, tensor.detach().tolist()


def by_torch(recording: Recording, grad: Tensor) -> list[tuple[Any, ...]]:
    """Let torch differentiate a recording, and write its gradients out."""
    leaves = [recording.leaves[name] for name in recording.used()]
    gradients = torch.autograd.grad(recording.result, leaves, grad)
    return told(recording, grad, dict(zip(leaves, gradients, strict=True)))


Case = tuple[str, list[tuple[int, ...]], list[bool], int]
DTYPES = {2: torch.bfloat16, 4: torch.float32, 8: torch.float64}


def random_operations(count: int) -> list[Case]:
    """Draw operations: shapes of the operands, which of them require a gradient, bytes of a number."""
    cases = []
    for _ in range(count):
        op = random.choice(("add", "mul", "exp", "relu", "linear", "linear"))
        if op == "linear":
            batch, inputs, outputs = random.choices((0, 1, 2, 3, 5, 7, 11), k=3)
            shapes: list[tuple[int, ...]] = [(batch, inputs), (outputs, inputs), (outputs,)]
        else:
            first = tuple(random.choices((0, 1, 2, 3, 5), weights=(1, 4, 6, 6, 6), k=random.randint(0, 4)))
            both = [first, stretchable(first)][:: random.choice((1, -1))]
            shapes = both if op in ("add", "mul") else [first]
        needs = [random.random() < 0.5 for _ in shapes]
        cases.append((op, shapes, needs, random.choice(tuple(DTYPES))))
    return cases


def applied(op: str, shapes: list[tuple[int, ...]], needs: list[bool], itemsize: int) -> Tensor:
    """Apply an operation to random tensors of these shapes."""
    operations: dict[str, Callable[..., Tensor]] = {
        "add": torch.add,
        "mul": torch.mul,
        "exp": torch.exp,
        "relu": torch.relu,
        "linear": functional.linear,
    }
    dtype = DTYPES[itemsize]
    operands = [
        torch.rand(shape, dtype=dtype).requires_grad_(wanted)
        for shape, wanted in zip(shapes, needs, strict=True)
    ]
    return operations[op](*operands)


def labels_of(nodes: Sequence[Any]) -> list[str]:
    """Return the labels of nodes, in order."""
    return sorted(node.label for node in nodes)


def links_of(edges: Sequence[tuple[Any, Any, int]]) -> list[tuple[str, str, int]]:
    """Return edges by the labels of their ends, in order."""
    return sorted((start.label, end.label, number) for start, end, number in edges)


def edges_in(recording: Recording) -> list[tuple[str, str, int]]:
    """Read the edges of a graph off torch's own nodes, for a picture, by the labels of their ends."""
    labels = recording.labels
    return [
        (label, labels[end], number)
        for node, label in labels.items()
        for end, number in node.next_functions
        if end is not None
    ]


def pictured(recording: Recording, *, types: bool = False) -> Graph:
    """Draw nodes in rows by their distance from the result; `types` adds what torch calls them.

    Edges into a node of several results say to which of them they lead.
    """
    formula, edges = recording.formula, edges_in(recording)
    depth = dict.fromkeys(recording.labels.values(), 0)
    for start, end, _ in edges * len(depth):  # the longest way is no longer than there are nodes
        depth[end] = max(depth[end], depth[start] + 1)
    boxes = {}
    for node, label in recording.labels.items():
        row = sorted(other for other in depth if depth[other] == depth[label])
        column, leaf = row.index(label) - (len(row) - 1) / 2, label in recording.leaves
        text = label if leaf else formula.line(label)
        text += f": {node.name().rpartition('::')[2]}" if types else ""
        boxes[label] = Box(column, depth[label], text, LEAF if leaf else OPERATION)
    edges.sort(key=lambda edge: depth[edge[0]])
    several = {end for _, end, number in edges if number}
    lines = [Line(start, end, f"output {number}" if end in several else "") for start, end, number in edges]
    return Graph(boxes, lines, {OPERATION: "an operation's node", LEAF: "a leaf's node"})


def network_pictured(recording: Recording, order: Sequence[str]) -> Graph:
    """Draw the network's graph: in which order torch called the nodes, and what they kept until then."""
    names = dict(zip(recording.formula.firsts, recording.formula.steps, strict=True))
    edges = sorted(edges_in(recording), key=lambda edge: order.index(edge[0]))
    users = {end: start for start, end, _ in edges}
    main = [label for label in names if names[label].operation != "t"]
    row = {label: float(place) for place, label in enumerate(reversed(main))}
    boxes, lines = {}, [Line(start, end) for start, end, _ in edges]
    for label in recording.labels.values():
        number = order.index(label) + 1
        user = users.get(label, "")
        if label in names:
            place = (1.0, row[label]) if label in row else (2.0, row[user])
            boxes[label] = Box(*place, f"{number} {names[label].operation.replace('_', ' ')}", OPERATION)
        else:
            place = (2.0, row[user] + 1) if user in row else (3.0, row[users[user]])
            boxes[label] = Box(*place, f"{number} {label}", LEAF)
    for keepers, size in recording.kept_alone():
        name = f"kept by {keepers}"
        boxes[name] = Box(0, max(row[keeper] for keeper in keepers), f"{size} bytes", KEPT)
        lines += [Line(keeper, name, tone=KEPT) for keeper in keepers]
    legend = {
        OPERATION: "an operation's node",
        LEAF: "a leaf's node",
        KEPT: "what the graph alone keeps alive",
    }
    return Graph(boxes, lines, legend)
