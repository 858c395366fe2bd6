"""A backend that counts, a beginning without compiled code, a kernel cut out of its module. No compiler is called."""

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils import cpp_extension

from labs.kit.topics.compiling import Counted, Counting, fresh_compiler, kernel_in, name_without_spaces


def twice(x: Tensor) -> Tensor:
    return x + x


def test_each_graph_is_kept_and_run_as_it_is() -> None:
    backend = Counting()
    with fresh_compiler():
        assert torch.compile(twice, backend=backend)(torch.ones(2)).tolist() == [2, 2]
    assert backend.operators == [1]


def test_what_was_compiled_before_is_forgotten_and_what_was_inside_afterwards() -> None:
    backend = Counting()
    compiled = torch.compile(twice, backend=backend)
    compiled(torch.ones(2))
    with fresh_compiler():
        compiled(torch.ones(2))
        compiled(torch.ones(2))
        assert len(backend.graphs) == 2
    compiled(torch.ones(2))
    assert len(backend.graphs) == 3


def test_both_counters_count() -> None:
    for in_tensor in (False, True):
        counted = Counted(in_tensor=in_tensor)
        assert [counted(torch.ones(1)).item() for _ in range(3)] == [1, 2, 3]


def test_the_kernel_is_what_stands_between_the_quotes() -> None:
    assert (
        kernel_in("before '''\nextern \"C\"  void kernel()\n{\n    end\n}\n''') behind")
        == 'extern "C"  void kernel()\n{\n  end\n}\n'
    )


def test_libraries_in_a_folder_with_a_space_get_a_name_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spaced, own = tmp_path / "a b", tmp_path / "own"
    for folder in (spaced, own):
        folder.mkdir()
    for _ in range(2):  # a second process finds the link there
        monkeypatch.setattr(cpp_extension, "TORCH_LIB_PATH", str(spaced))
        name_without_spaces(str(own))
        assert " " not in cpp_extension.TORCH_LIB_PATH
        assert os.path.samefile(cpp_extension.TORCH_LIB_PATH, spaced)
