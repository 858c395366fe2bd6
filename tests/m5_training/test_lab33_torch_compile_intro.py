"""What lab 33's claims lean on: break-even by trying, backends that count, what breaks graphs, cuts by rule, a cache of its own."""

import math
import os
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils import cpp_extension

from labs.kit.distributed.world import World
from labs.kit.measure.timing import Arms
from labs.kit.runner import needs
from labs.kit.runner.context import RunContext
from labs.kit.runner.mutants import load
from labs.kit.runner.session import rehearse
from labs.kit.topics import compiling
from labs.m5_training import _lab33_changes as changes
from labs.m5_training import _lab33_helpers as helpers
from labs.m5_training import _lab33_inductor as inductor
from labs.m5_training import lab33_torch_compile_intro as lab33

MILLISECONDS = st.integers(1, 50)


@given(st.integers(1, 2000), MILLISECONDS, MILLISECONDS)
def test_break_even_is_the_first_number_of_calls_that_pays(first: int, eager: int, compiled: int) -> None:
    price = inductor.Price(first, eager, compiled)
    found = lab33.break_even(price)
    if eager <= compiled:
        assert found == math.inf
    else:
        assert price.first + found * compiled <= found * eager
        assert price.first + (found - 1) * compiled > (found - 1) * eager


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6))
def test_without_the_if_it_says_the_same(numbers: list[int]) -> None:
    x_N = torch.tensor(numbers, dtype=torch.float32)
    assert torch.equal(lab33.without_break(x_N), lab33.with_break(x_N))


def test_a_new_process_imports_nothing_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "random.py").write_text("raise SystemExit('a file of the person was imported')\n")
    monkeypatch.chdir(tmp_path)
    assert (
        inductor.calls_in_new_process("", str(tmp_path / "cache"), torch.device("cpu"), vectors=False) == []
    )


# Capturing ------------------------------------------------------------------------------------------------------------


def twice(x: Tensor) -> Tensor:
    return x + x


def test_each_graph_is_kept_and_run_as_it_is() -> None:
    backend = helpers.Counting()
    with compiling.fresh_compiler():
        assert torch.compile(twice, backend=backend)(torch.ones(2)).tolist() == [2, 2]
    assert backend.operators == [["add"]]


def test_what_was_compiled_before_is_forgotten_and_what_was_inside_afterwards() -> None:
    backend = helpers.Counting()
    compiled = torch.compile(twice, backend=backend)
    compiled(torch.ones(2))
    with compiling.fresh_compiler():
        compiled(torch.ones(2))
        compiled(torch.ones(2))
        assert len(backend.graphs) == 2
    compiled(torch.ones(2))
    assert len(backend.graphs) == 3


def test_the_chain_has_as_many_operators_as_the_lesson_says() -> None:
    backend = helpers.Counting()
    with compiling.fresh_compiler():
        torch.compile(lab33.chain, backend=backend)(torch.ones(2))
    assert [len(operators) for operators in backend.operators] == [lab33.OPERATORS]
    assert inductor.work_of(lab33.chain, torch.ones(64)).kernels == lab33.OPERATORS


def test_python_breaks_a_graph_where_it_needs_a_number_or_is_not_traced() -> None:
    found = {cause: helpers.explained(cause) for cause in changes.CAUSES}
    whole = ("`if` on a shape", "a loop over the rows")
    assert {cause: graphs for cause, (graphs, _) in found.items()} == {
        cause: 1 if cause in whole else 2 for cause in changes.CAUSES
    }
    assert all(bool(reason) is (cause not in whole) for cause, (_, reason) in found.items())


def test_the_picture_of_a_break_leads_from_the_first_graph_over_python_to_the_others() -> None:
    picture = helpers.drawn("f", "float32", [["sum"], ["mul"], ["sub"]])
    leads = [(edge.start, edge.end) for edge in picture.edges]
    assert leads == [
        ("call", "guards"),
        ("graph 0", "break"),
        ("guards", "graph 0"),
        ("break", "graph 1"),
        ("break", "graph 2"),
    ]
    assert [picture.nodes[f"graph {place}"].text for place in range(3)] == [
        "graph 1: sum",
        "graph 2: mul",
        "graph 3: sub",
    ]
    assert "break" not in helpers.drawn("f", "float32", [["where"]]).nodes
    assert helpers.drawn("f", "float32", []).lines()


