"""Lab 08 · Computational graph visualised · Graf obliczeń na obrazku

Question:
    What is the graph that `backward()` walks?

You will see:
    - The graph of a formula, counted with a pencil before it exists, and then found by walking along it.
    - What an operation keeps for the way back, in bytes, from its derivative alone.
    - A backward pass run by hand, node by node: it agrees with torch to the last bit, and takes its order.
    - Sixteen squarings that take 65,535 calls if nobody counts first, and 16 if somebody does.
    - A network's graph before and after `backward()`: the numbers are gone, and the nodes are still there.

Run:
    make lab-08
    python -m labs.m2_autograd.lab08_computational_graph_viz --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for storages

Remember:
    The graph consists of operations, not of tensors, and it leads backwards: a result points to the node of
    the operation that made it. What a training holds in memory is decided by derivatives, since a node keeps
    what its own derivative needs, and rarely more. The engine counts the edges into each node, calls a node
    once all of them have delivered, and adds up what came in. `backward()` frees what the nodes kept, and
    leaves the nodes. This lab does not show the engine's threads, of which each device has one, nor hooks
    (lab 23). Next comes lab 09, on the switches that keep the graph from being built.

Sources:
    - PyTorch, Autograd mechanics: https://docs.pytorch.org/docs/stable/notes/autograd.html
    - PyTorch, torch.autograd.graph: https://docs.pytorch.org/docs/stable/autograd.html#autograd-graph
    - A. Baydin et al., "Automatic Differentiation in Machine Learning: a Survey", 2018, section 3.2:
      https://arxiv.org/abs/1502.05767

Notebook:
    08_Computational_Graph_Viz.ipynb
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import Node, saved_tensors_hooks

from labs.kit import Lab, exercise, main
from labs.kit.measure.memory import saved_bytes
from labs.m2_autograd._lab08_graphs import (
    APART,
    FORMULA,
    Recording,
    applied,
    as_tuple,
    by_torch,
    drawn_data,
    formulas_with_rows,
    labels_of,
    links_of,
    network,
    network_pictured,
    pictured,
    random_operations,
    recorded,
    some_formulas,
    squared,
    told,
)
from labs.m2_autograd._lab08_helpers import kept_while_walking, order_of_torch

# Shape letters: N elements, B samples of a batch, I inputs and O outputs of a layer.


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    formulas: int = 60  # random formulas whose graphs are walked
    operations: int = 300  # random operations whose kept bytes are predicted
    squarings: int = 16  # squarings of the longest chain
    batch: int = 7  # samples B that go through the network

    @classmethod
    def smoke(cls) -> "Config":
        return cls(formulas=24, operations=100, squarings=9)


class Edge(NamedTuple):
    """An arrow of the graph: from an operation's node to that of one of its operands."""

    start: Node
    end: Node
    number: int  # which result of `end` the operand was


@exercise(
    "Start with the root. What does `next_functions` tell you, and what have you met before?",
    "Keep a list of nodes that are still to be looked at, and a set of those that were met. Every edge "
    "counts, but only an end that is new goes on the list.",
    "`for end, number in node.next_functions:` skip `None`; note `Edge(node, end, number)`; then `if end not "
    "in met:` add it to `met` and to the list.",
    contract="""
        `root` is the node of a result, such as `y.grad_fn`. Return all nodes that can be reached from it,
        itself among them, each once, and all edges between them, both in any order.

        An edge is an `Edge(start, end, number)`: `start.next_functions` has an entry `(end, number)`. For an
        operand that is used twice there are two entries, and two edges. An entry with `None` in the place of
        the node is no edge. A graph may be deeper than Python lets a function call itself.

        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> nodes, edges = walk((x * x).grad_fn)
        >>> len(nodes), len(edges)
        (2, 2)
        """,
    insight="torchviz, hooks on every node, a search for a lost gradient: each begins with these ten lines.",
)
def walk(root: Node) -> tuple[list[Node], list[Edge]]:
    """Find all nodes and edges that can be reached from a result's node."""
    nodes: list[Node] = []
    edges: list[Edge] = []
    met, waiting = {root}, [root]
    while waiting:
        node = waiting.pop()
        nodes.append(node)
        for end, number in node.next_functions:
            if end is None:
                continue
            edges.append(Edge(node, end, number))
            if end not in met:
                met.add(end)
                waiting.append(end)
    return nodes, edges


