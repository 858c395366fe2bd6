"""What lab 13 says beside its claims: sums over any cut, numbers of its prose, what its helpers notice."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from labs.kit.distributed.world import World
from labs.m2_autograd import _lab13_helpers as helpers
from labs.m2_autograd import _lab13_tools as tools
from labs.m2_autograd import lab13_gradient_accumulation as lab

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=5)


@given(SIZES, st.integers(0, 2))
def test_any_cut_makes_the_whole_batchs_gradient(sizes: list[int], ignored: int) -> None:
    batches = tools.micro_batches(sizes, ignored=ignored)
    model = tools.classifier()
    lab.accumulate(model, batches)
    inputs_BI, labels_B = tools.whole(batches)
    whole = tools.classifier()
    functional.cross_entropy(
        whole(inputs_BI), labels_B
    ).backward()  # NaN where no label counts, with zeros behind
    torch.testing.assert_close(tools.gradient_row(model), tools.gradient_row(whole))
    torch.testing.assert_close(tools.true_gradient(batches), tools.gradient_row(whole))


@given(SIZES)
def test_another_cut_of_as_many_samples_has_the_same_samples(sizes: list[int]) -> None:
    for cut, whole in zip(
        tools.whole(tools.micro_batches(sizes)), tools.micro_batches((sum(sizes),))[0], strict=True
    ):
        assert torch.equal(cut, whole)


def test_one_rank_alone_accumulates_as_without_ddp() -> None:
    @settings(max_examples=20)  # each makes two models under DDP
    @given(SIZES)
    def agrees(sizes: list[int]) -> None:
        batches = tools.micro_batches([*sizes, 3])
        alone = tools.classifier()
        lab.accumulate(alone, batches)
        torch.testing.assert_close(gradient_over_ranks(batches), tools.gradient_row(alone))
        assert len(helpers.messages(lab.accumulate_on_ranks, batches)) == 2

    with World().group():
        agrees()


def gradient_over_ranks(batches: list[tools.Batch]) -> Tensor:
    """Accumulate under DDP, whose model must not outlive the group: the last to let go of a group waits for its
    threads, and if that is the model, it waits with Python's lock in its hands, for which they may wait, too."""
    model = tools.copied_to_all()
    lab.accumulate_on_ranks(model, batches)
    return tools.gradient_row(model)


def test_three_losses_in_two_pieces() -> None:
    """The example of the prose: 1 and 1, then 4."""
    weight = nn.Parameter(torch.zeros(()))
    pieces = torch.tensor([1.0, 1.0]), torch.tensor([4.0])
    for losses in pieces:
        ((weight * losses).mean() / 2).backward()
    assert weight.grad == 2.5


def test_a_token_of_3_counts_17_times_as_much_as_one_of_50() -> None:
    assert round((1 / 3) / (1 / 50)) == 17


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_batchnorm_makes_1_and_minus_1_of_two_samples(scale: float) -> None:
    norm = nn.BatchNorm1d(6).double()
    two = scale * torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = torch.sign(two - two.mean(0))
    torch.testing.assert_close(norm(two), expected, atol=0.05, rtol=0)


def test_batchnorm_refuses_one_sample() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(3)(torch.randn(1, 3))


@pytest.mark.parametrize("shares", [64, 256, 512, 2048])
def test_a_bfloat16_gradient_stops_at_256_of_k(shares: int) -> None:
    assert lab.stored(shares, torch.bfloat16)[-1] == min(1, 256 / shares)
    assert lab.stored(shares, torch.float32)[-1] == 1


def test_the_neighbours_of_a_quarter_in_bfloat16_lie_1_512_apart() -> None:
    quarter = torch.tensor(0.25, dtype=torch.bfloat16)
    assert (quarter + 1 / 512).item() == 0.25 + 1 / 512
    assert (quarter + 1 / 1024).item() == 0.25


def test_under_autocast_a_gradient_is_float32() -> None:
    layer = nn.Linear(3, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = layer(torch.randn(4, 3))
    assert out.dtype == torch.bfloat16
    out.backward(torch.ones_like(out))
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32


def test_the_picture_has_gaps_at_once_and_a_common_end_when_summed_first() -> None:
    batches = tools.micro_batches((7, 7, 7))
    at_once = [
        spans[0] for spans in tools.lives("a", lab.accumulate, tools.classifier(), batches).lanes.values()
    ]
    first = [
        spans[0] for spans in tools.lives("b", lab.summed_first, tools.classifier(), batches).lanes.values()
    ]
    assert all(one.end <= other.start for one, other in pairwise(at_once))
    assert all(other.start < first[0].end and one.start < other.start for one, other in pairwise(first))


def test_memory_over_time_reaches_the_peak() -> None:
    peak = helpers.peak(lab.accumulate, 4, 32, 60)
    assert max(tools.live_bytes(partial(lab.accumulate, *helpers.ready(4, 32, 60)), 20)) == peak


def test_a_changed_weight_or_batch_is_noticed() -> None:
    for spoil in ("nothing", "a weight", "a batch"):
        batches = tools.awkward()[0]
        model = tools.learner(batches)
        lab.accumulate(model, batches)
        with torch.no_grad():
            if spoil == "a weight":
                next(iter(model.parameters())).add_(1)
            elif spoil == "a batch":
                batches[0][0].mul_(2)
        assert (tools.error_left(model, 0, batches) > tools.UNITS.value) is (spoil != "nothing")


def test_sharing_by_rank_has_an_empty_piece_at_the_end_of_one() -> None:
    ends = [[len(labels_B) for _, labels_B in tools.share_of(rank, 0)][-1] for rank in range(3)]
    assert ends == [2, 5, 0]
    assert len({len(tools.share_of(rank, 0)) for rank in range(3)}) == 1


def test_summed_first_sixteen_pieces_need_more_than_eight_times_the_memory_of_one() -> None:
    peaks = [helpers.peak(lab.summed_first, pieces, 8, 60) for pieces in (1, 16)]
    assert peaks[1] > 8 * peaks[0]