def test_a_tensor_in_words_becomes_that_tensor() -> None:
    for pair in helpers.pairs_of_arguments():
        for argument in pair:
            made = helpers.tensor_of(argument)
            assert (tuple(made.shape), made.stride(), made.dtype) == argument[:3]
            assert (made.requires_grad, type(made), made.storage_offset()) == argument[3:6]
            assert (made == argument.content).all()


def test_what_is_said_to_change_from_call_to_call_does_change() -> None:
    for name, change in changes.changes().items():
        values = [
            list(value.parameters()) if isinstance(value, nn.Module) else value for value in change.values
        ]
        told = [f"{value!r} {getattr(value, 'dtype', '')}" for value in values]
        assert len(set(told)) == len(told) - (name == "a string"), name


def test_the_guard_that_failed_is_the_one_of_these_calls() -> None:
    pair = helpers.Argument((4, 3), (3, 1)), helpers.Argument((5, 3), (3, 1))
    assert not helpers.served_by_one_graph(*pair)  # this leaves a reason behind
    assert helpers.compiles_per_call("numbers in a tensor") == ([1, 0, 0, 0], "")
    assert "dtype mismatch" in helpers.compiles_per_call("a dtype")[1]
    assert helpers.compiles_per_call("an int argument")[1] == "factor == 2"


def test_the_code_that_is_listed_is_that_of_the_forward_and_the_backward_graph() -> None:
    x_N = torch.linspace(-1, 1, 5)
    forward, backward = lab33.trained(lab33.gelu, x_N, x_N, ahead=True).code
    assert "tangents_1" not in forward
    assert "tangents_1" in backward
    assert "tanh(" in forward
    assert "tanh(" in backward


def test_the_slope_of_the_gelu_is_autograds() -> None:
    x_N = torch.linspace(-3, 3, 50, dtype=torch.float64, requires_grad=True)
    (slope_N,) = torch.autograd.grad(lab33.gelu(x_N).sum(), x_N)
    torch.testing.assert_close(helpers.gelu_slope(x_N.detach()), slope_N)


# DDP ------------------------------------------------------------------------------------------------------------------


def test_the_hook_notes_a_bucket_and_hands_its_sum_over() -> None:
    sent, bucket = list[int](), SimpleNamespace(buffer=lambda: torch.tensor([2.0, 3.0]))
    with World().group():
        assert helpers.noted(sent, cast(Any, bucket)).wait().tolist() == [2.0, 3.0]
    assert sent == [8]


def test_weights_are_cut_from_the_end_as_the_lesson_counts_them() -> None:
    mib = 2**20
    graphs, buckets = helpers.cut_by_rule((3, 2, 3, 5), 1.5)
    assert (graphs, buckets) == ([1.25 * mib, 2 * mib], [2 * mib, 1.25 * mib])
    assert helpers.in_mib(graphs) == "1.25 | 2"
    assert helpers.cut_by_rule((3, 50, 60, 5), None) == ([1.25 * mib, 27.5 * mib, 0.75 * mib],) * 2


def test_compiled_around_ddp_a_model_is_cut_as_it_is_inside() -> None:
    quarters, backend = (3, 2, 3, 5), helpers.Counting()
    with World().group():
        inside, _ = lab33.compiled_inside_ddp(quarters, None)
        with compiling.fresh_compiler():
            model = torch.compile(DistributedDataParallel(helpers.Chained(quarters)), backend=backend)
            model(torch.ones(2, 256)).square().mean().backward()
    assert [helpers.weights_in(inputs) for inputs in reversed(backend.inputs)] == inside


# Inductor -------------------------------------------------------------------------------------------------------------