NODES = {
    "4": "That counts the layers. The graph knows none: a linear layer is a transpose and a product.",
    "7": "That is all operations. Each of the four parameters has a node as well, to receive its gradient.",
    "11": "**Yes.** Seven operations and four parameters. Data and classes need no gradient and get no node.",
    "13": "That gives a node to the data and to the classes too. Nobody wants their gradient.",
}


def what_hangs_on_it(cfg: Config, lab: Lab) -> None:
    """What hangs on a result?

    You write `y = ((x * w).sin() + 2 * x).sum()` and call `y.backward()`. By then the line has long run, and
    a single number is left of it. How does torch know what to differentiate?

    It kept a record. Every operation on a tensor that requires a gradient leaves a *node* behind, an
    object that turns the gradient of the operation's result into those of its operands. The result points to
    its node (`y.grad_fn`), and a node points to the nodes of its operands (`next_functions`). So this is a
    graph of operations, and its arrows, the *edges*, lead backwards, from the result to what it was made of.

    A weight was made by no operation. Such a *leaf* has a node of another kind, `AccumulateGrad`, which adds
    what arrives to the leaf's `.grad`. There is one for each leaf, however often you use it: above, two edges
    lead into that of `x`. An operand that requires no gradient, such as the 2, has no node at all, and
    `next_functions` holds `None` in its place.

    So a graph can be counted from the text, before the line has run: 5 operations and 2 leaves make 7 nodes,
    and 7 operands that require a gradient make 7 edges. We count random formulas in this way, let torch
    record them, and walk along `next_functions` to see whether the graph is what was counted.
    """
    question = (
        "A network is Linear, ReLU, Linear and cross-entropy, written as seven operations: `t`, `addmm`, "
        "`relu`, `t`, `addmm`, `log_softmax`, `nll_loss`. How many nodes has the graph of its loss?"
    )
    lab.predict("08.nodes", question, NODES, answer="11")
    formulas = [FORMULA, network(cfg.batch), *lab.once(some_formulas, cfg.formulas)]
    recordings = [Recording(formula, drawn_data(formula, torch.float32)) for formula in formulas]
    graphs = [lab.step(walk, recording.root()) for recording in recordings]
    counted = [formula.counted() for formula in formulas]
    lab.diagram("The graph of sum(sin(x·w) + 2x)", pictured(recordings[0], types=True))
    lab.equal(
        "08.nodes",
        "A graph has one node for each operation between the leaves and the result, and one for each leaf "
        "that requires a gradient, however often it is used.",
        [labels_of(nodes) for nodes, _ in graphs],
        [nodes for nodes, _, _ in counted],
        unit="graphs",
        because=f"counted from the text, {sum(len(nodes) for nodes, *_ in counted):,} nodes in all",
    )
    lab.equal(
        "08.edges",
        "From an operation's node one edge leads to the node of each operand that requires a gradient, and "
        "two to that of an operand that is used twice.",
        [links_of(edges) for _, edges in graphs],
        [edges for _, edges, _ in counted],
        unit="graphs",
        because=f"counted from the text, {sum(len(edges) for _, edges, _ in counted):,} edges in all",
    )
    lab.equal(
        "08.none",
        "In the place of an operand that requires no gradient `next_functions` holds `None`.",
        [sum(end is None for node in nodes for end, _ in node.next_functions) for nodes, _ in graphs],
        [idle for _, _, idle in counted],
        unit="graphs",
        because=f"counted from the text, {sum(idle for *_, idle in counted):,} such operands in all",
    )


def kept_by(apply: Callable[..., Tensor]) -> str:
    """Apply an operation, and say which tensors autograd puts aside for the way back: y is the result."""
    x_N, w_N = (torch.rand(5) + 0.5 for _ in range(2))
    known = {"x": x_N.requires_grad_(), "c": torch.rand(5) + 0.5, "w": w_N.requires_grad_()}
    known["places"] = torch.tensor([0, 2, 2])
    kept: list[int] = []

    def put_aside(tensor: Tensor) -> Tensor:
        kept.append(tensor.data_ptr())
        return tensor

    with saved_tensors_hooks(put_aside, torch.clone):
        known["y"] = apply(*known.values())
    names = {tensor.data_ptr(): name for name, tensor in known.items()}
    found = sorted({names.get(place, "something else") for place in kept})
    names_kept = ", ".join(found or ["nothing"])
    return names_kept


