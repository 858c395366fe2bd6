"""What lab 09 runs in this mode and that, and what it sees there."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim import SGD, Adam, Optimizer, RMSprop

from labs.kit.measure.memory import saved_bytes
from labs.kit.measure.timing import seconds
from labs.m2_autograd._lab09_cases import Use

Context = Callable[[], AbstractContextManager[object]]
GRAPH: Context = nullcontext  # the graph is on where nobody switches it off


def observed(training: bool, statistics: bool, context: Context) -> tuple[bool, bool, bool, bool]:
    """Run a network in a mode, with its BatchNorm perhaps in another, and see what it did.

    Whether there is a graph, anything was dropped, statistics moved, the result is an inference tensor.
    """
    norm, drop = nn.BatchNorm1d(6), nn.Dropout(0.5)
    model = nn.Sequential(nn.Linear(4, 6), norm, drop).train(training)
    norm.train(statistics)
    dropped: list[Tensor] = []
    drop.register_forward_hook(lambda layer, inputs, result: dropped.append(inputs[0] != result))
    assert norm.running_mean is not None
    before = norm.running_mean.clone()
    with context():
        y_BH = model(torch.randn(9, 4))
    moved = not torch.equal(norm.running_mean, before)
    return y_BH.grad_fn is not None, bool(dropped[0].any()), moved, y_BH.is_inference()


# Whether the network is in training, whether its BatchNorm is, and what autograd is told.
MODES: dict[str, tuple[bool, bool, Context]] = {
    "train()": (True, True, GRAPH),
    "eval()": (False, False, GRAPH),
    "train(), BatchNorm in eval()": (True, False, GRAPH),
    "train(), no_grad": (True, True, torch.no_grad),
    "eval(), no_grad": (False, False, torch.no_grad),
    "train(), inference_mode": (True, True, torch.inference_mode),
    "eval(), inference_mode": (False, False, torch.inference_mode),
}
ARMS = "all learn", "flag off", "no_grad"
OPTIMIZERS: dict[str, Callable[[list[Tensor]], Optimizer]] = {
    "SGD": partial(SGD, lr=0.1),
    "RMSprop": partial(RMSprop, lr=0.1),
    "SGD with momentum": partial(SGD, lr=0.1, momentum=0.9),
    "SGD with weight decay": partial(SGD, lr=0.1, weight_decay=0.1),
    "Adam": partial(Adam, lr=0.1),
}
GRADS = "zeros in .grad", "None in .grad"


def moved(make: Callable[[list[Tensor]], Optimizer], grad: str) -> str:
    """Train a weight for three steps, freeze it, leave zeros or None in `.grad`, and train on."""
    weight_N, other_N = (torch.ones(5, requires_grad=True) for _ in range(2))
    optimizer = make([weight_N])
    for _ in range(3):
        optimizer.zero_grad()
        (weight_N * other_N).backward(torch.ones(5))
        optimizer.step()
    weight_N.requires_grad_(False)
    optimizer.zero_grad(set_to_none=grad == GRADS[1])
    before_N = weight_N.clone()
    (weight_N * other_N).backward(torch.ones(5))
    optimizer.step()
    end = "stays" if torch.equal(weight_N, before_N) else "moves"
    return end


def taken(use: Use, inference: bool) -> list[float] | str:
    """Apply an operation to w and t, which may be an inference tensor: w's gradient, or `refused`."""
    w_N = torch.tensor([0.5, 1.5, 3.0], requires_grad=True)
    with torch.inference_mode(inference):
        t_N, places_N = torch.tensor([2.0, 1.0, 2.0]), torch.tensor([2, 0, 2])
    try:
        y = use.apply(w_N, t_N, places_N)
    except RuntimeError as error:
        return "refused" if "Inference tensors cannot be saved" in str(error) else str(error)
    (gradient_N,) = torch.autograd.grad(y, w_N, torch.arange(1.0, 1 + y.numel()).view_as(y))
    return gradient_N.tolist()