def test_without_a_compiler_the_same_claims_are_made_and_break_even_is_judged(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    lesson = load("labs.m5_training.lab33_torch_compile_intro")
    context = RunContext(only=frozenset({"one_loop", "paid"}))
    notes = rehearse(lesson, lab33.Config.smoke(), context, smoke=True)
    reasons = {claim.id: claim.reason or claim.verdict for claim in notes.claims}
    missing = ("33.fused", "33.same", "33.fast-default", "33.bandwidth", "33.cache")
    assert reasons == {"33.break-even": "held", **dict.fromkeys(missing, "needs a C++ compiler")}


@pytest.mark.skipif(bool(needs.lacking("a C++ compiler", World())), reason="inductor needs a C++ compiler")
def test_a_new_process_with_an_empty_cache_compiles(tmp_path: Path) -> None:
    (call,) = inductor.calls_in_new_process("lab33.chain", str(tmp_path), torch.device("cpu"), vectors=False)
    assert (call.hits, call.misses) == (0, 1)
    assert call.seconds > 0


def test_the_kernel_is_what_stands_between_the_quotes_without_what_repeats() -> None:
    code = "before '''\nextern \"C\"  void kernel()\n{\n    x0+=static_cast<int64_t>(16L)\n}\n''') behind"
    assert inductor.kernel_in(code) == 'extern "C"  void kernel()\n{\n  x0+=16\n}'
    triton = "async_compile.triton('k', '''\nimport triton\n@triton.jit\ndef k():\n    pass\n''', device_str='cuda')"
    assert inductor.kernel_in(triton) == "@triton.jit\ndef k():\n  pass"
    with_rest = code.replace("}\n'''", "if(C10_UNLIKELY(x0)) {}\n}\n'''")
    assert inductor.kernel_in(with_rest).splitlines()[-1].strip().startswith("… and the same for the rest")


def test_what_is_timed_goes_over_the_same_numbers_and_the_copy_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inductor, "by_inductor", lambda function, vectors: lambda x_N: function(x_N) + 1)
    lab = cast(Any, SimpleNamespace(world=World(), smoke=True))
    eager_N, compiled_N, copy_N = (call() for call in inductor.eager_compiled_copy(lab33.chain, 9, lab))
    x_N = torch.linspace(-2, 2, 9)
    assert torch.equal(cast(Tensor, eager_N), lab33.chain(x_N))
    assert torch.equal(cast(Tensor, compiled_N), lab33.chain(x_N) + 1)
    assert torch.equal(cast(Tensor, copy_N), x_N)
    assert not cast(Tensor, copy_N)._is_view()


def test_a_later_call_is_told_of_eager_torch_first_and_then_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def in_turn(first: inductor.Call, second: inductor.Call, **_: object) -> Arms:
        return Arms([float(cast(Any, first()))] * 3, [float(cast(Any, second()))] * 3)

    monkeypatch.setattr(inductor, "in_turn", in_turn)
    monkeypatch.setattr(inductor, "by_inductor", lambda function, vectors: lambda x_N: x_N.sum() + 40)
    times = inductor.seconds_per_call(lambda x_N: x_N.sum() + 20, [2, 3], torch.device("cpu"), vectors=False)
    assert times == [(2, 20.0, 40.0), (3, 20.0, 40.0)]


def test_calls_until_it_has_paid_are_told_for_each_size_and_each_first_call() -> None:
    calls = {"cold": inductor.FirstCall(10.0, 0, 1), "warm": inductor.FirstCall(1.0, 1, 0)}
    rows = inductor.until_paid([(2048, 3e-3, 1e-3), (2, 1e-3, 2e-3)], calls, lab33.break_even)
    assert rows == [("2,048", "3,000", "1,000", "5,000", "500"), ("2", "1,000", "2,000", "never", "never")]


def test_calls_are_warmed_up_in_turn_and_what_the_compiler_says_meanwhile_is_not_heard() -> None:
    order: list[str] = []

    def call(name: str) -> None:
        order.append(name)
        warnings.warn_explicit(
            "TF32 is not enabled", UserWarning, "compile_fx.py", 1, "torch._inductor.compile_fx"
        )

    inductor.warm_up(partial(call, "a"), partial(call, "b"))
    assert order == ["a", "b"] * 4


def test_libraries_in_a_folder_with_a_space_get_a_name_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced, own = tmp_path / "a b", tmp_path / "own"
    for folder in (spaced, own):
        folder.mkdir()
    for _ in range(2):  # a second process finds the link there
        monkeypatch.setattr(cpp_extension, "TORCH_LIB_PATH", str(spaced))
        inductor.name_without_spaces(str(own))
        assert " " not in cpp_extension.TORCH_LIB_PATH
        assert os.path.samefile(cpp_extension.TORCH_LIB_PATH, spaced)