@exercise(
    "Write the gradient of each operand down. Which tensors stand in it, besides the one that comes in?",
    "`add`: none. `mul` and `linear` are products, so each factor's gradient contains the other one. `exp` "
    "and `relu` find theirs in the result, which has the operand's shape.",
    "For `mul` and `linear`: `sizes[1] * needs[0] + sizes[0] * needs[1]`, where a size is "
    "`math.prod(shape) * itemsize`; the bias of `linear` is an addend.",
    contract="""
        `op` is one of add, mul, exp, relu and linear, applied to tensors of these shapes; for `linear` they
        are x (B, I), w (O, I) and the bias (O,). `needs` says which of them require a gradient, and
        `itemsize` how many bytes a number takes. Shapes may differ where torch broadcasts one to the other.
        Return the bytes of all tensors that are kept for the way back, without asking torch.

        >>> bytes_kept("mul", [(3,), (3,)], [True, False], 4)
        12
        """,
    insight="A frozen layer keeps no input, and a first layer keeps no weight: `needs` decides it, not size.",
)
def bytes_kept(op: str, shapes: list[tuple[int, ...]], needs: list[bool], itemsize: int) -> int:
    """Say from the derivative alone how many bytes an operation keeps for the way back."""
    sizes = [math.prod(shape) * itemsize for shape in shapes]
    kept = 0
    if op in ("mul", "linear"):
        kept = sizes[1] * needs[0] + sizes[0] * needs[1]
    elif op in ("exp", "relu") and needs[0]:
        kept = sizes[0]
    return kept


def saves_of(first: str, size: int) -> tuple[int, int]:
    """Apply an operation to x and multiply by w: count what is saved, and the storages that it lies in."""
    x_N, w_N = (torch.rand(size).requires_grad_() for _ in range(2))
    storages: list[torch.UntypedStorage] = []

    def put_aside(tensor: Tensor) -> Tensor:
        storages.append(tensor.untyped_storage())
        return tensor

    with saved_tensors_hooks(put_aside, torch.clone):
        getattr(x_N, first)().mul(w_N)
    return len(storages), len({storage.data_ptr() for storage in storages})


SAVED = {
    "x and c": "x would be needed for the gradient of c, and nobody asked for that.",
    "x": "The other way round: the gradient of x is g · c, and x itself does not stand in it.",
    "c": "**Yes.** The gradient of x is g · c, so c is what has to be there when g comes.",
    "nothing": "So it is for a sum. A product needs its other factor.",
}


def what_a_node_keeps(cfg: Config, lab: Lab) -> None:
    """What does a node keep for the way back?

    A training step that runs out of memory mostly does so in its forward pass, though the weights alone would
    fit ten times. What fills the memory are tensors that nodes put aside for later. You need no profiler to
    say which: each node computes one derivative, and keeps what stands in it.

    Let g be the gradient that comes in for the result y. For `y = x.sin()` the gradient of x is g · cos x, so
    the node keeps x: the sine alone does not tell the sign of the cosine. The derivative of exp is exp, so
    its node keeps its own result and can forget x. For a sum the gradient is g itself, and nothing is kept.
    Products you can work out for yourself.

    What is kept is a reference and no copy. The result of `exp` may be kept twice, by its own node and by
    that of the product that it goes into, and takes its room once. So count storages, and not tensors.
    """
    lab.predict("08.kept", "`y = x * c`, and of both only x requires a gradient. What is kept?", SAVED, "c")
    kept = [lab.step(kept_by, operation.apply) for operation in APART.values()]
    rows = [(name, APART[name].gradient, found) for name, found in zip(APART, kept, strict=True)]
    lab.table("g comes in, and y is the result", ["operation", "gradient of x", "kept"], rows)
    lab.equal(
        "08.kept",
        "Each of these twelve operations keeps the tensors that stand in its gradients, and no other.",
        kept,
        [operation.keeps for operation in APART.values()],
        unit="operations",
    )
    cases = lab.step(random_operations, cfg.operations)
    lab.equal(
        "08.bytes",
        "How many bytes an operation keeps follows from its derivative, the shapes, and which of its "
        "operands require a gradient.",
        [lab.step(bytes_kept, *case) for case in cases],
        [saved_bytes(partial(applied, *case)) for case in cases],
        unit="operations",
    )
    lab.equal(
        "08.shared",
        "A tensor that two nodes keep lies in memory once.",
        [lab.step(saves_of, first, 5) for first in ("exp", "relu", "sin")],
        [(3, 2), (3, 2), (3, 3)],
        unit="products",
        because="f(x) · w keeps f(x) and w; exp and relu keep f(x) again, and sin keeps x",
    )
    lab.say(
        "Not every node is so thrifty. `x.gather(0, places)` keeps x as well, of which it needs no more than "
        "the shape. Where memory is short, look with `torch.autograd.graph.saved_tensors_hooks`, as "
        "`kept_by` does."
    )


