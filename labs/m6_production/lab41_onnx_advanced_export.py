"""Lab 41 · ONNX advanced export · Zaawansowany eksport do ONNX

Question:
    How do you export a model that takes any batch size, and what do you do when the export fails?

You will see:
    - One file that answers for every batch size and length as torch does, because its input says so.
    - What an export freezes without a word: a shape, a loop's turns, even a dim that was declared free.
    - An operator that ONNX lacks, a report that names it, and three cures.
    - A runtime that takes another provider than you asked for, and weights in a quarter of the bytes.

Run:
    make lab-41
    python -m labs.m6_production.lab41_onnx_advanced_export --smoke

Needs:
    1 process, a GPU for one of the claims, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for what lies behind a pointer

Remember:
    An export writes down what one run does: shapes, loops and branches stay as the example had them unless
    you say otherwise. Declare free dims with `dynamic_shapes`, read off the file that they stayed free, and
    compare it with torch over many sizes. Where an operator is missing, read the report, then rewrite,
    decompose or translate. Ask the profile who computed, not the list of providers. This lab does
    not show static quantization or models above 2 GiB. Next comes lab 42, which makes models fast first.

Sources:
    - PyTorch documentation, torch.onnx: https://docs.pytorch.org/docs/stable/onnx.html
    - PyTorch documentation, torch.export: https://docs.pytorch.org/docs/stable/export.html
    - ONNX, External Data: https://onnx.ai/onnx/repo-docs/ExternalData.html
    - ONNX Runtime, Execution Providers: https://onnxruntime.ai/docs/execution-providers/
    - ONNX Runtime, quantization:
      https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
    - ONNX Runtime, I/O Binding: https://onnxruntime.ai/docs/performance/tune-performance/iobinding.html

Notebook:
    41_ONNX_Advanced_Export.ipynb
"""

import io
import re
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from labs.kit import Lab, Tolerance, exercise, main, needs
from labs.kit.topics.onnx_files import (
    CPU,
    CUDA,
    answer_or_nan,
    as_module,
    bytes_of,
    input_shape,
    profiled,
    quiet_exporter,
    raised,
    session_of,
    weights_in,
)
from labs.kit.topics.quiet_libraries import quiet_libraries
from labs.m6_production._lab41_helpers import (
    EDGES,
    FREE,
    Draw,
    Overtaken,
    Searches,
    Size,
    absent_provider,
    binned_by_search,
    by_if,
    counting,
    eager_answers,
    graph_of,
    latencies_us,
    network,
    operators_of,
    opset_of,
    progress_in,
    signals,
    sizes_tried,
    tokens,
)

# Shape letters: B batch, T tokens or time (the length), D width, H heads, C classes, K edges of bins.

EXAMPLE = (3, 7)  # batch and length of the example of an export; two different numbers, neither of them 1
KEEP = 0.75  # what a running average keeps of itself in each step
ROUNDING = Tolerance(
    1e-5, "float32 rounds by 2⁻²⁴ = 6e-8; a chain of 170 roundings, all one way", relative=True
)
Dims = tuple[dict[int, Any], ...]
NAMES: Any = {"input_names": ["input"], "output_names": ["output"], "verbose": False}
SEARCHSORTED: Any = torch.ops.aten.searchsorted.Tensor


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    batches: int = 16  # batch sizes 1 … N that are tried
    longest: int = 48  # lengths up to this one are tried
    width: int = 64  # width D of the network

    @classmethod
    def smoke(cls) -> "Config":
        return cls(batches=4, longest=12, width=32)


@exercise(
    "A tuple with one entry for each input of the network. Each entry says, by the number of the dim, which "
    "dims are free.",
    "`torch.export.Dim(name)` makes a free dim. The name is what the exported file will show in the place of "
    "a number.",
    'One input with two free dims: `({0: Dim("batch"), 1: Dim("length")},)`',
    contract="""
        The network has one input, of shape (B, T). Return what `dynamic_shapes` wants: a tuple with one dict
        for each input, from the number of a dim to a `torch.export.Dim`; dim 0 is called "batch" and dim 1
        "length".

        >>> len(free_dims()), sorted(free_dims()[0])
        (1, [0, 1])
        """,
    insight=(
        "A name costs one word. Forgotten, it costs a second export on the day when somebody sends two "
        "samples."
    ),
)
def free_dims() -> Dims:
    """Name the dims of the input (B, T) that may change from call to call."""
    dims = ({0: Dim("batch"), 1: Dim("length")},)
    return dims


