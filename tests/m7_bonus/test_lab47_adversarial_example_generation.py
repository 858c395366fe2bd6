"""Lab 47: the attacks on a linear network, where the best change is known, and on networks with random weights."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labs.m7_bonus import lab47_adversarial_example_generation as lab
from labs.m7_bonus._lab47_helpers import corner, dealt, straight


@pytest.fixture
def linear() -> nn.Sequential:
    """Two classes, and the second one likes bright pixels. The weights are small: a sure answer has a gradient of zero."""
    layer = nn.Linear(64, 2, bias=False)
    layer.load_state_dict({"weight": torch.stack([torch.zeros(64), torch.full((64,), 0.125)])})
    return nn.Sequential(nn.Flatten(), layer)


def grey(count: int) -> torch.Tensor:
    return torch.full((count, 1, 8, 8), 0.5)


def test_fgsm_brightens_what_is_of_the_first_class_and_darkens_what_is_of_the_second(
    linear: nn.Sequential,
) -> None:
    x_adv_NCHW = lab.fgsm(linear, grey(2), torch.tensor([0, 1]), 0.25)
    assert x_adv_NCHW[0].unique().tolist() == [0.75]
    assert x_adv_NCHW[1].unique().tolist() == [0.25]


def test_a_target_is_approached_with_the_opposite_sign(linear: nn.Sequential) -> None:
    moved_NCHW = lab.targeted(linear, grey(2), torch.tensor([0, 1]), 0.25, 8)
    assert moved_NCHW[0].unique().tolist() == [0.25]
    assert moved_NCHW[1].unique().tolist() == [0.75]


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_attacks_stay_in_the_box(epsilon: float, seed: int) -> None:
    torch.manual_seed(seed)
    model, x_NCHW, y_N = lab.convolutional(), torch.rand(9, 1, 8, 8), torch.randint(10, (9,))
    start_NCHW = lab.anywhere(x_NCHW, epsilon)
    for images_NCHW in (start_NCHW, lab.pgd(model, start_NCHW, x_NCHW, y_N, epsilon, 4)):
        assert torch.equal(images_NCHW, images_NCHW.clamp(x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1))


def test_the_best_corner_of_a_straight_network_is_the_best_of_all() -> None:
    torch.manual_seed(3)
    model, x_NCHW, y_N = straight(2), torch.rand(5, 1, 8, 8).double(), torch.tensor([0, 1, 1, 0, 1])
    best_NCHW = corner(model, x_NCHW, y_N, 1 - y_N, 0.1)
    loss_of_best = cross_entropy(model(best_NCHW), y_N)
    for _ in range(50):
        assert cross_entropy(model(lab.anywhere(x_NCHW, 0.1)), y_N) < loss_of_best


def test_accuracy_is_the_share_of_images_that_are_read_rightly(linear: nn.Sequential) -> None:
    assert lab.accuracy(linear, grey(2), torch.tensor([0, 1])) == 0.5


def test_noise_moves_every_pixel_by_epsilon_both_ways() -> None:
    moved_NCHW = lab.noise(grey(5), 0.25) - 0.5
    assert moved_NCHW.abs().unique().tolist() == [0.25]
    assert moved_NCHW.unique().tolist() == [-0.25, 0.25]


def test_no_digit_is_both_for_training_and_for_testing() -> None:
    data = dealt()
    assert (len(data.train_N), len(data.y_N)) == (1297, 500)
    assert int(torch.bincount(data.y_N, minlength=10).min()) > 20


def test_the_same_seed_trains_the_same_network() -> None:
    data = dealt()
    first, second = (lab.hardened(data, 1, 3, 0.1) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), second.parameters(), strict=True))