@exercise(
    "A node may be called once all that comes in has arrived. How do you know when that is?",
    "Count the edges that lead into each node, with `walk`. Call a node, hand its gradients on along its "
    "edges, and count down; a node that has reached 0 is ready.",
    "`node = max(ready, key=lambda node: node._sequence_nr())`, then `zip(node.next_functions, gradients)`: "
    "put each into the list of its end at `number`, or add it to what is there, with `+` and not in place.",
    contract="""
        `root` is the node of a result, made by an operation that has one result only, and `grad` the gradient
        that comes in for it. Return the gradient of each leaf: a dict from the leaf to its gradient.

        You call an operation's node like a function, with a gradient for each of its results, or None where
        none came in; `len(node._input_metadata)` says how many that are. `as_tuple` of what it returns has a
        gradient for each entry of `node.next_functions`. The gradient of an operand that was broadcast
        comes in the stretched shape: `sum_to_size` brings it to the operand's own, which is
        `end._input_metadata[number].shape`. Call each node once, and of those that are ready the one with the
        highest `node._sequence_nr()`.

        The node of a leaf has the attribute `variable`, which is the leaf. Do not call it: it would add to
        the leaf's `.grad`. The gradients that you return have no graph of their own, and `grad` stays as it
        is.

        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> backward_by_hand((x * x).grad_fn, torch.tensor(1.0)) == {x: 6}
        True
        """,
    insight="That is torch's engine but for threads, devices and hooks. The rest stands in the nodes.",
)
def backward_by_hand(root: Node, grad: Tensor) -> dict[Tensor, Tensor]:
    """Run the backward pass node by node.

    Each node waits until all edges into it have delivered. What comes in for one result is summed to its
    shape and added up.
    """
    uses = Counter(edge.end for edge in walk(root)[1])
    arrived: dict[Any, list[Any]] = {root: [grad]}
    ready: list[Any] = [root]
    gradients = {}
    while ready:
        node = max(ready, key=lambda node: node._sequence_nr())
        ready.remove(node)
        if hasattr(node, "variable"):
            gradients[node.variable] = arrived.pop(node)[0]
            continue
        with torch.no_grad():
            found = node(*arrived.pop(node))
            for (end, number), part in zip(node.next_functions, as_tuple(found), strict=True):
                if end is None:
                    continue
                sums = arrived.setdefault(end, [None] * len(end._input_metadata))
                part = part.sum_to_size(end._input_metadata[number].shape)
                sums[number] = part if sums[number] is None else sums[number] + part
                uses[end] -= 1
                if uses[end] == 0:
                    ready.append(end)
    return gradients


def by_hand(cfg: Config, lab: Lab) -> None:
    """Can you run the backward pass by hand?

    A node can be called like a function. Take x = 3 and y = x · x, and call the node of y with the gradient
    1. It returns two gradients, 3 and 3, one for each of its edges, and both edges lead to x. The derivative
    of x² at 3 is 6, so they have to be added. Autograd does little else: *where several edges
    lead into a node, what comes in is added up*. The calculus stands in the nodes.

    One thing more is left to the engine. The gradient of an operand that was broadcast, such as a bias of 5
    numbers that is added to 7 rows, comes in the stretched shape. It has to be summed to the operand's own.

    In which order? A node must not be called before all edges into it have delivered, or it hands on a part
    for the whole. So count those edges first. Then call the result's node, hand on what it returns along its
    edges, and call whichever node has now got everything.

    Often several are ready. Each operation draws a number when it runs, its *sequence number*, and the
    engine takes the node with the highest: what was computed last is differentiated first. A leaf's node has
    2⁶⁴ − 1, more than any operation, and takes what it gets at once. We do the same without the engine, from
    random incoming gradients, and compare every bit: the same sums in the same order are rounded alike.
    """
    recordings = recorded([network(cfg.batch), *lab.once(some_formulas, cfg.formulas)])
    tasks = [(recording.root(), torch.randn_like(recording.result)) for recording in recordings]
    ours = [lab.step(backward_by_hand, *task) for task in tasks]
    graded = [(recording, grad) for recording, (_, grad) in zip(recordings, tasks, strict=True)]
    lab.equal(
        "08.by-hand",
        "A backward pass by hand gives the gradients of `torch.autograd.grad`, in every bit.",
        [told(*pair, gradients) for pair, gradients in zip(graded, ours, strict=True)],
        [by_torch(recording.again(), grad) for recording, grad in graded],
        unit="graphs",
    )
    calls = [root.calls.order for root, _ in tasks]
    lab.equal(
        "08.once",
        "A node that waits for all edges into it need be called only once.",
        [sorted(order) for order in calls],
        [recording.operations() for recording in recordings],
        unit="graphs",
        because=f"one call for each operation that the result hangs on, {sum(map(len, calls)):,} in all",
    )
    orders = [lab.step(order_of_torch, recording.again(), grad) for recording, grad in graded]
    lab.equal(
        "08.order",
        "Of the nodes that are ready torch's engine calls the one whose operation ran last.",
        calls,
        orders,
        unit="graphs",
    )