def exported(
    work: nn.Module | Callable[[Tensor], Tensor], draw: Draw, example: Size, dims: Dims | None
) -> bytes:
    """Export a network, or a function, to ONNX: a protocol buffer, here as bytes in memory."""
    with quiet_exporter():
        program = torch.onnx.export(
            as_module(work), (draw(*example),), dynamo=True, dynamic_shapes=dims, **NAMES
        )
    return bytes_of(program)


def answers(proto: bytes, draw: Draw, sizes: tuple[Size, ...]) -> Tensor:
    """Ask onnxruntime for the answers to one request of each size, and join them. A refusal counts as NaN."""
    session = session_of(proto)
    found = [answer_or_nan(session, draw(*size)) for size in sizes]
    return torch.cat(found)


FIXED_GUESSES = {
    "it answers": "So it would if shapes were looked at when the file runs, not when it was made.",
    "an error that names 4 and 3": "**Yes.** The file says 3, not `batch`, and the runtime checks.",
    "a wrong answer": "That happens with loops, as the next part shows. Shapes of inputs are checked.",
}


def one_file(cfg: Config, lab: Lab) -> None:
    """How does one file answer for every batch size?

    A service sends you one sentence, then sixteen, then three. The model takes them all in Python. An export
    runs the model *once*, on an example, and writes down what happens; all that it sees of a shape are
    numbers. Whatever you do not declare free stays the example's number for ever.

    `dynamic_shapes` is the declaration. `torch.export` then carries a symbol in the place of each free dim
    and follows it through every operator, so that the file says `batch` and `length` where it would have said
    3 and 7. The file holds a graph of operators of one version of the standard, its *opset*. It runs without
    Python, although many nodes keep a note of the line of Python, and the path, that they came from.

    An export that works for one size proves little. So ask for every batch size, and for the lengths 1 and 2
    as well.
    """
    model, sizes = network(cfg.width), sizes_tried(cfg.batches, cfg.longest)
    question = "Exported on 3 sentences without `dynamic_shapes`: what does a request of 4 get?"
    lab.predict("41.fixed", question, FIXED_GUESSES, "an error that names 4 and 3")
    proto = lab.once(exported, model, tokens, EXAMPLE, lab.step(free_dims))
    rows = [("opset", opset_of(proto)), *Counter(operators_of(proto)).most_common(6)]
    lab.table("The file's opset, and its most frequent operators", ["what", "which, or how many"], rows)
    lab.equal(
        "41.free", "The file's input has two free dims, by name.", input_shape(proto), ["batch", "length"]
    )
    expected, found = eager_answers(model, tokens, sizes), lab.step(answers, proto, tokens, sizes)
    lab.close("41.parity", "One file answers as torch does for every size.", found, expected, within=ROUNDING)
    rigid = lab.step(exported, model, tokens, EXAMPLE, None)
    more = {"input": tokens(EXAMPLE[0] + 1, EXAMPLE[1]).numpy()}
    refusal = f"Got: {EXAMPLE[0] + 1} Expected: {EXAMPLE[0]}"
    ask = partial(session_of(rigid).run, None, more)
    lab.raises("41.fixed", "Without free dims the runtime refuses one sample more.", ask, Exception, refusal)


