"""The known mistakes of lab 08."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab08_helpers import kept_while_walking, order_of_torch
from labs.m2_autograd.lab08_computational_graph_viz import (
    backward_by_hand,
    backward_by_recursion,
    bytes_kept,
    kept_by,
    saves_of,
    walk,
)

MUTANTS = (
    Mutant("lists a node for each edge into it", walk, "if end not in met:", "if end not in nodes:"),
    Mutant(
        "takes two equal edges for one",
        walk,
        "edges.append(Edge(node, end, number))",
        "edges.append(Edge(node, end, number)) if Edge(node, end, number) not in edges else None",
    ),
    Mutant(
        "notes an edge only where it leads to a new node",
        walk,
        "edges.append(Edge(node, end, number))",
        "edges.append(Edge(node, end, number)) if end not in met else None",
    ),
    Mutant("numbers every edge 0", walk, "Edge(node, end, number)", "Edge(node, end, 0)"),
    Mutant("stops before the leaves", walk, "end is None", 'end is None or hasattr(end, "variable")'),
    Mutant("gives up after a thousand nodes", walk, "while waiting:", "while waiting and len(nodes) < 1000:"),
    Mutant("turns the edges round", walk, "Edge(node, end, number)", "Edge(end, node, number)"),
    Mutant(
        "leaves the root out", walk, "nodes.append(node)", "nodes.append(node) if node is not root else None"
    ),
    Mutant("follows first operands only", walk, "in node.next_functions:", "in node.next_functions[:1]:"),
    Mutant("records nothing", kept_by, "x_N.requires_grad_()", "x_N"),
    Mutant(
        "applies it to copies", kept_by, "apply(*known.values())", "apply(*map(torch.clone, known.values()))"
    ),
    Mutant(
        "keeps both factors always",
        bytes_kept,
        "sizes[1] * needs[0] + sizes[0] * needs[1]",
        "(sizes[1] + sizes[0]) * any(needs[:2])",
    ),
    Mutant(
        "keeps each factor for its own gradient",
        bytes_kept,
        "sizes[1] * needs[0] + sizes[0] * needs[1]",
        "sizes[0] * needs[0] + sizes[1] * needs[1]",
    ),
    Mutant(
        "keeps the weight though the data need no gradient",
        bytes_kept,
        "sizes[1] * needs[0] +",
        "sizes[1] * any(needs[:2]) +",
    ),
    Mutant(
        "keeps the data of a frozen layer", bytes_kept, "+ sizes[0] * needs[1]", "+ sizes[0] * any(needs[:2])"
    ),
    Mutant("keeps the bias", bytes_kept, "+ sizes[0] * needs[1]", "+ sizes[0] * needs[1] + sum(sizes[2:])"),
    Mutant("keeps the input and the result", bytes_kept, "kept = sizes[0]", "kept = 2 * sizes[0]"),
    Mutant("keeps a result for nobody", bytes_kept, '("exp", "relu") and needs[0]', '("exp", "relu")'),
    Mutant(
        "takes every number for four bytes", bytes_kept, "math.prod(shape) * itemsize", "math.prod(shape) * 4"
    ),
    Mutant("keeps what a sum adds", bytes_kept, '("mul", "linear")', '("add", "mul", "linear")'),
    Mutant(
        "keeps stretched factors",
        bytes_kept,
        "[math.prod(shape) * itemsize for shape in shapes]",
        '[max(map(math.prod, shapes[: 2 if op == "mul" else 1])) * itemsize for shape in shapes]',
    ),
    Mutant("multiplies a copy", saves_of, "getattr(x_N, first)()", "getattr(x_N, first)().clone()"),
    Mutant(
        "overwrites what has arrived",
        backward_by_hand,
        "part if sums[number] is None else sums[number] + part",
        "part",
    ),
    Mutant(
        "ignores which result it is for",
        backward_by_hand,
        "sums[number] = part if sums[number] is None else sums[number] + part",
        "sums[0] = part if sums[0] is None else sums[0] + part",
    ),
    Mutant(
        "calls a node at the first gradient", backward_by_hand, "if uses[end] == 0:", "if end not in ready:"
    ),
    Mutant("starts from ones", backward_by_hand, "{root: [grad]}", "{root: [torch.ones_like(grad)]}"),
    Mutant(
        "calls the nodes of leaves",
        backward_by_hand,
        "gradients[node.variable] = arrived.pop(node)[0]",
        "gradients[node.variable] = node(*arrived[node]) or arrived.pop(node)[0]",
    ),
    Mutant("adds in place", backward_by_hand, "else sums[number] + part", "else sums[number].add_(part)"),
    Mutant("calls what ran first", backward_by_hand, "max(ready,", "min(ready,"),
    Mutant(
        "calls what was ready first",
        backward_by_hand,
        "max(ready, key=lambda node: node._sequence_nr())",
        "ready[0]",
    ),
    Mutant(
        "leaves gradients stretched",
        backward_by_hand,
        "part = part.sum_to_size(end._input_metadata[number].shape)",
        "part = part.clone()",
    ),
    Mutant("gives gradients a graph", backward_by_hand, "torch.no_grad()", "torch.enable_grad()"),
    Mutant("counts in float64", backward_by_hand, "arrived.pop(node)[0]", "arrived.pop(node)[0].double()"),
    Mutant("tells the order backwards", order_of_torch, "order.append(label)", "order.insert(0, label)"),
    Mutant(
        "overwrites at the leaf",
        backward_by_recursion,
        "gradients[leaf] + more if leaf in gradients else more",
        "more",
    ),
    Mutant(
        "calls a node twice",
        backward_by_recursion,
        "as_tuple(node(grad))",
        "as_tuple(node(grad) and node(grad))",
    ),
    Mutant(
        "retains the graph",
        kept_while_walking,
        "recording.result.backward(grad)",
        "recording.result.backward(grad, retain_graph=True)",
    ),
)

ANY_ORDER = "A tuple is searched whole, so its order does not matter."
ONE_OPERAND = "exp and relu have one operand, so the first is the last."
EQUIVALENT = (
    Equivalent(bytes_kept, "op in ('mul', 'linear')", "op in ('linear', 'mul')", ANY_ORDER),
    Equivalent(bytes_kept, "op in ('exp', 'relu')", "op in ('relu', 'exp')", ANY_ORDER),
    Equivalent(
        bytes_kept, "op in ('exp', 'relu') and needs[0]", "op in ('exp', 'relu') and needs[-1]", ONE_OPERAND
    ),
    Equivalent(bytes_kept, "kept = sizes[0]", "kept = sizes[-1]", ONE_OPERAND),
    Equivalent(
        backward_by_hand,
        "arrived.pop(node)[0]",
        "arrived.pop(node)[-1]",
        "A leaf's node takes one gradient, so the first is the last.",
    ),
)