def backward_by_recursion(node: Any, grad: Tensor) -> dict[Tensor, Tensor]:
    """Run the backward pass along each edge as one comes to it, and count nothing."""
    if hasattr(node, "variable"):
        return {node.variable: grad}
    gradients: dict[Tensor, Tensor] = {}
    with torch.no_grad():
        for (end, _), part in zip(node.next_functions, as_tuple(node(grad)), strict=True):
            for leaf, more in backward_by_recursion(end, part).items():
                gradients[leaf] = gradients[leaf] + more if leaf in gradients else more
    return gradients


PATHS = {
    "16": "So it is if each node waits until all has arrived. Here none waits.",
    "32": "That is the number of edges: two from each of 16 products.",
    "256": "It grows faster than the square: each product doubles the number of ways to all below it.",
    "65,535": "**Yes.** 1 + 2 + 4 + … + 2¹⁵ = 2¹⁶ − 1: a node is called once for each way that leads to it.",
}


def why_count(cfg: Config, lab: Lab) -> None:
    """Why does the engine count before it walks?

    There is a shorter program. Call a node; for each gradient that it returns do the same at the end of the
    edge; at a leaf add what arrives. It counts nothing and waits for nothing, and it is *right*. The chain
    rule says that a derivative is a sum over all ways from the result to the leaf, and it walks each of them.

    That is the trouble: it walks each of them. Square a number, square the result, and so on. From each
    product two edges lead to the one before it, so there are two ways to that one, four to the next and eight
    to the third. With each product the graph grows by one node, and the number of ways doubles.

    Counting cures it, because a node is linear in what comes in: node(a) + node(b) = node(a + b). It may wait
    for both and be called once, with the sum. Differentiating in this direction, with a sum at every node, is
    called *reverse accumulation*. For a network it is the same as backpropagation.
    """
    lab.predict(
        "08.paths",
        "`y = x`, then 16 times `y = y * y`. How many calls of a node does the recursion make?",
        PATHS,
        answer="65,535",
    )
    counts = [1, 2, 3, 5, cfg.squarings]
    chains = squared(counts)
    recursing, counting = ([recording.root() for recording, _ in chains] for _ in range(2))
    grads = [grad for _, grad in chains]
    found = [lab.step(backward_by_recursion, *task) for task in zip(recursing, grads, strict=True)]
    lab.equal(
        "08.recursion",
        "Without any counting, recursion finds the right gradient too.",
        [gradient for gradients in found for gradient in gradients.values()],
        [
            2**n * recording.leaves["x"].detach() * grad
            for n, (recording, grad) in zip(counts, chains, strict=True)
        ],
        unit="chains",
        because="the derivative of x to the power 2ⁿ is 2ⁿ·x^(2ⁿ − 1), and that is 2ⁿ·x where x is 1 or −1",
    )
    for task in zip(counting, grads, strict=True):
        lab.step(backward_by_hand, *task)
    calls = [[len(root.calls.order) for root in roots] for roots in (recursing, counting)]
    series = {"recursion": [*map(float, calls[0])], "counting first": [*map(float, calls[1])]}
    axes: Any = {"x_label": "squarings", "y_label": "calls", "log_y": True}
    lab.plot("Calls of nodes, by recursion and by counting first", counts, series, **axes)
    lab.equal(
        "08.paths",
        "Recursion calls nodes 2ⁿ − 1 times for n squarings, and n calls are enough.",
        list(zip(*calls, strict=True)),
        [(2**n - 1, n) for n in counts],
        unit="chains",
        because="two edges from each product: 1 + 2 + 4 + … + 2ⁿ⁻¹ ways lead to the n products",
    )


