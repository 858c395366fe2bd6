"""Lab 41 · ONNX advanced export · Zaawansowany eksport do ONNX

Question:
    How do you export a model that takes any batch size, and what do you do when the export fails?

You will see:
    - One file that answers for every batch size and length as torch does, because its input says `batch` and `length`.
    - What does not: a fixed shape; an example batch of 1, which `torch.export` takes for a constant; a Python loop, which the
      old exporter unrolls, and which then reads only the first numbers of what it gets, without an error.
    - An operator that ONNX lacks, a report that names it, and three cures that give the same answers to the last bit.
    - Weights in a file of their own, weights in a quarter of the bytes, and an answer written into memory that you chose.
    - Which provider computed each node: not what you asked for, but what the profile says. A provider that is missing is no error.

Run:
    make lab-41
    python -m labs.m6_production.lab41_onnx_advanced_export --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    lab 01 for what lies behind a pointer

Sources:
    - PyTorch documentation: torch.onnx; torch.export, sections Expressing Dynamism and Constraints/Dynamic Shapes
    - ONNX specification: External Data; operators MatMul, ReduceSum, MatMulInteger
    - ONNX Runtime documentation: Execution Providers; Quantize ONNX models; I/O Binding; Profiling

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
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.measure.timing import in_turn
from labs.kit.topics.onnx_files import (
    CPU,
    CUDA,
    answer_or_nan,
    as_module,
    bytes_of,
    input_shape,
    profiled,
    raised,
    session_of,
    weights_in,
)
from labs.kit.topics.quiet_libraries import quiet_libraries

# Shape letters: B batch, T tokens or time (the length), D width, H heads, C classes, K edges of bins.

VOCABULARY, HEADS, CLASSES = 64, 4, 5
EXAMPLE = (
    3,
    7,
)  # batch and length of the example that an export traces; two different numbers, neither of them 1
EDGES = (-1.0, -0.5, 0.0, 0.5, 1.0)
KEEP = 0.75  # what a running average keeps of itself in each step
DIGITS = 1e-5
ROUNDING = "float32 rounds by 2⁻²⁴ = 6e-8; 1e-5 allows a chain of 170 roundings, all in one direction"
LARGE = 1024  # tensors of at least so many bytes leave the model's file
Size = tuple[int, int]
Draw = Callable[[int, int], Tensor]
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


class Classifier(nn.Module):
    """One block of a transformer over token numbers, and the mean of what it says at each token."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.embed, self.qkv, self.out = (
            nn.Embedding(VOCABULARY, width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )
        self.up, self.down, self.head = (
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
            nn.Linear(width, CLASSES),
        )

    def forward(self, tokens_BT: Tensor) -> Tensor:
        x_BTD = self.embed(tokens_BT)
        q_BHTD, k_BHTD, v_BHTD = (
            self.qkv(x_BTD).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        )
        seen_BHTD = nn.functional.scaled_dot_product_attention(q_BHTD, k_BHTD, v_BHTD)
        x_BTD = x_BTD + self.out(seen_BHTD.transpose(1, 2).flatten(2))
        scores_BC: Tensor = self.head(x_BTD + self.down(nn.functional.gelu(self.up(x_BTD)))).mean(1)
        return scores_BC


@exercise(
    "A tuple with one entry for each input of the network. Each entry says, by the number of the dim, which dims are free.",
    "`torch.export.Dim(name)` makes a free dim. The name is what the exported file will show in the place of a number.",
    'One input with two free dims: `({0: Dim("batch"), 1: Dim("length")},)`',
)
def free_dims() -> Dims:
    """Name the dims of the input (B, T) that may change from call to call, `batch` and `length`.

    An export runs the network once, on an example, and writes down what happens. All it sees of a shape are numbers, and
    whatever you do not declare free stays the example's number for ever. `dynamic_shapes` is this declaration.
    """
    dims = ({0: Dim("batch"), 1: Dim("length")},)
    return dims


