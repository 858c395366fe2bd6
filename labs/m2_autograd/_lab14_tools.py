"""Tools of lab 14: awkward inputs, comparisons, lives of tensors, operations to ask, questions."""

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from labs.kit import Tolerance
from labs.kit.draw.diagrams import Span, Timeline
from labs.kit.topics.quiet_libraries import quiet_libraries

Curve = Callable[[Tensor], Tensor]
Pair = tuple[Tensor, Tensor]  # a value and its tangent
Operands = tuple[str, list[Pair]]  # an operation, and the numbers that it takes
Pass = Callable[[list[Tensor], Tensor, Tensor], Any]  # through a network, beside a second tensor
VALUE, MOVED, ZERO = 1, 2, 3  # tones


def load_quietly() -> None:
    """Push one number, since the first push loads what torch itself calls deprecated."""
    with quiet_libraries():
        jvp(torch.sin, (torch.ones(1),), (torch.ones(1),))


# Dual numbers -----------------------------------------------------------------------------------------------


def drawn(draw: torch.Generator, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Draw numbers between 0.6 and 1.9, none of them 1 and none a stranger to division."""
    return 1.3 * torch.rand(shape, generator=draw, dtype=dtype) + 0.6


def operands() -> list[Operands]:
    """Return operations and what they are asked about: any rank, shapes that are stretched, none at all."""
    draw = torch.Generator().manual_seed(14)
    one_dim = [((), ()), ((1,), (1,)), ((5,), ())]
    shapes = [*one_dim, ((3, 1), (1, 4)), ((0, 3), (0, 3)), ((2, 3, 1, 4), (3, 5, 1))]
    asked: list[Operands] = []
    for dtype in (torch.float64, torch.float32):
        for one, other in shapes:
            x = drawn(draw, *one, dtype=dtype), drawn(draw, *one, dtype=dtype) - 1.25
            y = drawn(draw, *other, dtype=dtype), drawn(draw, *other, dtype=dtype) - 1.25
            asked += [("*", [x, y]), ("/", [x, y]), ("sin", [x])]
    large = torch.arange(2**40, 2**40 + 6).view(2, 3)
    return [*asked, ("*", [(large, torch.tensor([[3], [-2]])), (large.new_tensor(7), large.new_tensor(5))])]


def flat(pairs: list[Operands]) -> list[Tensor]:
    """Return all tensors among operands."""
    return [tensor for _, numbers in pairs for number in numbers for tensor in number]


def one_operation(name: str, numbers: list[Pair]) -> Pair:
    """Ask torch, in float64, for the value and the tangent of one operation; of whole numbers ask Python."""
    values, tangents = zip(*numbers, strict=True)
    if not values[0].is_floating_point():
        return whole_product(*numbers)
    functions: Any = {"*": torch.mul, "/": torch.div, "sin": torch.sin}
    pushed: Any = jvp(functions[name], tuple(v.double() for v in values), tuple(t.double() for t in tangents))
    value, tangent = pushed
    return value, tangent


def whole_product(one: Pair, other: Pair) -> Pair:
    """Multiply a matrix of whole dual numbers by a single one, in Python, which never rounds them."""
    x, dx = (tensor.tolist() for tensor in torch.broadcast_tensors(*one))
    factor, change = (tensor.item() for tensor in other)
    value = [[number * factor for number in row] for row in x]
    tangent = [
        [dn * factor + n * change for n, dn in zip(*rows, strict=True)] for rows in zip(x, dx, strict=True)
    ]
    return torch.tensor(value), torch.tensor(tangent)


def two_numbers() -> tuple[Pair, Pair]:
    """Return two numbers and how each of them moves."""
    draw = torch.Generator().manual_seed(41)
    return (drawn(draw, 7), drawn(draw, 7) - 1.25), (drawn(draw, 7), drawn(draw, 7) - 1.25)


# What can be asked of dual numbers and of tensors alike.
FORMULAS: tuple[Callable[[Any, Any], Any], ...] = (
    lambda x, y: (x * x + 1) / x + y * 0,
    lambda x, y: (x * y).sin() / (x + y),
    lambda x, y: 2 / (x / y + 3) * x.sin().sin(),
)


def operation_errors(pairs: list[Operands], results: list[Pair]) -> list[float]:
    """Compare results of operations with true ones; where an operand was changed, all are wrong."""
    drawn_anew = operands()
    untouched = all(map(torch.equal, flat(pairs), flat(drawn_anew)))
    truths = [one_operation(name, numbers) for name, numbers in drawn_anew]
    dtypes = [numbers[0][0].dtype for _, numbers in drawn_anew]
    return errors(results, truths, dtypes, untouched=untouched)


def formula_errors(results: list[Pair]) -> list[float]:
    """Compare results of whole formulas with those of torch."""
    (x, dx), (y, dy) = two_numbers()
    pushed: Any = [jvp(formula, (x, y), (dx, dy)) for formula in FORMULAS]
    return errors(results, pushed, [x.dtype] * len(FORMULAS))


def errors(
    ours: Sequence[Pair], theirs: Sequence[Pair], dtypes: Sequence[torch.dtype], *, untouched: bool = True
) -> list[float]:
    """Compare pairs of tensors with true ones, in units of the precision of the dtype that they should have.

    What has another shape or dtype is infinitely far away, and so is all where an argument was changed.
    """
    found = []
    for pair, true_pair, dtype in zip(ours, theirs, dtypes, strict=True):
        for mine, true in zip(pair, true_pair, strict=True):
            if (mine.shape, mine.dtype) != (true.shape, dtype) or not untouched:
                found.append(float("inf"))
                continue
            precision = torch.finfo(dtype).eps if dtype.is_floating_point else 2.0**-63
            gaps = (mine.double() - true.double()).abs().flatten().tolist()
            scale = max([1.0, *true.double().abs().flatten().tolist()])
            found.append(max([0.0, *gaps]) / scale / precision)
    return found


# Networks ---------------------------------------------------------------------------------------------------


class Network(NamedTuple):
    """The weights of a network, a batch, a direction for its inputs, and weights of its outputs."""

    weights: list[Tensor]
    x_BI: Tensor
    v_BI: Tensor
    u_BO: Tensor

    @property
    def tensors(self) -> list[Tensor]:
        return [*self.weights, self.x_BI, self.v_BI, self.u_BO]


def layers(draw: torch.Generator, sizes: Sequence[int], dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Draw weights of both signs whose rows of |W| sum up to 1, so that no layer lets anything grow."""
    drawn_OI = [torch.randn(o, i, generator=draw, dtype=dtype) for i, o in pairwise(sizes)]
    return [w_OI / w_OI.abs().sum(1, keepdim=True) for w_OI in drawn_OI]


def networks() -> list[Network]:
    """Draw networks of one to three layers: batches of several, one and none, gaps in memory, two dtypes."""
    draw = torch.Generator().manual_seed(14)
    asked = [
        ((5, 7, 3, 2), 4, torch.float64),
        ((2, 3), 1, torch.float64),
        ((3, 1, 6), 0, torch.float64),
        ((4, 6, 5), 3, torch.float32),
    ]
    found = []
    for sizes, batch, dtype in asked:
        x_IB, v_BI, u_BO = (
            torch.randn(*shape, generator=draw, dtype=dtype)
            for shape in ((sizes[0], batch), (batch, 2 * sizes[0]), (batch, sizes[-1]))
        )
        found.append(Network(layers(draw, sizes, dtype), x_IB.t(), v_BI[:, ::2], u_BO))
    return found


def unchanged(cases: Sequence[Network]) -> bool:
    """Tell whether networks and batches are as they were drawn."""
    pairs = zip(cases, networks(), strict=True)
    return all(torch.equal(*both) for case in pairs for both in zip(*(n.tensors for n in case), strict=True))


def pass_errors(cases: Sequence[Network], results: Sequence[Pair], truths: Sequence[Pair]) -> list[float]:
    """Compare what passes through networks gave with true values of float64."""
    return errors(results, truths, [case.x_BI.dtype for case in cases], untouched=unchanged(cases))


def network(*sizes: int) -> list[Tensor]:
    """Draw the weights of a network of these sizes."""
    return layers(torch.Generator().manual_seed(14), sizes)


# Lives of tensors -------------------------------------------------------------------------------------------


class Lives(TorchDispatchMode):
    """Notes of each storage as large as one tensor during which operations it lived, and what was in it.

    What was computed from `moved`, a direction or a gradient, moves along with it. All else is a value, or a
    product with zeros.
    """

    def __init__(self, x_BI: Tensor, moved: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.size = moved.nbytes
        self.operations = 0
        self.spans: list[Span] = []
        self.places: Any = WeakIdKeyDictionary()
        self.places[x_BI.untyped_storage()] = VALUE, None
        self.places[moved.untyped_storage()] = MOVED, None

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.nbytes == self.size and self._is_new(result):
            came = [
                self.places.get(t.untyped_storage(), (VALUE, None))[0] for t in args if isinstance(t, Tensor)
            ]
            tone = MOVED if MOVED in came else VALUE if result.any() else ZERO
            self.places[result.untyped_storage()] = tone, len(self.spans)
            self.spans.append(Span(self.operations, self.operations, func.overloadpacket.__name__, tone))
            self.operations += 1
        for _, place in list(self.places.values()):
            if place is not None:
                span = self.spans[place]
                self.spans[place] = Span(span.start, self.operations, span.text, span.tone)
        return result

    def _is_new(self, made: Tensor) -> bool:
        return made.untyped_storage() not in self.places and made.untyped_storage().nbytes() == self.size


TOLD = {VALUE: "values", MOVED: "what is pushed or pulled", ZERO: "products with zeros"}


def lanes(name: str, spans: Sequence[Span], layers: Sequence[int]) -> Timeline:
    """Draw lives in lanes: a place in memory each, which is taken again once it is free.

    The lane above them says through which layer the pass goes; all layers have as many operations.
    """
    each = max(span.end for span in spans) / len(layers)
    head = [Span(at * each, (at + 1) * each, str(layer), 0) for at, layer in enumerate(layers)]
    places = {f"{name}, layer": head}
    for span in spans:
        free = (lane for lane, taken in places.items() if taken is not head and taken[-1].end <= span.start)
        lane = next(free, f"place {len(places)}")
        places.setdefault(lane, []).append(Span(span.start, span.end, "", span.tone))
    return Timeline(places, unit="operations", legend={tone: TOLD[tone] for tone in {s.tone for s in spans}})


def lives(way: Pass, passed: tuple[list[Tensor], Tensor, Tensor]) -> list[Span]:
    """Watch a pass, and return when each tensor of x's size was alive."""
    with Lives(*passed[1:]) as seen:
        result = way(*passed)
    del result
    spans: list[Span] = seen.spans
    return spans


def drawn_lives(push: Pass, pull: Pass, passed: tuple[list[Tensor], Tensor, Tensor]) -> list[Timeline]:
    """Draw a push and a pull through the same layers."""
    there = range(1, len(passed[0]) + 1)
    back = reversed(there)
    return [lanes("push", lives(push, passed), there), lanes("pull", lives(pull, passed), [*there, *back])]


# Operations -------------------------------------------------------------------------------------------------


def attention(kernel: SDPBackend | None, x: Tensor) -> Tensor:
    """Let a sequence attend to itself, by a kernel of our choice or of torch's."""
    with sdpa_kernel(kernel) if kernel else nullcontext():
        return functional.scaled_dot_product_attention(x, x, x)


def seeded(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """Make a module with weights that are always the same."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(14)
        module: nn.Module = make().to(dtype).requires_grad_(False)
    return module


LABELS = torch.tensor([[1, 3, 2], [4, 1, 0]])
CHOSEN, STARTS = torch.tensor([0, 2, 1, 2]), torch.tensor([0, 1])
GRID = torch.linspace(-0.9, 0.8, 24).view(1, 3, 4, 2)


def lstm_cell(x: Tensor) -> Tensor:
    """Run an LSTM over a sequence by its cell, step by step."""
    cell = seeded(partial(nn.LSTMCell, 4, 3), x.dtype)
    state = None
    for x_BI in x:
        state = cell(x_BI, state)
    assert state is not None
    last: Tensor = state[0]
    return last


def lstm(x: Tensor) -> Tensor:
    """Run an LSTM over a sequence, by whichever kernel torch chooses."""
    y: Tensor = seeded(partial(nn.LSTM, 4, 3), x.dtype)(x)[0]
    return y


SINGLE, DOUBLE = torch.float32, torch.float64
BOTH = SINGLE, DOUBLE


YES, NO, OPEN = "yes", "no rule", "open"


class Asked(NamedTuple):
    """What is called, with what, and what should be answered to a push and to two pulls.

    What differs from one version of torch to the next is open.
    """

    run: Curve
    shape: tuple[int, ...]
    push: str = YES
    pulls: str = YES
    dtypes: tuple[torch.dtype, ...] = BOTH


def operations() -> dict[str, Asked]:
    """Return what is asked to be pushed; next to some that refuse stands the same in other words."""
    one_dnn = torch.backends.mkldnn.is_available()
    flash, plain = SDPBackend.FLASH_ATTENTION, SDPBackend.MATH
    chosen, starts = torch.tensor([0, 2, 1, 2]), torch.tensor([0, 1])
    return {
        "attention, flash kernel": Asked(partial(attention, flash), (2, 3, 5, 8), NO, NO),
        "attention, math kernel": Asked(partial(attention, plain), (2, 3, 5, 8)),
        "cdist": Asked(lambda x: torch.cdist(x, 2 * x[:2] + 1), (4, 3), NO, OPEN),
        "norm of differences": Asked(lambda x: (x[:, None] - 2 * x[:2] - 1).norm(dim=-1), (4, 3)),
        "LSTM in float32": Asked(lstm, (5, 2, 4), NO if one_dnn else YES, YES, (SINGLE,)),
        "LSTM in float64": Asked(lstm, (5, 2, 4), YES, YES, (DOUBLE,)),
        "LSTM cell": Asked(lstm_cell, (5, 2, 4)),
        "GRU": Asked(lambda x: seeded(partial(nn.GRU, 4, 3), x.dtype)(x)[0], (5, 2, 4)),
        "embedding_bag": Asked(lambda x: functional.embedding_bag(chosen, x, starts), (4, 3), NO, NO),
        "mean of embeddings": Asked(lambda x: torch.stack([x[0], x[[2, 1, 2]].mean(0)]), (4, 3)),
        "grid_sample": Asked(sampled, (1, 2, 5, 5), NO, OPEN),
        "ctc_loss": Asked(ctc, (6, 2, 5), NO, NO),
    }


def sampled(x: Tensor) -> Tensor:
    """Read an image between its pixels."""
    grid = torch.linspace(-0.9, 0.8, 24, dtype=x.dtype).view(1, 3, 4, 2)
    return functional.grid_sample(x, grid, align_corners=False)


def ctc(x: Tensor) -> Tensor:
    """Score two labellings of a sequence."""
    labels, lengths = torch.tensor([[1, 3, 2], [4, 1, 0]]), (torch.tensor([6, 6]), torch.tensor([3, 2]))
    return functional.ctc_loss(x.log_softmax(-1), labels, *lengths)


def point(name: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return a point at which an operation is asked, and a direction."""
    draw = torch.Generator().manual_seed(14)
    x, v = (torch.randn(operations()[name].shape, generator=draw, dtype=DOUBLE) for _ in range(2))
    return x.to(dtype), v.to(dtype)


# Forward gradients ------------------------------------------------------------------------------------------


def spread_of_errors(repeats: int) -> Tolerance:
    """Return how far a mean of relative squared errors may lie from 1."""
    return Tolerance(
        4 * 1.16 / repeats**0.5,
        "4 standard errors: for n = 3 and S = 10 the moments of a normal v give a squared error a deviation "
        f"of 1.16 of its mean, and {repeats} are averaged; for the larger n and S it is a quarter",
    )


def spread_of_cosines(size: int, repeats: int) -> Tolerance:
    """Return how far a mean of cosines may lie from what is expected."""
    return Tolerance(
        4 * ((1 - 2 / math.pi) / size / repeats) ** 0.5,
        "4 standard errors: the square of a cosine is 1/n on average, so its variance is (1 − 2/π)/n, and "
        f"{repeats} are averaged",
    )


# Guesses ----------------------------------------------------------------------------------------------------


class Guesses(NamedTuple):
    """A question, its answers with what is to be said of each, and the right one."""

    question: str
    guesses: dict[str, str]
    answer: str


RECORDED = Guesses(
    "You push a direction through 16 tanh layers whose weights require grad, and do nothing about it. How "
    "many tensors of x's size live at the peak?",
    {
        "6": "That is what the push itself needs. But the weights require grad, and autograd watches.",
        "18": "So it is in a pull: the values of 16 layers, and two gradients.",
        "33": "A value and a tangent for each layer, and one more? It keeps the tangent twice.",
        "49": "**Yes.** Of each layer it keeps the value, and the tangent before and behind tanh.",
    },
    "49",
)
KEPT = Guesses(
    "Inside `no_grad` a dual tensor goes through an operation. What becomes of its tangent?",
    {
        "it is lost": "So it is in `inference_mode`. `no_grad` stops the graph, and a tangent is not in it.",
        "it is kept": "**Yes.** So you can push under `no_grad`, and you should.",
        "it becomes zero": "Zero would be a wrong slope. A tangent is there, or it is None.",
    },
    "it is kept",
)
RATE = Guesses(
    "The gradient of 50 numbers is estimated from 100 random directions. How large is the error, measured by "
    "the gradient's own length?",
    {
        "1 %": "So it would be if each direction told one per cent. But most of it is noise.",
        "10 %": "That is 1/√100, the error of a single number's mean. Here 50 numbers disturb one another.",
        "71 %": "**Yes.** √(51/100): twice as many directions as numbers, and the estimate is hardly one.",
    },
    "71 %",
)
