"""Lab 47 · Adversarial examples · Przykłady zwodnicze (FGSM)

Question:
    How small a change fools a network?

You will see:
    - One gradient, for the image in the place of the weights, and of it only the signs: moved by two of 16 grey levels, most
      digits are misread by a network that knew nearly all of them. Look at them: you are not fooled.
    - Noise of the very same size does little. The first order explains it: ε·‖g‖₁ against ε·‖g‖₂.
    - The change stays within ε, if you ask in the arithmetic in which it was made; asked otherwise it is over by one rounding.
    - Many small steps are stronger than one large step, on every single image, and can steer a digit to a class of your choice.
    - What fools one network often fools another that it has never met.
    - A network that trains on its own adversarial examples gets more than half of the lost digits back.

Run:
    make lab-47
    python -m labs.m7_bonus.lab47_adversarial_example_generation --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; lab 09 shows which tensors take a gradient

Sources:
    - C. Szegedy et al., "Intriguing properties of neural networks", 2014: adversarial examples, and that they transfer
    - I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples", 2015: FGSM, adversarial training
    - A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018: PGD

Notebook:
    47_Adversarial_Example_Generation.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labs.kit import Lab, Mutant, exercise, main
from labs.kit.topics.data import digits

# Shape letters: N images, C channels (one), H height and W width (eight pixels each).

Attack = Callable[[nn.Sequential, Tensor, Tensor], Tensor]
PIXELS, CLASSES, BATCH = 64, 10, 64
TEST = 500  # images that no network trains on
EPSILON, STRONG = 2 / 16, 4 / 16  # the grey levels of a digit lie 1/16 apart
ODD = 0.1  # no float holds a tenth, so the sum with a pixel is rounded


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    epochs: int = 20  # times that a network sees every training image
    networks: int = 7  # networks, each with a seed of its own, that a statistic is made of
    steps: int = 10  # steps of PGD

    @classmethod
    def smoke(cls) -> "Config":
        return cls(epochs=12, networks=5, steps=5)


class Dealt(NamedTuple):
    """Images and labels, for training and for testing."""

    train_NCHW: Tensor
    train_N: Tensor
    x_NCHW: Tensor
    y_N: Tensor


def dealt() -> Dealt:
    """Deal 1,797 handwritten digits: 500 for testing, the others for training.

    Real handwriting, scanned at 8 × 8 pixels and 17 grey levels. So small an image is hard to hide anything in, which
    makes what follows the more surprising.
    """
    images_NCHW, labels_N = digits()
    order_N = torch.randperm(len(labels_N), generator=torch.Generator().manual_seed(47))
    images_NCHW, labels_N = images_NCHW[order_N], labels_N[order_N]
    return Dealt(images_NCHW[TEST:], labels_N[TEST:], images_NCHW[:TEST], labels_N[:TEST])


def perceptron() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(PIXELS, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, CLASSES),
    )


def convolutional() -> nn.Sequential:
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    return nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * PIXELS, CLASSES)
    )


ARCHITECTURES = {"perceptron": perceptron, "convolutional": convolutional}


def trained(
    architecture: str, data: Dealt, epochs: int, seed: int, attack: Attack | None = None
) -> nn.Sequential:
    """Train a network on the digits, as anybody would.

    The same seed gives the same network. The two lines about an attack are for the last step of this lab; until then there
    is none.
    """
    torch.manual_seed(seed)
    model = ARCHITECTURES[architecture]()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for places in torch.randperm(len(data.train_N)).split(BATCH):
            x_NCHW, y_N = data.train_NCHW[places], data.train_N[places]
            if attack:
                x_NCHW = attack(model, x_NCHW, y_N)
            optimizer.zero_grad()
            cross_entropy(model(x_NCHW), y_N).backward()
            optimizer.step()
    model.requires_grad_(False)
    return model


def input_gradient(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
    """Take the gradient of the loss for the image, in the place of the weights.

    The network is frozen and the image moves: which pixel, made a little brighter, would make the answer a little worse? The
    sum over the batch gives each image its own gradient.
    """
    pixels_NCHW = x_NCHW.detach().requires_grad_()
    loss = cross_entropy(model(pixels_NCHW), y_N, reduction="sum")
    (gradient_NCHW,) = torch.autograd.grad(loss, pixels_NCHW)
    return gradient_NCHW


@exercise(
    "Every pixel may move by ε, up or down. Which way makes the loss grow? How far is best, if the loss were linear?",
    "All the way: ε times the sign of the gradient. Then bring the pixels back to what an image can hold.",
    "`(x_NCHW + epsilon * input_gradient(model, x_NCHW, y_N).sign()).clamp(0, 1)`.",
)
def fgsm(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor, epsilon: float) -> Tensor:
    """Move every pixel by ε to where the loss grows: the fast gradient sign method.

    To first order the loss grows by g·δ, with g the gradient. Of all changes with |δ| ≤ ε at each pixel the best is

        δ = ε·sign(g),   and it makes   g·δ = ε·‖g‖₁

    Every pixel gives its share, however small its gradient is. In many dimensions small shares add up. Pixels stay in 0…1.
    """
    x_adv_NCHW = (x_NCHW + epsilon * input_gradient(model, x_NCHW, y_N).sign()).clamp(0, 1)
    return x_adv_NCHW


def gain_at_first_order(
    model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor, epsilon: float
) -> tuple[float, float]:
    """Measure what the loss gains for each unit of ε, and ask the gradient what it should.

    In float64, where ε can be so small that nothing but the first order is left. The images are grey in the middle, so that no
    pixel is cut off at 0 or 1.
    """
    wide, x_NCHW = ARCHITECTURES["perceptron"]().double(), x_NCHW.double() / 2 + 0.25
    wide.load_state_dict(model.state_dict())
    x_adv_NCHW = fgsm(wide, x_NCHW, y_N, epsilon)
    gained = cross_entropy(wide(x_adv_NCHW), y_N, reduction="sum") - cross_entropy(
        wide(x_NCHW), y_N, reduction="sum"
    )
    return gained.item() / epsilon, input_gradient(wide, x_NCHW, y_N).abs().sum().item()


def beyond(x_adv_NCHW: Tensor, x_NCHW: Tensor, epsilon: float) -> Tensor:
    """Look how far each pixel moved beyond ε, asked in the obvious way.

    |x_adv − x| ≤ ε may be false although x_adv was made as x + ε: the sum was rounded to the nearest float, which may lie
    above it. The test that holds compares with the bounds, computed in the same arithmetic: x − ε ≤ x_adv ≤ x + ε.
    """
    moved_NCHW = (x_adv_NCHW - x_NCHW).abs()
    return moved_NCHW - epsilon


def noise(x_NCHW: Tensor, epsilon: float) -> Tensor:
    """Move every pixel by ε, up or down as a coin falls.

    As large as FGSM at every pixel, but blind. To first order it moves the loss by g·δ, a sum of shares with random signs
    that all but cancel: about ε·‖g‖₂, up to √64 = 8 times less than ε·‖g‖₁ for 64 pixels.
    """
    coins_NCHW = torch.randint_like(x_NCHW, 2) * 2 - 1
    noisy_NCHW = (x_NCHW + epsilon * coins_NCHW).clamp(0, 1)
    return noisy_NCHW


def margin(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
    """Measure by how much the best wrong class leads the right one. Above zero the image is misread."""
    logits: Tensor = model(x_NCHW)
    right_N = logits.gather(1, y_N[:, None]).squeeze(1)
    wrong_N = logits.scatter(1, y_N[:, None], float("-inf")).amax(1)
    return wrong_N - right_N


def accuracy(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor) -> float:
    return share(margin(model, x_NCHW, y_N) < 0)


def accuracies(models: list[nn.Sequential], images: list[Tensor], y_N: Tensor) -> list[float]:
    return [accuracy(model, x_NCHW, y_N) for model, x_NCHW in zip(models, images, strict=True)]


def share(which_N: Tensor) -> float:
    return which_N.double().mean().item()


@exercise(
    "FGSM believes that the loss is linear all the way. Take smaller steps and look at the gradient anew after each.",
    "After each step bring the image back into the box around x, from x − ε to x + ε, and into 0…1. Remember for each image the "
    "iterate with the largest `margin`.",
    "`x = torch.clamp(x + step * input_gradient(…).sign(), x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)`, and with "
    "`better_N = margin(…) > best_N`, `torch.where(better_N[:, None, None, None], x, kept)`.",
)
def pgd(
    model: nn.Sequential, start_NCHW: Tensor, x_NCHW: Tensor, y_N: Tensor, epsilon: float, steps: int
) -> Tensor:
    """Climb in small steps inside the box |δ| ≤ ε: projected gradient descent, on the loss with its sign turned.

    Let it start where FGSM ended. A step of ε/4 may overshoot, so each image keeps the iterate that had the largest margin, the
    start included. Therefore no image is attacked more weakly than by FGSM, and that needs no statistics.
    """
    kept_NCHW = moving_NCHW = start_NCHW
    best_N = margin(model, kept_NCHW, y_N)
    for _ in range(steps):
        stepped_NCHW = moving_NCHW + epsilon / 4 * input_gradient(model, moving_NCHW, y_N).sign()
        moving_NCHW = torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)
        margin_N = margin(model, moving_NCHW, y_N)
        kept_NCHW = torch.where((margin_N > best_N)[:, None, None, None], moving_NCHW, kept_NCHW)
        best_N = torch.maximum(best_N, margin_N)
    return kept_NCHW


@exercise(
    "The loss tells how far the answer is from a label. Which label do you put in, and should this loss grow or fall?",
    "Put the target in the label's place and walk downhill: subtract the sign of the gradient, many small steps inside the box.",
    "As in PGD without the keeping: `moving - epsilon / 4 * input_gradient(model, moving, target_N).sign()`, clamped twice.",
)
def targeted(model: nn.Sequential, x_NCHW: Tensor, target_N: Tensor, epsilon: float, steps: int) -> Tensor:
    """Steer every image to a class of your choice, inside the box |δ| ≤ ε.

    So far any wrong answer would do. Now the loss is that of the *target*, and it falls: small steps of ε/4 down the gradient,
    each followed by the way back into the box and into 0…1. The start is the image itself.
    """
    moving_NCHW = x_NCHW
    for _ in range(steps):
        stepped_NCHW = moving_NCHW - epsilon / 4 * input_gradient(model, moving_NCHW, target_N).sign()
        moving_NCHW = torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)
    return moving_NCHW


def hardened(data: Dealt, epochs: int, seed: int, epsilon: float) -> nn.Sequential:
    """Train a network on adversarial examples of its own.

    *Adversarial training* attacks every batch, through the network as it stands, and learns from what comes back:

        min over the weights of   max over |δ| ≤ ε of   loss(x + δ)

    The inner maximum is taken by FGSM, at the price of one gradient more for each batch. The network is then tried against PGD,
    a stronger attack than any it has seen, on digits that it has not seen. What is left is what this attack leaves; a better
    one may leave less.
    """
    model = trained(
        "perceptron", data, epochs, seed, lambda model, x_NCHW, y_N: fgsm(model, x_NCHW, y_N, epsilon)
    )
    return model


def read(model: nn.Sequential, x_NCHW: Tensor) -> Tensor:
    labels_N: Tensor = model(x_NCHW).argmax(1)
    return labels_N


def show_fooled(lab: Lab, model: nn.Sequential, data: Dealt, x_adv_NCHW: Tensor, count: int = 8) -> None:
    """Show digits that were read rightly and no longer are, what was added, magnified to full contrast, and the sum."""
    x_NCHW, y_N = data.x_NCHW, data.y_N
    was_N, is_N = read(model, x_NCHW), read(model, x_adv_NCHW)
    places = ((was_N == y_N) & (is_N != y_N)).int().argsort(descending=True, stable=True)[:count].tolist()
    change_NCHW = x_adv_NCHW - x_NCHW
    grey_NCHW = 0.5 + change_NCHW / (2 * change_NCHW.abs().max())
    rows = [[images_NCHW[place, 0] for place in places] for images_NCHW in (x_NCHW, grey_NCHW, x_adv_NCHW)]
    names = [f"{was_N[place]} → {is_N[place]}" for place in places]
    lab.picture("How they are read before and after", rows, columns=names, rows=["digit", "change", "sum"])


def show_steered(lab: Lab, model: nn.Sequential, data: Dealt, epsilon: float, steps: int) -> None:
    """Show a few digits steered to every class; where the network does not follow, the place stays empty."""
    some = [int((data.y_N == digit).nonzero()[0]) for digit in (1, 3, 4, 7)]
    x_NCHW, rows = data.x_NCHW[some], [[image_CHW[0]] for image_CHW in data.x_NCHW[some]]
    for target in range(10):
        steered_NCHW = targeted(model, x_NCHW, torch.full((len(some),), target), epsilon, steps)
        for row, image_CHW, label in zip(rows, steered_NCHW, read(model, steered_NCHW), strict=True):
            row.append(image_CHW[0] if label == target else torch.ones(8, 8))
    columns = ["digit", *(f"read as {target}" for target in range(10))]
    lab.picture(
        "Steered to every class", rows, columns=columns, rows=[str(int(data.y_N[place])) for place in some]
    )


def run(cfg: Config, lab: Lab) -> None:
    data = lab.step(dealt)
    x_NCHW, y_N = data.x_NCHW, data.y_N
    victim = lab.step(trained, "convolutional", data, cfg.epochs, 0)
    many = [lab.step(trained, "perceptron", data, cfg.epochs, seed) for seed in range(cfg.networks)]
    lab.step(input_gradient, victim, x_NCHW, y_N)
    odd_NCHW = lab.step(fgsm, victim, x_NCHW, y_N, ODD)
    boxed_NCHW = odd_NCHW.clamp(x_NCHW - ODD, x_NCHW + ODD).clamp(0, 1)
    lab.equal(
        "47.box", "every pixel lies between x − ε and x + ε, computed alike, and in 0…1", odd_NCHW, boxed_NCHW
    )
    show_fooled(lab, victim, data, fgsm(victim, x_NCHW, y_N, EPSILON))
    levels = [level / 16 for level in range(6)]
    by_fgsm = {epsilon: lab.step(fgsm, victim, x_NCHW, y_N, epsilon) for epsilon in levels}
    own = {epsilon: [lab.step(fgsm, model, x_NCHW, y_N, epsilon) for model in many] for epsilon in levels[:4]}
    read_rightly = {epsilon: accuracies(many, images, y_N) for epsilon, images in own.items()}
    clean, small, fooled, strong = read_rightly.values()
    steps = [min(a - b, b - c, c - d) for a, b, c, d in zip(clean, small, fooled, strong, strict=True)]
    lab.stat(
        "47.falls",
        "accuracy falls with every step of ε, from 0 to 3/16",
        steps,
        because="the least of the three falls is above 0",
    )

    gained, norm = lab.step(gain_at_first_order, many[0], x_NCHW, y_N, 1e-7)
    lab.close("47.first-order", "for a tiny ε the loss gains ε·‖g‖₁", gained / norm, 1.0, tolerance=1e-3,
              because="what is left is of order ε, and the loss's own rounding, 2⁻⁵² of it, divided by ε")  # fmt: skip
    over_NCHW = lab.step(beyond, odd_NCHW, x_NCHW, ODD)
    lab.count("47.naive", "asked as |x_adv − x| ≤ ε, pixels are over", int((over_NCHW > 0).sum()), at_least=1, unit="pixels",
              because="the sum is rounded to the nearest float, for some grey levels upward")  # fmt: skip
    lab.close("47.rounding", "but by no more than the rounding", over_NCHW.max(), 0.0, tolerance=2.0**-24,
              because="sum and difference are rounded by half a unit in the last place each, 2⁻²⁵ below 1")  # fmt: skip

    noisy = {epsilon: lab.step(noise, x_NCHW, epsilon) for epsilon in levels}
    blind = accuracies(many, [noisy[EPSILON]] * len(many), y_N)
    less = [(a - b) - 4 * (a - c) for a, b, c in zip(clean, fooled, blind, strict=True)]
    lab.stat("47.noise", "noise of the same size does less than a quarter of the harm", less,
             because="to first order it is √64 = 8 times less where g is spread evenly; half of that is asked for")  # fmt: skip
    foreign = accuracies(many, [by_fgsm[EPSILON]] * len(many), y_N)
    transfer = [a - b for a, b in zip(blind, foreign, strict=True)]
    lab.stat("47.transfer", "made for another network, a change does more harm than noise", transfer,
             because="a blind change of the same size is what it has to beat")  # fmt: skip

    by_pgd = {
        epsilon: lab.step(pgd, victim, start_NCHW, x_NCHW, y_N, epsilon, cfg.steps)
        for epsilon, start_NCHW in by_fgsm.items()
    }
    harder, hard = (
        torch.stack([margin(victim, images[epsilon], y_N) for epsilon in levels])
        for images in (by_pgd, by_fgsm)
    )
    lab.equal(
        "47.pgd", "PGD is at least as strong as FGSM on every image", harder, torch.maximum(harder, hard)
    )
    inside = [
        images_NCHW.clamp(x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)
        for epsilon, images_NCHW in by_pgd.items()
    ]
    lab.equal(
        "47.pgd-box",
        "and as small: it never leaves the box",
        torch.stack(list(by_pgd.values())),
        torch.stack(inside),
    )
    kinds = {"noise": noisy, "FGSM": by_fgsm, "PGD": by_pgd}
    shares = {
        name: [accuracy(victim, images[epsilon], y_N) for epsilon in levels] for name, images in kinds.items()
    }
    lab.plot("How small a change fools a network", [16 * epsilon for epsilon in levels], shares,
             x_label="ε, grey levels of 1/16", y_label="accuracy")  # fmt: skip

    target_N = (y_N + 1) % 10
    hits = []
    for model in many:
        steered_NCHW = lab.step(targeted, model, x_NCHW, target_N, STRONG, 2 * cfg.steps)
        by_chance_NCHW = fgsm(model, x_NCHW, y_N, STRONG)
        hits.append(
            share(read(model, steered_NCHW) == target_N) - share(read(model, by_chance_NCHW) == target_N)
        )
    lab.stat("47.targeted", "steered, more digits reach the chosen class than when merely fooled", hits,
             because="FGSM knows no target and takes whatever wrong class comes")  # fmt: skip
    show_steered(lab, victim, data, levels[5], 4 * cfg.steps)

    robust = [lab.step(hardened, data, cfg.epochs, seed, EPSILON) for seed in range(cfg.networks)]
    hit = [lab.step(fgsm, model, x_NCHW, y_N, EPSILON) for model in robust]
    before, after = (
        [
            lab.step(pgd, model, start_NCHW, x_NCHW, y_N, EPSILON, cfg.steps)
            for model, start_NCHW in zip(models, starts, strict=True)
        ]
        for models, starts in ((many, own[EPSILON]), (robust, hit))
    )
    lost, kept = accuracies(many, before, y_N), accuracies(robust, after, y_N)
    back = [(b - a) - (c - a) / 2 for a, b, c in zip(lost, kept, clean, strict=True)]
    lab.stat("47.recovers", "adversarial training gets back more than half of what PGD took", back,
             because="half of the way from the attacked accuracy to the clean one is what we call recovering")  # fmt: skip
    plainly = ("digits", mean(clean), mean(fooled), mean(lost))
    robustly = (
        "digits, attacked",
        mean(accuracies(robust, [x_NCHW] * len(robust), y_N)),
        mean(accuracies(robust, hit, y_N)),
        mean(kept),
    )
    lab.table(
        f"Accuracy, mean of {cfg.networks} networks",
        ["trained on", "digits", "FGSM", "PGD"],
        [plainly, robustly],
    )


MUTANTS = (
    Mutant("steps too far", fgsm, "x_NCHW + epsilon *", "x_NCHW + 1.5 * epsilon *"),
    Mutant("steps half the way", fgsm, "x_NCHW + epsilon *", "x_NCHW + 0.5 * epsilon *"),
    Mutant("forgets the sign", fgsm, ".sign()", ""),
    Mutant("helps the network", fgsm, "x_NCHW + epsilon *", "x_NCHW - epsilon *"),
    Mutant("is four times as loud", noise, "epsilon * coins_NCHW", "4 * epsilon * coins_NCHW"),
    Mutant("keeps the last iterate", pgd, "margin_N > best_N", "margin_N > float('-inf')"),
    Mutant(
        "forgets the box",
        pgd,
        "torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon)",
        "stepped_NCHW",
    ),
    Mutant("starts nowhere near", pgd, "= start_NCHW", "= x_NCHW"),
    Mutant("flees the target", targeted, "moving_NCHW - epsilon / 4", "moving_NCHW + epsilon / 4"),
    Mutant("steers once", targeted, "range(steps)", "range(1)"),
    Mutant("asks the wrong way", beyond, "x_adv_NCHW - x_NCHW", "x_adv_NCHW + x_NCHW"),
    Mutant("trains on the digits after all", hardened, "y_N, epsilon)", "y_N, 0.0)"),
    Mutant(
        "takes too large an ε for the first order",
        gain_at_first_order,
        "fgsm(wide, x_NCHW, y_N, epsilon)",
        "fgsm(wide, x_NCHW, y_N, 0.1)",
    ),
)


if __name__ == "__main__":
    main(run, Config)