def exported(
    work: nn.Module | Callable[[Tensor], Tensor], draw: Draw, example: Size, dims: Dims | None
) -> bytes:
    """Export a network, or a function, to ONNX.

    `torch.export` captures a graph of ATen operators with symbols for the free dims. Then each operator is translated into
    operators of ONNX, and the graph is folded and cleaned. The result is a protocol buffer: here, bytes in memory.
    """
    with quiet_libraries():
        program = torch.onnx.export(
            as_module(work), (draw(*example),), dynamo=True, dynamic_shapes=dims, **NAMES
        )
    return bytes_of(program)


def answers(proto: bytes, draw: Draw, sizes: tuple[Size, ...], *providers: str) -> Tensor:
    """Ask onnxruntime for the answers to one request of each size, and join them.

    No Python of the network is left: onnxruntime reads the graph, fuses what it can and calls its own kernels. An export that
    works on one size proves little, so ask for every batch size. A request that is refused counts as NaN, close to nothing.
    """
    session = session_of(proto, *providers)
    found = [answer_or_nan(session, draw(*size)) for size in sizes]
    return torch.cat(found)


def exported_by_tracing(work: nn.Module | Callable[[Tensor], Tensor], draw: Draw) -> tuple[bytes, list[str]]:
    """Export by the old road, `dynamo=False` with `dynamic_axes`, and collect what it warns of.

    You will meet it in older code. It records the calls of one run, so whatever Python decided is gone. `dynamic_axes` does
    not constrain anything. It only renames the dims of the inputs, whether or not the recorded graph agrees. Deprecated.
    """
    file: Any = io.BytesIO()
    axes = {"input": {0: "batch", 1: "length"}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.onnx.export(as_module(work), (draw(*EXAMPLE),), file, dynamo=False, dynamic_axes=axes, **NAMES)
    categories = sorted(
        {warning.category.__name__ for warning in caught if Path(warning.filename) == Path(__file__)}
    )
    return file.getvalue(), categories


@exercise(
    "A value's bin is how many edges lie below it.",
    "Compare every value with every edge by broadcasting: `x_BT.unsqueeze(-1)` is (B, T, 1), the edges are (K).",
    "`(x_BT.unsqueeze(-1) > edges_K).sum(-1)`",
)
def bins_by_counting(x_BT: Tensor, edges_K: Tensor) -> Tensor:
    """Find each value's bin without a search: count the edges that are smaller.

    `torch.searchsorted` finds the first edge that is not smaller than x, by halving, in log K steps. ONNX has no such operator.
    But it has comparisons and sums, and for a dozen edges K comparisons cost nothing. Return int64 of shape (B, T).
    """
    bins_BT = (x_BT.unsqueeze(-1) > edges_K).sum(-1)
    return bins_BT


def refused(work: Callable[[Tensor], Tensor], dims: Dims) -> tuple[BaseException | None, str]:
    """Export what cannot be exported, with `report=True`; return the error's cause and the report that it leaves.

    The report lists how far the export came, the captured program, how often each operator occurs, and which have no
    translation. It is the first thing to read, and the thing to attach to a bug report.
    """
    cause = None
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        try:
            torch.onnx.export(
                as_module(work),
                (signals(*EXAMPLE),),
                dynamic_shapes=dims,
                report=True,
                artifacts_dir=folder,
                **NAMES,
            )
        except torch.onnx.OnnxExporterError as error:
            cause = error.__cause__
        report = "".join(file.read_text(encoding="utf-8") for file in Path(folder).glob("*.md"))
    return cause, report


def cured(dims: Dims) -> dict[str, bytes]:
    """Export the bins in three ways around the missing operator.

    *Rewrite* the model: the plainest, where the model is yours. *Decompose* the captured program: the model stays as it is, and
    `run_decompositions` replaces the operator by others wherever it stands. *Translate*: write the operator in ONNX's own terms
    (with onnxscript) and hand it to the exporter, for when no mixture of torch's operators is good enough.
    """
    import onnxscript

    op: Any = onnxscript.opset18

    def in_onnx(edges_K: Any, x_BT: Any, **options: Any) -> Any:
        below_BTK = op.Less(edges_K, op.Unsqueeze(x_BT, [-1]))
        return op.ReduceSum(op.Cast(below_BTK, to=7), [-1], keepdims=0)  # 7 is int64

    rewritten = exported(lambda x_BT: bins_by_counting(x_BT, torch.tensor(EDGES)), signals, EXAMPLE, dims)
    captured = captured_program(as_module(binned_by_search), signals, EXAMPLE, dims)
    with quiet_libraries():
        plain = captured.run_decompositions(
            {SEARCHSORTED: lambda edges_K, x_BT, **options: bins_by_counting(x_BT, edges_K)}
        )
        decomposed = torch.onnx.export(plain, dynamo=True, **NAMES)
        translated = torch.onnx.export(
            captured, dynamo=True, custom_translation_table={SEARCHSORTED: in_onnx}, **NAMES
        )
    return {"rewritten": rewritten, "decomposed": bytes_of(decomposed), "translated": bytes_of(translated)}


def kept_apart(proto: bytes, folder: Path) -> dict[str, int]:
    """Save a model with its weights in a file of their own, and count the bytes of both files.

    A protocol buffer ends at 2 GiB. So larger models keep their weights beside it, raw, at offsets that the model's file names;
    a runtime can map them into memory instead of reading them. The price: two files that must travel together.
    """
    import onnx

    model = onnx.load_from_string(proto)
    onnx.save_model(
        model, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=LARGE
    )
    return {file.name: file.stat().st_size for file in folder.iterdir()}


def ran_on(proto: bytes, draw: Draw, size: Size, providers: tuple[str, ...]) -> list[tuple[str, str]]:
    """Run one request under onnxruntime's profiler, and read who computed which node.

    A provider is a set of kernels: CPU, CUDA, TensorRT and others. onnxruntime gives each node to the first provider of your
    list that can compute it. One that is not there at all is passed over with a warning, so the list proves nothing.
    """
    kernels = profiled(proto, {"input": draw(*size).numpy()}, providers)
    nodes = [(kernel["op_name"], kernel["provider"]) for kernel in kernels]
    return nodes


def quantized(proto: bytes) -> bytes:
    """Store the weights of all matrix products as int8, and compute with them in integers.

    A weight w becomes q = round(w / s), with one scale s = max|w| / 127 for the whole matrix, so that w ≈ s·q with an error of
    s/2 at most. What else goes into a product is quantized for each request, as it comes: hence "dynamic".
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        target = Path(folder, "int8.onnx")
        model = onnx.load_from_string(proto)
        quantize_dynamic(model, target, op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)
        small = target.read_bytes()
    return small


@exercise(
    "`binding = session.io_binding()` takes a place for each input and output. It wants a raw pointer, a type and a shape.",
    "`binding.bind_output(name, device, 0, numpy_type, shape, pointer)`, and `bind_input` with the same arguments.",
    "The pointers are `tokens_BT.data_ptr()` and `scores_BC.data_ptr()`, the types np.int64 and np.float32; then `run_with_iobinding`.",
)
def bound(session: Any, tokens_BT: Tensor, scores_BC: Tensor) -> Tensor:
    """Let the session read a torch tensor and write its answer into another, without a copy.

    `session.run` takes and returns NumPy arrays: two copies per call, and on a GPU two trips over the bus. A binding names the
    memory instead. The inputs are called "input" and "output"; both tensors are contiguous and lie on the same device, whose
    type is `tokens_BT.device.type`. Return `scores_BC`.
    """
    import numpy as np

    binding, device = session.io_binding(), tokens_BT.device.type
    binding.bind_input("input", device, 0, np.int64, tuple(tokens_BT.shape), tokens_BT.data_ptr())
    binding.bind_output("output", device, 0, np.float32, tuple(scores_BC.shape), scores_BC.data_ptr())
    session.run_with_iobinding(binding)
    return scores_BC


def latencies_us(proto: bytes, width: int, sizes: tuple[Size, ...], rounds: int) -> dict[str, list[float]]:
    """Time one request at growing batch sizes, in microseconds, in eager torch and in onnxruntime, on one thread each.

    With a small batch eager torch is busy with Python, the dispatcher and an allocation for each operator; onnxruntime has
    planned all this before. As the batch grows, matrix products fill the time of both.
    """
    eager, session = torch.no_grad()(network(width).forward), session_of(proto)
    calls = [
        (partial(eager, x_BT), partial(answer_or_nan, session, x_BT))
        for x_BT in (tokens(*size) for size in sizes)
    ]
    arms = [in_turn(*pair, rounds=rounds) for pair in calls]
    return {
        "eager torch": [1e6 * median(arm.first) for arm in arms],
        "onnxruntime": [1e6 * median(arm.second) for arm in arms],
    }


@cache
def network(width: int) -> nn.Module:
    torch.manual_seed(41)
    return Classifier(width).eval()


def tokens(batch: int, length: int) -> Tensor:
    return torch.randint(
        VOCABULARY, (batch, length), generator=torch.Generator().manual_seed(100 * batch + length)
    )


def signals(batch: int, length: int) -> Tensor:
    """Draw multiples of a quarter from -1.5 to 1.5, so that many values lie right on an edge of a bin."""
    return (
        torch.randint(-6, 7, (batch, length), generator=torch.Generator().manual_seed(100 * batch + length))
        / 4
    )


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


def binned_by_search(x_BT: Tensor) -> Tensor:
    bins_BT = torch.searchsorted(torch.tensor(EDGES), x_BT)
    return bins_BT


@torch.no_grad()
def eager_answers(work: Callable[[Tensor], Tensor], draw: Draw, sizes: tuple[Size, ...]) -> Tensor:
    return torch.cat([work(draw(*size)).flatten() for size in sizes])


def captured_program(
    module: nn.Module, draw: Draw, example: Size, dims: Dims
) -> torch.export.ExportedProgram:
    """Capture a program without translating it: what `torch.onnx.export` takes too, and what is strict about free dims."""
    free = dims or None
    with quiet_libraries():
        return torch.export.export(module, (draw(*example),), dynamic_shapes=free)


def run(cfg: Config, lab: Lab) -> None:
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

    alike = partial(lab.close, tolerance=DIGITS, relative=True, because=ROUNDING)
    model, first = network(cfg.width), EXAMPLE[1]
    sizes = tuple(
        (batch, length) for batch in range(1, cfg.batches + 1) for length in (1, 2, first, cfg.longest)
    )
    expected = eager_answers(model, tokens, sizes)
    dims = lab.step(free_dims)
    proto = lab.step(exported, model, tokens, EXAMPLE, dims)
    lab.equal(
        "41.free", "the exported input has two free dims, by name", input_shape(proto), ["batch", "length"]
    )
    tried = f"batches 1 … {cfg.batches}, lengths 1 … {cfg.longest}"
    alike(
        "41.parity",
        f"one file answers as torch does: {tried}",
        lab.step(answers, proto, tokens, sizes),
        expected,
    )
    rigid, other = (
        lab.step(exported, model, tokens, EXAMPLE, None),
        {"input": tokens(EXAMPLE[0] + 1, first).numpy()},
    )
    lab.equal(
        "41.rigid",
        "an export without `dynamic_shapes` keeps the example's numbers",
        input_shape(rigid),
        list(EXAMPLE),
    )
    more, told = partial(session_of(rigid).run, None, other), f"Got: {EXAMPLE[0] + 1} Expected: {EXAMPLE[0]}"
    lab.raises("41.fixed", "and the runtime refuses one sample more", more, InvalidArgument, told)
    single = partial(captured_program, model, tokens, (1, first), dims)
    lab.raises(
        "41.batch-one",
        "`torch.export` takes an example batch of 1 for a constant",
        single,
        RuntimeError,
        "a constant (1)",
    )
    lenient = lab.step(answers, lab.step(exported, model, tokens, (1, first), dims), tokens, sizes)
    alike(
        "41.batch-one-onnx",
        "`torch.onnx.export` on its own does not, and its file takes any batch",
        lenient,
        expected,
    )

    traced, _ = lab.step(exported_by_tracing, model, tokens)
    alike(
        "41.legacy",
        "`dynamic_axes` does as well for this network",
        lab.step(answers, traced, tokens, sizes),
        expected,
    )
    unrolled, said = lab.step(exported_by_tracing, average_by_loop, signals)
    longer = (2, cfg.longest)
    wrong, cut = lab.step(answers, unrolled, signals, (longer,)), average_by_loop(signals(*longer)[:, :first])
    alike(
        "41.unrolled",
        f"but a loop keeps the example's {first} turns: of {cfg.longest} numbers it reads {first}",
        wrong,
        cut,
    )
    lab.equal("41.told", "and all that it warns of is its own age", said, ["DeprecationWarning"])
    strict = partial(captured_program, as_module(average_by_loop), signals, EXAMPLE, dims)
    lab.raises("41.loop", "`torch.export` refuses the loop", strict, RuntimeError, f"a constant ({first})")
    at_once = lab.step(exported, average_at_once, signals, EXAMPLE, dims)
    looped = eager_answers(average_by_loop, signals, sizes)
    alike(
        "41.loop-cured",
        "one sum in the place of the loop cures it",
        lab.step(answers, at_once, signals, sizes),
        looped,
    )

    counted, searched = (
        lab.step(bins_by_counting, signals(8, 8), torch.tensor(EDGES)),
        binned_by_search(signals(8, 8)),
    )
    lab.equal("41.counted", "to count the edges below is to search among them", counted, searched)
    cause, report = lab.step(refused, binned_by_search, dims)
    again, node = partial(raised, cause), "node %searchsorted"
    lab.raises(
        "41.missing", "the search itself cannot be exported", again, torch.onnx.OnnxExporterError, node
    )
    progress, lacking = (
        re.search(r"```\n(.*?)```", report, re.DOTALL),
        re.findall(r"^- `([\w.]+)`: +No decomp", report, re.MULTILINE),
    )
    lab.listing("How far the export came, from its report", progress[1] if progress else report)
    lab.equal("41.report", "the report names the operator", lacking, [SEARCHSORTED.name().replace("::", ".")])
    bins = eager_answers(binned_by_search, signals, sizes)
    for way, made in lab.step(cured, dims).items():
        lab.equal(f"41.{way}", f"{way}, it gives every bin", lab.step(answers, made, signals, sizes), bins)

    stored = weights_in(proto)
    large = sum(tensor.nbytes for tensor in stored.values() if tensor.nbytes >= LARGE)
    with tempfile.TemporaryDirectory() as folder:
        sides = lab.step(kept_apart, proto, Path(folder))
        lab.bytes(
            "41.external",
            "the second file holds every large tensor",
            sides.get("weights.bin", 0),
            at_least=large,
            because="Σ bytes",
        )
        Path(folder, "weights.bin").unlink(missing_ok=True)
        reopen = partial(session_of, str(Path(folder, "model.onnx")))
        lab.raises("41.alone", "and the first does not load without it", reopen, Fail, "External data path")

    here = lab.step(ran_on, proto, tokens, EXAMPLE, (CPU,))
    lab.table(
        "Nodes that ran",
        ["operator", "provider", "times"],
        [(*node, times) for node, times in Counter(here).most_common(8)],
    )
    lab.equal(
        "41.provider",
        "every node ran on the provider that was asked for",
        {provider for _, provider in here},
        {CPU},
    )
    absent = next(
        name for name in onnxruntime.get_all_providers() if name not in onnxruntime.get_available_providers()
    )
    instead = lab.step(ran_on, proto, tokens, EXAMPLE, (absent, CPU))
    lab.equal(
        "41.fallback",
        f"asked for {absent}, it runs on the CPU all the same",
        {provider for _, provider in instead},
        {CPU},
    )
    gpu, gpu_alike = "on the GPU, CUDA computes every matrix product", "and the answers agree"
    if not torch.cuda.is_available() or CUDA not in onnxruntime.get_available_providers():
        lab.not_measured(
            "needs CUDA, and onnxruntime-gpu",
            {"41.cuda": ("exact", gpu), "41.cuda-parity": ("close", gpu_alike)},
        )
    else:
        there = {
            provider
            for operator, provider in lab.step(ran_on, proto, tokens, EXAMPLE, (CUDA, CPU))
            if "MatMul" in operator
        }
        lab.equal("41.cuda", gpu, there, {CUDA})
        found = answers(proto, tokens, sizes, CUDA)
        lab.close(
            "41.cuda-parity",
            gpu_alike,
            found,
            expected,
            tolerance=1e-2,
            relative=True,
            because="TF32: 2⁻¹¹ for each product",
        )

    small = weights_in(lab.step(quantized, proto))
    matrices = [name for name, tensor in stored.items() if tensor.ndim == 2 and name != "embed.weight"]
    was, now = (
        sum(kept.get(name + "_quantized", stored[name]).nbytes for name in matrices)
        for kept in (stored, small)
    )
    lab.bytes(
        "41.int8",
        f"{len(matrices)} matrices take a quarter of the bytes",
        now,
        want=was // 4,
        because="1 byte for 4",
    )
    pairs = [
        (stored[name] / small[name + "_scale"], small[name + "_quantized"])
        for name in matrices
        if name + "_scale" in small
    ]
    steps = [(exact - rounded).abs().max().item() for exact, rounded in pairs]
    half, why = 0.5 + 127 * 2**-23, "rounding; float32 holds 127 to within 127·2⁻²³"
    lab.close(
        "41.int8-error",
        "and no weight moves by more than half a step",
        steps,
        [0.0] * len(steps),
        tolerance=half,
        because=why,
    )

    session, request = session_of(proto), tokens(*EXAMPLE)
    answer = lab.step(bound, session, request, torch.zeros(EXAMPLE[0], CLASSES))
    same = torch.from_numpy(session.run(None, {"input": request.numpy()})[0])
    lab.equal("41.bound", "the tensor that was bound holds what `run` returns", answer, same)

    grown = tuple((2**power, first) for power in range(cfg.batches.bit_length()))
    took = lab.step(latencies_us, proto, cfg.width, grown, 3 if lab.smoke else 15)
    axes: Any = {"x_label": "batch", "y_label": "microseconds", "log_x": True, "log_y": True}
    lab.plot("Latency of one request", [batch for batch, _ in grown], took, **axes)
    arms = (
        partial(answer_or_nan, session, tokens(1, first)),
        partial(torch.no_grad()(model.forward), tokens(1, first)),
    )
    why = "the same products, without Python and the dispatcher"
    lab.ratio(
        "41.latency",
        "for a single sample onnxruntime is no slower than eager torch",
        *arms,
        at_most=1.0,
        because=why,
    )


MUTANTS = (
    Mutant("frees the batch alone", free_dims, ', 1: Dim("length")', ""),
    Mutant(
        "mixes up the names",
        free_dims,
        '{0: Dim("batch"), 1: Dim("length")}',
        '{0: Dim("length"), 1: Dim("batch")}',
    ),
    Mutant(
        "frees what should be fixed", exported, "dynamic_shapes=dims", "dynamic_shapes=dims or free_dims()"
    ),
    Mutant("captures one shape", captured_program, "dims or None", "None"),
    Mutant(
        "forgets the axes", exported_by_tracing, 'axes = {"input": {0: "batch", 1: "length"}}', "axes = None"
    ),
    Mutant(
        "counts the oldest most", average_at_once, "x_BT.shape[1] - 1, -1, -1, dtype", "x_BT.shape[1], dtype"
    ),
    Mutant("puts an edge into the bin above", bins_by_counting, ">", ">="),
    Mutant("counts the edges above", bins_by_counting, ">", "<"),
    Mutant(
        "takes an operator that ONNX has",
        binned_by_search,
        "searchsorted(torch.tensor(EDGES), x_BT)",
        "bucketize(x_BT, torch.tensor(EDGES))",
    ),
    Mutant("reads no report", refused, "*.md", "*.txt"),
    Mutant(
        "decomposes it the wrong way round",
        cured,
        "bins_by_counting(x_BT, edges_K)",
        "bins_by_counting(-x_BT, edges_K)",
    ),
    Mutant("translates it with the edge", cured, "op.Less(", "op.LessOrEqual("),
    Mutant("keeps all in one file", kept_apart, "save_as_external_data=True", "save_as_external_data=False"),
    Mutant("takes the operator for the provider", ran_on, 'kernel["provider"])', 'kernel["op_name"])'),
    Mutant("believes the list", ran_on, 'kernel["provider"])', "providers[0])"),
    Mutant("quantizes no product", quantized, '["MatMul"]', '["Conv"]'),
    Mutant(
        "lets the session choose the memory",
        bound,
        ", 0, np.float32, tuple(scores_BC.shape), scores_BC.data_ptr()",
        "",
    ),
    Mutant("never runs", bound, "session.run_with_iobinding(binding)", "pass"),
)


if __name__ == "__main__":
    main(run, Config)