def keeps(use: Use) -> str:
    """Tell by saved-tensor hooks whether an operation on w keeps one of the ordinary tensors t and places."""
    w_N = torch.tensor([0.5, 1.5, 3.0], requires_grad=True)
    others = torch.tensor([2.0, 1.0, 2.0]), torch.tensor([2, 0, 2])
    kept: set[int] = set()

    def put_aside(tensor: Tensor) -> Tensor:
        kept.add(tensor.data_ptr())
        return tensor

    with saved_tensors_hooks(put_aside, torch.clone):
        use.apply(w_N, *others)
    found = kept & {tensor.data_ptr() for tensor in others}
    answer = "kept" if found else "not kept"
    return answer


def with_inside() -> Iterator[int]:
    """Count to two inside `with torch.no_grad()`."""
    with torch.no_grad():
        yield 1
        yield 2


@torch.no_grad()
def decorated() -> Iterator[int]:
    """Count to two under the decorator `@torch.no_grad()`."""
    yield 1
    yield 2


def left_in_the_middle(make: Callable[[], Iterator[int]]) -> list[bool]:
    """Take the first number of a generator and leave it there: is the graph on? Then drop the generator."""
    with torch.enable_grad():
        numbers = make()
        next(numbers)
        seen = [torch.is_grad_enabled()]
        del numbers
        seen.append(torch.is_grad_enabled())
    return seen


def inference_ones() -> Tensor:
    """Make ones in inference mode."""
    with torch.inference_mode():
        return torch.ones(3)


def written_to_outside() -> tuple[str, list[float]]:
    """Add 1 to an inference tensor outside of the mode: what torch says, and what is in it then."""
    t_N = inference_ones()
    told = "no error"
    try:
        t_N.add_(1)
    except RuntimeError as error:
        told = str(error).partition(" is not allowed")[0]
    return told, t_N.tolist()


def made_in(mode: Context) -> list[bool]:
    """Make things while the graph is off, and see which of them require a gradient."""
    with mode():
        made = [
            nn.Parameter(torch.ones(3)),
            torch.ones(3, requires_grad=True),
            torch.ones(3).requires_grad_(),
            nn.Linear(2, 3).weight,
        ]
        made += [made[0] * 2, made[3].sum()]
    return [tensor.requires_grad for tensor in made]


# Whether the network is in training, what autograd is told, and whether weights and data require a gradient.
KEEPING: dict[str, tuple[bool, Context, tuple[bool, bool]]] = {
    "train()": (True, GRAPH, (True, False)),
    "eval()": (False, GRAPH, (True, False)),
    "no_grad": (True, torch.no_grad, (True, False)),
    "inference_mode": (True, torch.inference_mode, (True, False)),
    "all weights frozen": (True, GRAPH, (False, False)),
    "frozen, data require a gradient": (True, GRAPH, (False, True)),
}


def kept_in(
    training: bool, context: Context, flags: tuple[bool, bool], batch: int, hidden: int
) -> tuple[int, bool]:
    """Send data through Linear, ReLU, Linear: the bytes kept besides, and whether it was in training.

    `flags` say whether the weights require a gradient, and whether the data do.
    """
    model = nn.Sequential(nn.Linear(16, hidden), nn.ReLU(), nn.Linear(hidden, 4)).train(training)
    model.requires_grad_(flags[0])
    x_BI = torch.randn(batch, 16, requires_grad=flags[1])
    with context():
        kept = saved_bytes(lambda: model(x_BI), besides=(x_BI, *model.parameters()))
    return kept, model.training


def products(context: Context, size: int, times: int) -> None:
    """Multiply a tensor by a weight so many times."""
    x_N, weight_N = torch.ones(size), torch.ones(size, requires_grad=True)
    with context():
        for _ in range(times):
            x_N * weight_N


TIMED: dict[str, Context] = {"graph": GRAPH, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}


def nanoseconds(sizes: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Time a product of tensors of each size in each mode by turns, and keep the shortest of seven times."""
    rows = []
    for size in sizes:
        times = max(1, 2**11 // size)
        acts = [partial(products, context, size, times) for context in TIMED.values()]
        took = [[seconds(act, 1) / times for act in acts] for _ in range(7)]
        rows.append((size, *(round(min(column) * 1e9) for column in zip(*took, strict=True))))
    return rows