def exported_by_tracing(work: Callable[[Tensor], Tensor], draw: Draw) -> bytes:
    """Export by the old road, `dynamo=False` with `dynamic_axes`, which warns of its own age."""
    file: Any = io.BytesIO()
    axes = {"input": {0: "batch", 1: "length"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(as_module(work), (draw(*EXAMPLE),), file, dynamo=False, dynamic_axes=axes, **NAMES)
    return bytes(file.getvalue())


def average_by_loop(x_BT: Tensor) -> Tensor:
    """Take a running average along time, one step of a Python loop after the other."""
    mean_B = torch.zeros_like(x_BT[:, 0])
    for time in range(x_BT.shape[1]):
        mean_B = KEEP * mean_B + (1 - KEEP) * x_BT[:, time]
    return mean_B


def average_at_once(x_BT: Tensor) -> Tensor:
    """Take the same average in one sum: the value of a steps ago counts with (1 - KEEP)·KEEPᵃ."""
    age_T = torch.arange(x_BT.shape[1] - 1, -1, -1, dtype=x_BT.dtype)
    return (x_BT * (1 - KEEP) * KEEP**age_T).sum(1)


def louder_or_softer(x_BT: Tensor) -> Tensor:
    """Choose by the data: double what is positive on the whole, and halve what is not."""
    doubled: Tensor = torch.cond(x_BT.sum() > 0, lambda x: x * 2, lambda x: x / 2, (x_BT,))
    return doubled


def captured_program(
    module: nn.Module, draw: Draw, example: Size, dims: Dims
) -> torch.export.ExportedProgram:
    """Capture a program without translating it, which is strict about free dims."""
    free = dims or None
    with quiet_libraries():
        return torch.export.export(module, (draw(*example),), dynamic_shapes=free)


LOOP_GUESSES = {
    "the average of all": "So Python would. But the loop is gone: its 7 turns were written down.",
    "the average of the first 7": "**Yes.** Seven turns were recorded, and nobody checks the length.",
    "an error": "The new exporter's file gives one, since it says 7. The old exporter believes you.",
}


def frozen(cfg: Config, lab: Lab) -> None:
    """What else does an export freeze?

    Everything that Python decides. A `for` over the length is unrolled: what is recorded are its turns. An
    `if` on a number in a tensor keeps the branch that the example took.

    The old exporter (`dynamo=False`, you will meet it in older code) marks the axes that you name as free
    while it records, and believes you. It warns of the `if`, but not of the loop: a wrong file comes out. The
    new one refuses the `if`. It also notices that the loop fixes the length, but does not stop for that: it
    takes your declaration back without a word, and your user gets the error.

    `torch.export.export`, called on its own, *refuses* what would fix a free dim. That is its merit: the
    error comes to you. It is so strict that an example batch of 1 looks like a constant to it, since a size
    of 1 broadcasts; the exporter asks it to overlook that.

    The cures: say the loop as one operation on the whole tensor, and the branch as `torch.cond`, which
    becomes an `If` in the file, with both branches in it.
    """
    first = EXAMPLE[1]
    model = network(cfg.width)
    single = lambda: lab.step(captured_program, model, tokens, (1, first), FREE)  # noqa: E731
    told = "a constant (1)"
    lab.raises(
        "41.batch-one",
        "`torch.export` takes an example batch of 1 for a constant.",
        single,
        RuntimeError,
        told,
    )
    question = f"A loop over 7 numbers was recorded by the old exporter. What does it make of {cfg.longest}?"
    lab.predict("41.unrolled", question, LOOP_GUESSES, "the average of the first 7")
    unrolled = lab.step(exported_by_tracing, average_by_loop, signals)
    longer = (2, cfg.longest)
    wrong, cut = lab.step(answers, unrolled, signals, (longer,)), average_by_loop(signals(*longer)[:, :first])
    lab.close("41.unrolled", "A recorded loop reads as much as its example had.", wrong, cut, within=ROUNDING)
    renewed = lab.step(exported, average_by_loop, signals, (1, first), FREE)
    rows = [("the old one", *input_shape(unrolled)), ("the new one", *input_shape(renewed))]
    lab.table("The loop's input, all free, as exporters wrote it", ["exporter", "dim 0", "dim 1"], rows)
    sizes = sizes_tried(cfg.batches, cfg.longest)
    at_once = lab.step(exported, average_at_once, signals, EXAMPLE, FREE)
    branching = lab.step(exported, louder_or_softer, signals, EXAMPLE, FREE)
    lab.say(f"The file of the branch holds these operators: {', '.join(operators_of(branching))}.")
    found = torch.cat([lab.step(answers, file, signals, sizes) for file in (at_once, branching)])
    either = torch.cat([eager_answers(work, signals, sizes) for work in (average_by_loop, by_if)])
    lab.close(
        "41.cured", "One sum and `torch.cond` are right for every size.", found, either, within=ROUNDING
    )


@exercise(
    "A value's bin is how many edges lie below it.",
    "Compare every value with every edge by broadcasting: `x_BT.unsqueeze(-1)` is (B, T, 1), the edges are "
    "(K).",
    "`(x_BT.unsqueeze(-1) > edges_K).sum(-1)`",
    contract="""
        `x_BT` holds numbers, `edges_K` the edges of bins in ascending order; both stay as they are. Return
        for each number how many edges are smaller than it, as int64 of shape (B, T), with no operator that
        searches: only comparisons and sums, which ONNX has.

        >>> bins_by_counting(torch.tensor([[-2.0, 0.0, 0.3]]), torch.tensor([-1.0, 0.0, 1.0]))
        tensor([[0, 1, 2]])
        """,
    insight=(
        "An operator that is missing is seldom needed: for a dozen edges a search compares four times for "
        "each number, and a count twelve times, all at once."
    ),
)
def bins_by_counting(x_BT: Tensor, edges_K: Tensor) -> Tensor:
    """Find each value's bin without a search: count the edges that are smaller."""
    bins_BT = (x_BT.unsqueeze(-1) > edges_K).sum(-1)
    return bins_BT


def refused(work: Callable[[Tensor], Tensor], dims: Dims) -> tuple[BaseException | None, str]:
    """Export what cannot be exported, with `report=True`; return the error's cause and the report."""
    cause, options = None, {"dynamic_shapes": dims, "report": True, **NAMES}
    with tempfile.TemporaryDirectory() as folder, quiet_exporter():
        try:
            torch.onnx.export(as_module(work), (signals(*EXAMPLE),), artifacts_dir=folder, **options)
        except torch.onnx.OnnxExporterError as error:
            cause = error.__cause__
        report = "".join(file.read_text(encoding="utf-8") for file in Path(folder).glob("*.md"))
    return cause, report


def cured() -> dict[str, bytes]:
    """Export the bins in three ways around the missing operator: rewritten, decomposed and translated."""
    import onnxscript

    op: Any = onnxscript.opset18

    def in_onnx(edges_K: Any, x_BT: Any, **options: Any) -> Any:
        below_BTK = op.Less(edges_K, op.Unsqueeze(x_BT, [-1]))
        return op.ReduceSum(op.Cast(below_BTK, to=7), [-1], keepdims=0)  # 7 is int64

    def in_torch(edges_K: Tensor, x_BT: Tensor, **options: Any) -> Tensor:
        return counting(x_BT, edges_K)

    rewritten = exported(lambda x_BT: counting(x_BT, torch.tensor(EDGES)), signals, EXAMPLE, FREE)
    captured = captured_program(as_module(binned_by_search), signals, EXAMPLE, FREE)
    with quiet_exporter():
        plain = captured.run_decompositions({SEARCHSORTED: in_torch})
        decomposed = torch.onnx.export(plain, dynamo=True, **NAMES)
        translated = torch.onnx.export(
            captured, dynamo=True, custom_translation_table={SEARCHSORTED: in_onnx}, **NAMES
        )
    return {"rewritten": rewritten, "decomposed": bytes_of(decomposed), "translated": bytes_of(translated)}


def missing_operator(cfg: Config, lab: Lab) -> None:
    """What do you do when the export fails?

    Your model sorts numbers into bins with `torch.searchsorted`, and ONNX has no such operator. The export
    ends in a traceback of dozens of lines. Ask for the report instead (`report=True`): how far it came, the
    captured program, which operators occur, and which have no translation.

    There are three ways on. *Rewrite*: the plainest, where the model is yours. *Decompose*: the model stays
    as it is, and `run_decompositions` replaces the operator in the captured program wherever it stands.
    *Translate*: write the operator in ONNX's own terms and hand it to the exporter, for when no mixture of
    torch's operators is good enough.

    We try multiples of a quarter: many lie right on an edge.
    """
    sizes = sizes_tried(cfg.batches, cfg.longest)
    cause, report = lab.step(refused, binned_by_search, FREE)
    lab.listing("How far the export came, from its report", progress_in(report))
    missing = torch.onnx.OnnxExporterError
    lacking = re.findall(r"^- `([\w.]+)`: +No decomp", report, re.MULTILINE)
    # An error that the report does not explain is none that we were looking for.
    again = partial(raised, cause if lacking == ["aten.searchsorted.Tensor"] else None)
    node = "node %searchsorted"
    lab.raises("41.missing", "The search cannot be exported, and the report names it.", again, missing, node)
    lab.say(f"The report names what has no translation: {', '.join(lacking)}.")
    ways = lab.step(cured)
    lab.diagram("One line of Python, as it stands in the file", graph_of(ways["rewritten"]))
    bins = eager_answers(binned_by_search, signals, sizes)
    tried = [(signals(*size), torch.tensor(edges)) for edges in (EDGES, EDGES[1:4]) for size in sizes]
    with Searches() as searches:
        counted: list[Any] = [lab.step(bins_by_counting, x_BT, edges_K) for x_BT, edges_K in tried]
    counted, cases = [*counted, searches.found], 2 * len(bins)
    want = [*(torch.searchsorted(edges_K, x_BT) for x_BT, edges_K in tried), []]
    lab.equal(
        "41.counted", "Counting finds every bin without a search.", counted, want, cases=cases, unit="bins"
    )
    found: list[Any] = [lab.step(answers, proto, signals, sizes) for proto in ways.values()]
    # Three files, and not one of them thrice: the translation alone was written with `Less`.
    found += [len({*ways.values()}), ["Less" in operators_of(proto) for proto in ways.values()]]
    due, size = [*[bins] * 3, 3, [False, False, True]], 3 * len(bins)
    lab.equal("41.cures", "Each of the three cures gives every bin.", found, due, cases=size, unit="bins")


def kept_apart(proto: bytes, folder: Path) -> dict[str, int]:
    """Save a model with its weights in a file of their own, and count the bytes of both files."""
    import onnx

    apart: dict[str, Any] = {"save_as_external_data": True, "location": "weights.bin"}
    model = onnx.load_from_string(proto)
    onnx.save_model(model, folder / "model.onnx", size_threshold=1024, **apart)
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def ran_on(proto: bytes, draw: Draw, size: Size, providers: tuple[str, ...]) -> list[tuple[str, str]]:
    """Run one request under onnxruntime's profiler, and read who computed which node."""
    kernels = profiled(proto, {"input": draw(*size).numpy()}, providers)
    nodes = [(kernel["op_name"], kernel["provider"]) for kernel in kernels]
    return nodes


PROVIDER_GUESSES = {
    "it does not start": "So one would wish. But a list of providers is a list of wishes, in order.",
    "it runs on the CPU": "**Yes.** A provider that is missing is passed over with one warning at the start.",
    "it runs, ten times slower than on the CPU": "It runs as on the CPU, since that is where it runs.",
}


def deployed(cfg: Config, lab: Lab) -> None:
    """What goes to the server, and who computes there?

    A protocol buffer ends at 2 GiB, so larger models keep their weights in a second file, raw, at offsets
    that the first one names. A runtime can map that file into memory. The price: two files that must travel
    together, and a model without its weights does not load.

    On the server a *provider* is a set of kernels: CPU, CUDA, TensorRT. onnxruntime gives each node to the
    first provider of your list that can compute it. A provider that is not installed at all is passed over.
    A GPU can idle for months that way and nobody sees it, so ask the profile who computed.
    """
    proto = lab.once(exported, network(cfg.width), tokens, EXAMPLE, FREE)
    with tempfile.TemporaryDirectory() as folder:
        sides = lab.step(kept_apart, proto, Path(folder))
        lab.table("Two files", ["file", "bytes"], list(sides.items()))
        Path(folder, "weights.bin").unlink(missing_ok=True)
        reopen, gone = partial(session_of, str(Path(folder, "model.onnx"))), "External data path"
        lab.raises(
            "41.alone", "The model does not load once its weights file is gone.", reopen, Exception, gone
        )
    question = "You ask onnxruntime for a provider that is not installed. What happens?"
    lab.predict("41.fallback", question, PROVIDER_GUESSES, "it runs on the CPU")
    asked = absent_provider(), CPU
    nodes = lab.step(ran_on, proto, tokens, EXAMPLE, asked)
    rows = [(*node, times) for node, times in Counter(nodes).most_common(8)]
    caption = f"Most of the {len(nodes)} nodes that ran, asked for {asked[0]}"
    lab.table(caption, ["operator", "provider", "times"], rows)
    computed = [who for _, who in nodes]
    cpu = [CPU] * len(nodes)
    lab.equal("41.fallback", "A missing provider is replaced by the CPU.", computed, cpu, unit="nodes")


def quantized(proto: bytes) -> bytes:
    """Store the weights of all matrix products in one byte each, and compute with them in integers."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        target = Path(folder, "int8.onnx")
        model = onnx.load_from_string(proto)
        quantize_dynamic(model, target, op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
        small = target.read_bytes()
    return small


def smaller(cfg: Config, lab: Lab) -> None:
    """What do a quarter of the bytes cost?

    A weight w becomes q = round(w/s) + z, one byte, with one scale s = (max w − min w)/255 and one zero point
    z for the whole matrix. So w is off by s/2 at most. What else goes into a product is quantized for each
    request, as it comes: hence *dynamic* quantization. The bytes are unsigned: for signed ones an x86
    processor without VNNI adds pairs of products in 16 bits, which can overflow and are then cut off.

    The bytes are easy to promise. Whether the answers survive has to be asked. Numbers are off by s/√12 on
    average. For weights spread evenly over ±a that is 1/255 of their own size, a/√3. Activations have
    outliers: where some of thousands lie at ±4σ, it is 8σ/255/√12, or 0.9 % of σ. Both together make one
    percent for each product, and a chain of five adds such errors like a random walk: √5 times one percent.
    """
    model, sizes = network(cfg.width), sizes_tried(cfg.batches, cfg.longest)
    proto = lab.once(exported, model, tokens, EXAMPLE, FREE)
    stored, tiny = weights_in(proto), lab.step(quantized, proto)
    small = weights_in(tiny)
    matrices = [name for name, tensor in stored.items() if tensor.ndim == 2 and name != "embed.weight"]
    was = sum(stored[name].nbytes for name in matrices)
    now = sum(small.get(f"{name}_quantized", stored[name]).nbytes for name in matrices)
    why = f"1 byte for 4, in {len(matrices)} matrices"
    lab.bytes("41.int8", "The matrices take a quarter of their bytes.", now, want=was // 4, because=why)
    walk = "five products in a row, one percent each, as a random walk: 2.2 %, and a third on top"
    near = Tolerance(0.03, walk, relative=True)
    found, due = lab.step(answers, tiny, tokens, sizes), eager_answers(model, tokens, sizes)
    lab.close(
        "41.int8-answers",
        "The answers from one-byte weights are torch's within 3 %.",
        found,
        due,
        within=near,
    )


@exercise(
    "`binding = session.io_binding()` takes a place for each input and output. It wants a raw pointer, a "
    "type and a shape.",
    "`binding.bind_output(name, device, 0, numpy_type, shape, pointer)`, and `bind_input` with the same "
    "arguments.",
    "The pointers are `tokens_BT.data_ptr()` and `scores_BC.data_ptr()`, the types np.int64 and np.float32; "
    "then `run_with_iobinding`.",
    contract="""
        `session` has an input called "input" and an output called "output". `tokens_BT` (int64) and
        `scores_BC` (float32) are contiguous and lie on one device, of the type `tokens_BT.device.type`: the
        CPU here, often a GPU on a server. Run the session so that it reads `tokens_BT` where it lies and
        writes its answer into `scores_BC`, and return `scores_BC`. Copy neither.

        >>> import onnx.parser
        >>> from labs.kit.topics.onnx_files import session_of
        >>> text = '<ir_version: 8, opset_import: ["" : 18]> m (int64[B,T] input) => (float[B,T] output) '
        >>> model = onnx.parser.parse_model(text + "{ output = Cast<to = 1>(input) }")
        >>> bound(session_of(model.SerializeToString()), torch.tensor([[1, 2]]), torch.zeros(1, 2))
        tensor([[1., 2.]])
        """,
    insight=(
        "On a GPU this saves two trips over the bus for each request; on a CPU only a new array for the "
        "answer."
    ),
)
def bound(session: Any, tokens_BT: Tensor, scores_BC: Tensor) -> Tensor:
    """Let the session read a torch tensor and write its answer into another."""
    import numpy as np

    binding, device = session.io_binding(), tokens_BT.device.type
    binding.bind_input("input", device, 0, np.int64, tokens_BT.shape, tokens_BT.data_ptr())
    binding.bind_output("output", device, 0, np.float32, scores_BC.shape, scores_BC.data_ptr())
    session.run_with_iobinding(binding)
    return scores_BC


def served(cfg: Config, lab: Lab) -> None:
    """How do you serve it fast?

    `session.run` takes and returns NumPy arrays. On a CPU it reads yours in place and allocates a new one for
    the answer. On a GPU that is two trips over the bus for each request. A *binding* names the memory
    instead: the session reads here, and writes there.

    With a small batch eager torch is busy with Python, the dispatcher and an allocation for each operator;
    onnxruntime has planned all that before. As the batch grows, the matrix products fill the time of both.
    """
    model, first = network(cfg.width), EXAMPLE[1]
    proto = lab.once(exported, model, tokens, EXAMPLE, FREE)
    session, request, scores_BC = session_of(proto), tokens(2, 6), torch.full((2, 5), torch.nan)
    # Other tokens are put where the request lies, right before the session runs: a copy still holds the old.
    late = tokens(3, 4).view(2, 6)
    answer = lab.step(bound, Overtaken(session, request, late), request, scores_BC)
    want = torch.from_numpy(session.run(None, {"input": late.numpy()})[0])
    got, due, n = [scores_BC, answer is scores_BC], [want, True], want.numel()
    lab.equal(
        "41.bound", "What was bound is read and written where it lies.", got, due, cases=n, unit="scores"
    )
    grown = tuple((2**power, first) for power in range(cfg.batches.bit_length()))
    took = latencies_us(proto, cfg.width, grown, 3 if lab.smoke else 15)
    batches = [batch for batch, _ in grown]
    axes: Any = {"x_label": "batch", "y_label": "microseconds", "log_x": True, "log_y": True}
    lab.plot(f"Latency of one request of length {first}", batches, took, **axes)
    by_file = partial(answer_or_nan, session, tokens(1, first))
    eager = partial(torch.no_grad()(model.forward), tokens(1, first))
    why = "the same products, without Python and the dispatcher"
    lab.ratio(
        "41.latency", "A single sample is no slower in onnxruntime.", by_file, eager, at_most=1.0, because=why
    )


@needs("cuda in onnxruntime")
def on_a_gpu(cfg: Config, lab: Lab) -> None:
    """Who computes where there is a GPU?

    The same question with CUDA first in the list. Matrix products must run there. Some small nodes about
    shapes stay on the CPU, and rightly: moving one number to the GPU takes longer than computing with it.
    A machine with a GPU is not enough: the package `onnxruntime` has kernels for processors alone, and only
    `onnxruntime-gpu` brings those for CUDA. With the wrong one of the two installed nothing fails.
    """
    proto = lab.once(exported, network(cfg.width), tokens, EXAMPLE, FREE)
    nodes = lab.step(ran_on, proto, tokens, EXAMPLE, (CUDA, CPU))
    products = [who for operator, who in nodes if "MatMul" in operator or "Gemm" in operator]
    cuda = [CUDA] * len(products)
    lab.equal("41.cuda", "CUDA computes every matrix product.", products, cuda, unit="products")


def run(cfg: Config, lab: Lab) -> None:
    for part in (one_file, frozen, missing_operator, deployed, smaller, served, on_a_gpu):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