def several_results(cfg: Config, lab: Lab) -> None:
    """What if an operation has several results?

    `a, b, c = m.unbind()` cuts a matrix into its rows. It is one operation, so it has one node, and three
    results point to it. When gradients come in, the node has to know which of them belongs to which row. That
    is why an entry of `next_functions` is a pair: a node, and the *number of the result* that was used.

    And if you use only `a` and `c`? Nothing hangs on `b`: no edge leads to it, and no gradient comes. Its
    derivative is zero, but nobody fills a tensor with zeros and sends it along. In the place of the missing
    gradient the engine hands the node nothing, in Python `None`, and the node takes that for zeros.
    """
    recordings = recorded(lab.step(formulas_with_rows, cfg.formulas))
    tasks = [(recording.root(), torch.randn_like(recording.result)) for recording in recordings]
    graded = [(recording, grad) for recording, (_, grad) in zip(recordings, tasks, strict=True)]
    lab.diagram("Of the three results of unbind two are used", pictured(recordings[0]))
    graphs = [lab.step(walk, root) for root, _ in tasks]
    lab.equal(
        "08.numbers",
        "An edge tells which result of the operation was used: `next_functions` holds its number.",
        [links_of(edges) for _, edges in graphs],
        [recording.formula.counted()[1] for recording in recordings],
        unit="graphs",
    )
    ours = [lab.step(backward_by_hand, *task) for task in tasks]
    lab.equal(
        "08.outputs",
        "The pass by hand is right for operations of several results too, if it minds the number on each "
        "edge and hands a node `None` where nothing comes in.",
        [told(*pair, gradients) for pair, gradients in zip(graded, ours, strict=True)],
        [by_torch(recording.again(), grad) for recording, grad in graded],
        unit="graphs",
    )


def what_is_left(cfg: Config, lab: Lab) -> None:
    """What is left of the graph after `backward()`?

    The pass is over and the gradients stand in `.grad`. The loss is still there: you print it, perhaps you
    keep it in a list. Does all that the forward pass put aside still hang on it?

    The nodes do. They are small, and live as long as the result that points to them. The tensors that they
    kept are large, and do not wait for that. As soon as a node has been called the engine lets it drop what
    it kept, so that memory becomes free while the walk goes on. In the picture below that is everything in
    the left column: weights and data are kept too, but they live anyway.

    So a second `backward()` finds the graph, but not the numbers, and says so. Where you do need two passes
    through one graph, tell the first to `retain_graph`. When that is a good idea is the question of lab 12.
    """
    formula = network(cfg.batch)
    recording = Recording(formula, drawn_data(formula, torch.float32))
    order = lab.step(order_of_torch, recording.again(), torch.randn(()), leaves=True)
    title = "A network's nodes, in the order of their calls, and what backward() frees"
    lab.diagram(title, network_pictured(recording, order))
    kept = lab.step(kept_while_walking, recording, torch.randn(()))
    relu, softmax, weight = cfg.batch * 5 * 4, cfg.batch * 2 * 4, 4
    left = [relu + softmax + weight, relu + softmax, relu, relu, relu, 0, 0, 0]
    lab.equal(
        "08.freed",
        "Each node drops what it kept before the next one is called, and at the end the graph keeps nothing.",
        kept,
        list(zip(("t7", "t6", "t5", "t4", "t3", "t2", "t1", "the end"), left, strict=True)),
        unit="moments",
        because=f"{relu} bytes of ReLU's result, {softmax} of log-softmax's, {weight} of the mean's divisor",
    )
    lab.raises(
        "08.second",
        "A second `backward()` finds the nodes, but not what they kept, and refuses.",
        partial(recording.result.backward, torch.randn(())),
        RuntimeError,
        "Trying to backward through the graph a second time",
    )
    nodes, _ = lab.step(walk, recording.root())
    lab.count(
        "08.nodes-left",
        "After `backward()` all nodes of the network are still there.",
        len(nodes),
        want=11,
        unit="nodes",
        because="7 operations and 4 parameters, and the loss still points to the first of them",
    )
    lab.say(
        "So put `loss.item()` into your list of losses, and not `loss`. After a `backward()` the loss holds "
        "on to nodes only. Without one, as in a validation loop, it holds on to all that the forward pass "
        "put aside."
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (what_hangs_on_it, what_a_node_keeps, by_hand, why_count, several_results, what_is_left):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
