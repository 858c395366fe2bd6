"""Lab 47: the attacks on a linear network, where the best change is known, and on networks with random weights."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labs.m7_bonus import lab47_adversarial_example_generation as lab
from labs.m7_bonus._lab47_helpers import corner, dealt, fooled_digits, shares_of, steered_digits, straight


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


def weights(model: nn.Module) -> torch.Tensor:
    return nn.utils.parameters_to_vector(model.parameters())


def test_another_seed_trains_another_network_and_no_training_looks_at_the_test_images() -> None:
    data = dealt()
    unseen = data._replace(x_NCHW=torch.full_like(data.x_NCHW, torch.nan))
    first, other = (weights(lab.trained(lab.perceptron, unseen, 1, seed)) for seed in (3, 4))
    assert first.isfinite().all()
    assert not torch.equal(first, other)


def test_the_network_of_another_kind_has_convolutions() -> None:
    kinds = [type(layer) for layer in lab.convolutional()]
    assert kinds.count(nn.Conv2d) == 2
    assert nn.Conv2d not in map(type, lab.perceptron())


def test_each_network_is_attacked_through_itself_and_from_a_random_place() -> None:
    torch.manual_seed(5)
    models, x_NCHW, y_N = [lab.perceptron(), lab.perceptron()], grey(6), torch.arange(6)
    images = lab.attacked(models, dealt()._replace(x_NCHW=x_NCHW, y_N=y_N), 0.25, 0)
    assert all(torch.equal(digits, x_NCHW) for digits in images["digits"])
    assert all((noisy - x_NCHW).abs().unique().tolist() == [0.25] for noisy in images["noise"])
    for model, once in zip(models, images["FGSM"], strict=True):
        assert torch.equal(once, lab.fgsm(model, x_NCHW, y_N, 0.25))
    first, other = (start - x_NCHW for start in images["PGD"])  # no step was taken
    assert not torch.equal(first, other)
    assert -0.25 <= first.min() < -0.2
    assert 0.2 < first.max() <= 0.25
    assert len(first.unique()) > 300


def test_a_network_is_hardened_at_the_epsilon_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "trained", lambda make, data, epochs, seed, attack: attack)
    attack: Any = lab.hardened(dealt(), 1, 3, 0.3)
    assert (attack.func, attack.keywords) == (lab.fgsm, {"epsilon": 0.3})


def test_each_network_reads_images_of_its_own(linear: nn.Sequential) -> None:
    dark, bright = grey(2), torch.ones(2, 1, 8, 8)
    contrary = nn.Sequential(*linear, nn.Linear(2, 2))
    contrary[-1].load_state_dict({"weight": -torch.eye(2), "bias": torch.zeros(2)})
    assert lab.read_by([linear, contrary], [dark, bright], torch.tensor([1, 1])) == [1.0, 0.0]


def test_a_pixel_is_beyond_epsilon_on_either_side() -> None:
    moved = lab.beyond(torch.tensor([0.25, 0.75, 0.5]), torch.full((3,), 0.5), 0.125)
    assert moved.tolist() == [0.125, 0.125, -0.125]


# Pictures -------------------------------------------------------------------------------------------------------------


def test_fooled_digits_were_read_rightly_and_no_longer_are() -> None:
    data, model = dealt(), lab.trained(lab.perceptron, dealt(), 1, 0)
    x_adv_NCHW = lab.fgsm(model, data.x_NCHW, data.y_N, 0.25)
    (before, change, after), columns, _ = fooled_digits(model, data, x_adv_NCHW)
    assert len(before) == len(columns) == 8
    for was_HW, grey_HW, is_HW, words in zip(before, change, after, columns, strict=True):
        place = int((data.x_NCHW[:, 0] == was_HW).all((1, 2)).nonzero()[0])
        right, wrong = int(data.y_N[place]), int(model(is_HW[None, None]).argmax())
        assert words == f"{right} → {wrong}"
        assert right != wrong
        torch.testing.assert_close(grey_HW, 0.5 + 2 * (is_HW - was_HW))  # from -1/4 to 1/4, as black to white


def test_a_steered_digit_is_shown_only_where_the_network_follows_and_lies_in_its_box() -> None:
    data, model = dealt(), lab.trained(lab.perceptron, dealt(), 1, 0)
    rows, columns, names = steered_digits(model, data, lab.targeted, steps=8)
    assert (len(columns), names) == (11, ["1", "3", "4", "7"])
    shown = [
        (digit_HW, image_HW, target)
        for digit_HW, *steered in rows
        for target, image_HW in enumerate(steered)
        if image_HW.min() < 1
    ]
    assert 0 < len(shown) < 40
    for digit_HW, image_HW, target in shown:
        assert int(model(image_HW[None, None]).argmax()) == target
        assert torch.equal(image_HW, image_HW.clamp(digit_HW - 0.25, digit_HW + 0.25))


def test_shares_are_percents_of_what_the_signs_gain_and_a_coin_loses_some() -> None:
    drawn = shares_of(torch.tensor([0.5, -0.25, 0.25]), torch.tensor([-1.0, -1.0, 1.0])).lines()
    words = [line.replace("▓", " ").replace("▒", " ").replace("│", " ").split() for line in drawn]
    assert words == [
        ["sign", "of", "g", "+", "−", "+"],
        ["shares,", "sum", "+100", "+50", "+25", "+25"],
        ["a", "coin", "−", "−", "+"],
        ["shares,", "sum", "+0", "-50", "+25", "+25"],
    ]
