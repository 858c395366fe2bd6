"""Lab 47 · Adversarial examples · Przykłady zwodnicze (FGSM)

Question:
    How small a change fools a network?

You will see:
    - A network that reads 97 of 100 digits, and 26 once each pixel has moved by two of 16 grey levels.
    - Noise of the same size, which does next to nothing, and the line of algebra that says why.
    - Pixels that moved by more than they were allowed to, because a tenth is no float.
    - Small steps that beat a large one, a digit steered to any class, and harm to a network never met.
    - A network that trains on its own adversarial examples, what that brings, and where it fools itself.

Run:
    make lab-47
    python -m labs.m7_bonus.lab47_adversarial_example_generation --smoke

Needs:
    1 process, no GPU, 1 GiB of memory, 1 minute

Builds on:
    nothing; lab 09 shows which tensors take a gradient

Remember:
    The gradient of the loss for the image says how to change it, and many small shares add up. A random
    change of the same size finds next to none of it. Judge a defence by the strongest attack that you have,
    never by the one it was trained on. Compare with x − ε and x + ε as the attack computed them. This lab
    shows neither attacks without gradients nor defences with a proof, and on photographs a far smaller change
    does. Next comes lab 48, which changes an image by gradients too, to a nicer end.

Sources:
    - C. Szegedy et al., "Intriguing properties of neural networks", 2014, section 4: arXiv:1312.6199
    - I. Goodfellow, J. Shlens, C. Szegedy, "Explaining and Harnessing Adversarial Examples", 2015, sections 3
      to 6: arXiv:1412.6572
    - A. Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018, section 2.1:
      arXiv:1706.06083
    - E. Wong, L. Rice, J. Z. Kolter, "Fast is better than free", 2020, section 5.4, on training with FGSM
      alone: arXiv:2001.03994

Notebook:
    47_Adversarial_Example_Generation.ipynb
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import mean

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labs.kit import Lab, Tolerance, exercise, main
from labs.m7_bonus._lab47_helpers import (
    FLAT,
    Dealt,
    bent,
    corner,
    dealt,
    fooled_digits,
    shares_of,
    steered_digits,
    straight,
)

# Shape letters: N images, C channels (one), H height and W width (eight pixels each).

Attack = Callable[[nn.Sequential, Tensor, Tensor], Tensor]
EPSILON, STRONG = 2 / 16, 4 / 16  # the grey levels of a digit lie 1/16 apart
ODD = 0.1  # no float is a tenth, so that a sum with it is rounded
BATCH = 64


@dataclass(frozen=True)
class Config:
    """Sizes of this lab."""

    epochs: int = 20  # times that a network sees every training image
    networks: int = 7  # networks, each with a seed of its own, that a statistic is made of
    steps: int = 10  # steps of PGD

    @classmethod
    def smoke(cls) -> "Config":
        return cls(epochs=8, networks=5, steps=9)


def perceptron() -> nn.Sequential:
    """Make a network of three linear layers."""
    layers = nn.Linear(64, 128), nn.Linear(128, 128), nn.Linear(128, 10)
    return nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def convolutional() -> nn.Sequential:
    """Make a network of two convolutions and a linear layer."""
    first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1)
    head = nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), *head)


def trained(
    make: Callable[[], nn.Sequential], data: Dealt, epochs: int, seed: int, attack: Attack | None = None
) -> nn.Sequential:
    """Train a network on the digits, as anybody would; the same seed gives the same network.

    With an `attack` every batch is changed by it first, through the network as it stands.
    """
    torch.manual_seed(seed)
    model = make()
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


def networks(lab: Lab, cfg: Config) -> list[nn.Sequential]:
    """Train the networks that all parts attack, once."""
    return [lab.once(trained, perceptron, lab.once(dealt), cfg.epochs, seed) for seed in range(cfg.networks)]


def input_gradient(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor) -> Tensor:
    """Take the gradient of the loss for the image, in the place of the weights.

    The network is frozen and the image moves. The sum over the batch gives each image its own gradient.
    """
    pixels_NCHW = x_NCHW.detach().requires_grad_()
    loss = cross_entropy(model(pixels_NCHW), y_N, reduction="sum")
    (gradient_NCHW,) = torch.autograd.grad(loss, pixels_NCHW)
    return gradient_NCHW


def read_by(models: list[nn.Sequential], images: list[Tensor], y_N: Tensor) -> list[float]:
    """Return each network's accuracy on images of its own."""
    return [accuracy(model, x_NCHW, y_N) for model, x_NCHW in zip(models, images, strict=True)]


def accuracy(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor) -> float:
    """Count the share of images that a network reads rightly."""
    right_N = model(x_NCHW).argmax(1) == y_N
    return float(right_N.double().mean())


@exercise(
    "Every pixel may move by ε, up or down. Which way makes the loss grow? How far is best, if the loss were "
    "linear?",
    "All the way: ε times the sign of the gradient. Then bring the pixels back to what an image can hold.",
    "`(x_NCHW + epsilon * input_gradient(model, x_NCHW, y_N).sign()).clamp(0, 1)`.",
    contract="""
        `model` reads images `x_NCHW` with pixels from 0 to 1, whose right labels are `y_N`. Return images of
        the same shape and dtype whose pixels lie within ε of `x_NCHW` and from 0 to 1, and that raise the
        loss the most, as far as one gradient can tell. `model`, `x_NCHW` and `y_N` stay as they are: no
        `.grad`, no `requires_grad` is left behind. `input_gradient(model, x_NCHW, y_N)` is at hand.

        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        >>> fgsm(torch.nn.Sequential(layer), torch.tensor([[0.5, 0.9]]), torch.tensor([0]), 0.25)
        tensor([[0.2500, 1.0000]])
        """,
    insight="The sign answers a question about a box: with |δ| ≤ ε per pixel the best δ is a corner.",
)
def fgsm(model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor, epsilon: float) -> Tensor:
    """Move every pixel by ε to where the loss grows: the fast gradient sign method.

    The corner of the box in which one gradient believes most:

        x_adv = x + ε · sign(∂loss/∂x),   kept in 0…1
    """
    x_adv_NCHW = (x_NCHW + epsilon * input_gradient(model, x_NCHW, y_N).sign()).clamp(0, 1)
    return x_adv_NCHW


def one_gradient(cfg: Config, lab: Lab) -> None:
    """How do you change an image so that a network misreads it?

    You know how to train: take the gradient of the loss for the *weights*, and go down. Turn that round. Hold
    the weights still, take the gradient of the same loss for the *image*, and go up. For each pixel it says
    whether the network's answer gets worse when that pixel becomes brighter or darker.

    How far may we go? A change should not be seen, so we allow each pixel to move by at most ε: a box around
    the image. In a box the best place is a corner, and the corner is given by the signs of the gradient
    alone. That is the *fast gradient sign method*. For a network of one linear layer the corner can be found
    with a pencil, and we compare with it.

    The digits are real handwriting at 8 × 8 pixels and 17 grey levels. In so small an image it is hard
    to hide anything, which makes what follows the more surprising.
    """
    data, models = lab.once(dealt), networks(lab, cfg)
    x_NCHW, y_N = data.x_NCHW, data.y_N
    pencil, few_NCHW, few_N = straight(2), x_NCHW[:7].double(), y_N[:7] % 2
    found = lab.step(fgsm, pencil, few_NCHW, few_N, ODD)
    best = corner(pencil, few_NCHW, few_N, 1 - few_N, ODD)
    lab.equal("47.corner", "On a linear network FGSM finds the best corner.", found, best, unit="pixels")
    # Not asked as |x_adv - x| <= ε: part 3 shows why.
    odd_NCHW = lab.step(fgsm, models[0], x_NCHW, y_N, ODD)
    boxed_NCHW = odd_NCHW.clamp(x_NCHW - ODD, x_NCHW + ODD).clamp(0, 1)
    lab.equal(
        "47.box",
        "Every pixel of an attacked image is at most ε away from the original's and lies between 0 and 1.",
        odd_NCHW,
        boxed_NCHW,
        unit="pixels",
    )
    adversarial = [lab.step(fgsm, model, x_NCHW, y_N, EPSILON) for model in models]
    rows, columns, names = fooled_digits(models[0], data, adversarial[0])
    lab.picture("How the first network reads them before and after", rows, columns=columns, rows=names)
    taken = [1 - accuracy(model, x_adv, y_N) for model, x_adv in zip(models, adversarial, strict=True)]
    half = "more wrong than right is what we call fooled"
    lab.stat(
        "47.fooled", "Two of 16 grey levels fool a network on most digits.", taken, above=0.5, because=half
    )


def noise(x_NCHW: Tensor, epsilon: float) -> Tensor:
    """Move every pixel by ε, up or down as a coin falls: as far as FGSM does, but blindly."""
    coins_NCHW = torch.randint_like(x_NCHW, 2) * 2 - 1
    noisy_NCHW = (x_NCHW + epsilon * coins_NCHW).clamp(0, 1)
    return noisy_NCHW


def gain_per_epsilon(
    model: nn.Sequential, x_NCHW: Tensor, y_N: Tensor, epsilon: float
) -> tuple[float, float]:
    """Measure what the loss gains for each unit of ε, and ask the gradient what it should.

    In float64, where ε can be so small that only the first order is left, and on images that are grey in the
    middle, so that no pixel is cut off at 0 or 1.
    """
    wide, x_NCHW = perceptron().double(), x_NCHW.double() / 2 + 0.25
    wide.load_state_dict(model.state_dict())
    loss = partial(cross_entropy, target=y_N, reduction="sum")
    gained = loss(wide(fgsm(wide, x_NCHW, y_N, epsilon))) - loss(wide(x_NCHW))
    return gained.item() / epsilon, input_gradient(wide, x_NCHW, y_N).abs().sum().item()


NOISE_GUESSES = {
    "about as much harm": "Every pixel moves as far. But half of them now move the way that helps.",
    "about half": "Half of the pixels go the right way, half the wrong way, and the two cancel.",
    "less than a quarter": "**Yes.** Random signs leave ‖g‖₂ of ‖g‖₁: of 64 even shares about 8.",
}


def many_small_shares(cfg: Config, lab: Lab) -> None:
    """Why do the signs do so much, and noise so little?

    To first order the loss changes by g·δ, where g is the gradient and δ the change. With δ = ε·sign(g) every
    pixel adds its share ε·|gᵢ|, so the loss gains ε·‖g‖₁. No share is large. There are 64 of them, and none
    is lost.

    Now let a coin choose each sign. The change has the same size at every pixel, but the shares come with
    random signs, and sums of random signs grow like a root: about ε·‖g‖₂. If all 64 shares were equal that
    would be √64 = 8 times less. On a photograph with 150,000 numbers it is up to 387 times less. This is why
    nobody meets adversarial examples by accident, and why they are so easy to make on purpose.
    """
    data, models = lab.once(dealt), networks(lab, cfg)
    x_NCHW, y_N = data.x_NCHW, data.y_N
    lab.predict(
        "47.noise",
        "Random signs in place of the gradient's: how much harm?",
        NOISE_GUESSES,
        "less than a quarter",
    )

    gained, norm = lab.step(gain_per_epsilon, models[0], x_NCHW, y_N, 1e-7)
    rounding = "what is left is of order ε = 10⁻⁷, and the loss's rounding, 2⁻⁵² of it, divided by ε"
    lab.close(
        "47.first-order",
        "For a tiny ε the loss gains ε·‖g‖₁.",
        gained / norm,
        1.0,
        within=Tolerance(1e-3, rounding),
    )

    noisy_NCHW = lab.step(noise, x_NCHW, EPSILON)
    clean = [accuracy(model, x_NCHW, y_N) for model in models]
    blind = [accuracy(model, noisy_NCHW, y_N) for model in models]
    signs = [accuracy(model, lab.step(fgsm, model, x_NCHW, y_N, EPSILON), y_N) for model in models]
    harm = [(c - b) / (c - s) for c, b, s in zip(clean, blind, signs, strict=True)]
    between = [min(part, 1 / 4 - part) for part in harm]
    root = (
        "the nearer of the ends 0 and ¼; √64 = 8 times less where shares are equal, and we require half of it"
    )
    lab.stat("47.noise", "Noise does some harm, and less than a quarter of FGSM's.", between, because=root)
    gradient_W = input_gradient(models[0], x_NCHW[:1], y_N[:1])[0, 0, 4]
    coins_W = (lab.step(noise, torch.full((8,), 0.5), EPSILON) - 0.5).sign()
    lab.diagram("One row of one digit, and what each pixel adds to the loss", shares_of(gradient_W, coins_W))
    lab.say(
        f"Here noise did {mean(harm):.0%} of the harm. These networks read {mean(clean):.0%} of the digits, "
        f"{mean(blind):.0%} with noise and {mean(signs):.0%} after FGSM."
    )


def beyond(x_adv_NCHW: Tensor, x_NCHW: Tensor, epsilon: float) -> Tensor:
    """Look how far each pixel moved beyond ε, asked in the obvious way."""
    moved_NCHW = (x_adv_NCHW - x_NCHW).abs()
    return moved_NCHW - epsilon


BOX_GUESSES = {
    "it holds for every pixel": "So it would in the real numbers. A float32 above 0.5 is a multiple of 2⁻²⁴.",
    "it fails for some pixels": "**Yes.** x + 0.1 is rounded, for some grey levels upward, to beyond.",
    "it fails for every pixel": "Other sums are rounded down, and those that are cut off at 0 or 1 are safe.",
}


def rounding(cfg: Config, lab: Lab) -> None:
    """Is the change really as small as it was meant to be?

    Somebody publishes an attack with ε = 0.1. You check `(x_adv - x).abs() <= 0.1`, find pixels that break
    the rule, and write an angry letter. Don't. x + 0.1 was rounded to the nearest float, which may lie above,
    and your difference is rounded once more. Nobody cheated: a tenth is no float, and neither are most sums
    with it.

    Ask in the arithmetic in which the change was made: `x - 0.1 <= x_adv` and `x_adv <= x + 0.1`. Part 1 did,
    and every pixel passed.
    """
    data = lab.once(dealt)
    model = lab.once(trained, perceptron, data, cfg.epochs, 0)
    question = "`x_adv = (x + 0.1 * g.sign()).clamp(0, 1)` in float32. Where does `|x_adv − x| <= 0.1` hold?"
    lab.predict("47.naive", question, BOX_GUESSES, answer="it fails for some pixels")
    x_adv_NCHW = lab.step(fgsm, model, data.x_NCHW, data.y_N, ODD)
    over_NCHW = lab.step(beyond, x_adv_NCHW, data.x_NCHW, ODD)
    pixels = over_NCHW.numel()
    lab.count(
        "47.naive",
        "The rounded difference exceeds ε for some pixels, and not for all.",
        int((over_NCHW > 0).sum()),
        at_least=1,
        at_most=pixels - 1,
        unit="pixels",
        because=f"of {pixels:,} sums some are rounded upward, some downward",
    )
    ulp = "sum and difference are rounded by half a unit in the last place each, 2⁻²⁵ below 1"
    lab.close(
        "47.rounding",
        "No pixel exceeds ε by more than its rounding.",
        over_NCHW.max(),
        0.0,
        within=Tolerance(2**-24, ulp),
    )


@exercise(
    "FGSM believes that the loss is linear all the way. Take smaller steps and look at the gradient anew "
    "after each.",
    "After each step bring the image back into the box around x, from x − ε to x + ε, and into 0…1.",
    "`moving = torch.clamp(moving + epsilon / 4 * input_gradient(model, moving, y_N).sign(), x_NCHW - "
    "epsilon, x_NCHW + epsilon).clamp(0, 1)`, `steps` times, from `start_NCHW`.",
    contract="""
        As for `fgsm`, with a `start_NCHW` inside the box from which the search begins. Take `steps` steps of
        ε/4 by the sign of a fresh gradient, each followed by the way back into the box around `x_NCHW` and
        into 0…1, and return where that ends. No argument is changed.

        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        >>> model, x, y = torch.nn.Sequential(layer), torch.tensor([[0.5, 0.5]]), torch.tensor([0])
        >>> pgd(model, x, x, y, 0.25, 2)
        tensor([[0.3750, 0.6250]])
        """,
    insight="It differs from `fgsm` in one thing: it asks again on the way.",
)
def pgd(
    model: nn.Sequential, start_NCHW: Tensor, x_NCHW: Tensor, y_N: Tensor, epsilon: float, steps: int
) -> Tensor:
    """Climb in small steps inside the box |δ| ≤ ε: *projected gradient descent* with its sign turned."""
    moving_NCHW = start_NCHW
    for _ in range(steps):
        stepped_NCHW = moving_NCHW + epsilon / 4 * input_gradient(model, moving_NCHW, y_N).sign()
        moving_NCHW = torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)
    return moving_NCHW


def anywhere(x_NCHW: Tensor, epsilon: float) -> Tensor:
    """Draw a place in the box around each image."""
    start_NCHW = (x_NCHW + epsilon * (2 * torch.rand_like(x_NCHW) - 1)).clamp(0, 1)
    return start_NCHW


def attacked(models: list[nn.Sequential], data: Dealt, epsilon: float, steps: int) -> dict[str, list[Tensor]]:
    """Attack each network: by nothing, by noise, by one gradient, and by several from a random start."""
    x_NCHW, y_N = data.x_NCHW, data.y_N
    starts = [anywhere(x_NCHW, epsilon) for _ in models]
    return {
        "digits": [x_NCHW] * len(models),
        "noise": [noise(x_NCHW, epsilon)] * len(models),
        "FGSM": [fgsm(model, x_NCHW, y_N, epsilon) for model in models],
        "PGD": [pgd(*pair, x_NCHW, y_N, epsilon, steps) for pair in zip(models, starts, strict=True)],
    }


def small_steps(cfg: Config, lab: Lab) -> None:
    """What does it bring to look again on the way?

    FGSM looks once and leaps. Its algebra holds for a tiny ε, and ours is not tiny: on the way to the corner
    ReLUs switch on and off, and the gradient that was right at the start is wrong at the end.

    So take a quarter of the step, look again, and go on. Whenever a step leaves the box, bring each pixel
    back to the edge: that is the *projection*. Begin at a random place in the box, since the image itself is
    where the network was trained to be flat. On a linear network, where nothing changes on the way, this must
    end in the very corner that FGSM finds, wherever it began. On any other it must end where FGSM with ε/4
    does, called again and again and each time brought back into the box.
    """
    data, models = lab.once(dealt), networks(lab, cfg)
    x_NCHW, y_N = data.x_NCHW, data.y_N
    # Eight steps of ε/4 cross the box from any start; two pixels have no gradient and stay where they began.
    pencil, few_NCHW, few_N = straight(2), x_NCHW[:7].double(), y_N[:7] % 2
    start_NCHW = lab.step(anywhere, few_NCHW, ODD)
    ended = lab.step(pgd, pencil, start_NCHW, few_NCHW, few_N, ODD, 9)
    best = corner(pencil, few_NCHW, few_N, 1 - few_N, ODD)
    best.flatten(1)[:, FLAT] = start_NCHW.flatten(1)[:, FLAT]
    lab.equal("47.pgd-corner", "On a linear network PGD ends in the best corner.", ended, best, unit="pixels")
    crooked, by_hand = bent(2), start_NCHW
    for _ in range(9):
        by_hand = lab.step(fgsm, crooked, by_hand, few_N, ODD / 4).clamp(few_NCHW - ODD, few_NCHW + ODD)
    walked = lab.step(pgd, crooked, start_NCHW, few_NCHW, few_N, ODD, 9)
    lab.equal("47.pgd-again", "PGD is FGSM in steps of ε/4, kept in the box.", walked, by_hand, unit="pixels")
    images = lab.step(attacked, models, data, EPSILON, cfg.steps)
    climbed = torch.stack(images["PGD"])
    boxed = climbed.clamp(x_NCHW - EPSILON, x_NCHW + EPSILON).clamp(0, 1)
    lab.equal("47.pgd-box", "PGD never leaves the box.", climbed, boxed, unit="pixels")
    once, often = read_by(models, images["FGSM"], y_N), read_by(models, images["PGD"], y_N)
    fewer = [one - many for one, many in zip(once, often, strict=True)]
    alone = "direction alone; the seeds are those of the networks"
    lab.stat("47.pgd", "PGD leaves fewer digits readable than FGSM.", fewer, because=alone)
    lab.say(
        f"Of 100 digits {100 * mean(once):.0f} are still read after FGSM, {100 * mean(often):.0f} after PGD."
    )


@exercise(
    "The loss tells how far the answer is from a label. Which label do you put in, and should this loss grow "
    "or fall?",
    "Put the target in the label's place and walk downhill: subtract the sign of the gradient, in small "
    "steps.",
    "As in `pgd`: `moving - epsilon / 4 * input_gradient(model, moving, target_N).sign()`, then clamped "
    "twice.",
    contract="""
        `target_N` names a class for each image. Beginning at the image itself, take `steps` steps of ε/4 that
        make the network more sure of that class, each followed by the way back into the box around `x_NCHW`
        and into 0…1, and return where that ends. No argument is changed.

        >>> layer = torch.nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
        >>> targeted(torch.nn.Sequential(layer), torch.tensor([[0.5, 0.5]]), torch.tensor([0]), 0.25, 4)
        tensor([[0.7500, 0.2500]])
        """,
    insight="One sign and one label are all that parts a vandal from a forger.",
)
def targeted(model: nn.Sequential, x_NCHW: Tensor, target_N: Tensor, epsilon: float, steps: int) -> Tensor:
    """Steer every image to a class of your choice: small steps down the loss of the *target*."""
    moving_NCHW = x_NCHW
    for _ in range(steps):
        stepped_NCHW = moving_NCHW - epsilon / 4 * input_gradient(model, moving_NCHW, target_N).sign()
        moving_NCHW = torch.clamp(stepped_NCHW, x_NCHW - epsilon, x_NCHW + epsilon).clamp(0, 1)
    return moving_NCHW


def choosing(cfg: Config, lab: Lab) -> None:
    """Can you choose the wrong answer?

    So far any wrong answer would do. A forger wants a *certain* one: this 3 is to be read as an 8. The loss
    knows nothing of right and wrong; it measures the distance to whatever label it is given. Give it the
    target's, and walk down.

    With two classes only, steering to one is fleeing the other, so there it must walk as PGD does. And what
    must it beat with ten? FGSM also turns some digits into the next class, by chance. The forger must do
    better. Watch the pictures: up to 4/16 a person reads them without trouble. Beyond that we stop, since a
    digit that people cannot read either has fooled nobody.
    """
    data, models = lab.once(dealt), networks(lab, cfg)
    x_NCHW, y_N, target_N = data.x_NCHW, data.y_N, (data.y_N + 1) % 10
    crooked, few_NCHW, few_N = bent(2), x_NCHW[:7].double(), y_N[:7] % 2
    to_other = torch.stack([lab.step(targeted, crooked, few_NCHW, 1 - few_N, ODD, n) for n in (2, 7)])
    fled = torch.stack([lab.step(pgd, crooked, few_NCHW, few_NCHW, few_N, ODD, n) for n in (2, 7)])
    lab.equal(
        "47.flees", "Of two classes, steering to one is fleeing the other.", to_other, fled, unit="pixels"
    )
    steered = [lab.step(targeted, model, x_NCHW, target_N, STRONG, 2 * cfg.steps) for model in models]
    fooled = [lab.step(fgsm, model, x_NCHW, y_N, STRONG) for model in models]
    chosen = [accuracy(model, images, target_N) for model, images in zip(models, steered, strict=True)]
    by_chance = [accuracy(model, images, target_N) for model, images in zip(models, fooled, strict=True)]
    more = [chose - chance for chose, chance in zip(chosen, by_chance, strict=True)]
    none = "FGSM knows no target and takes whatever wrong class comes"
    lab.stat("47.targeted", "Steering reaches the chosen class more often than FGSM.", more, because=none)
    rows, columns, names = steered_digits(models[0], data, targeted)
    lab.picture(
        "Steered to every class, as far as the first network follows", rows, columns=columns, rows=names
    )
    lab.say(
        f"Of 100 digits {100 * mean(chosen):.0f} were read as the class we chose, and "
        f"{100 * mean(by_chance):.0f} by chance."
    )


TRANSFER_GUESSES = {
    "no more than noise does": "So it would if their blind spots differed. But both learnt the same digits.",
    "more than noise, less than its own": "**Yes.** The two gradients point in ways that agree in part.",
    "as much as an attack on itself": "Then the networks would be the same function near these images.",
}


def transferring(cfg: Config, lab: Lab) -> None:
    """Does it help to keep the network secret?

    An attack needs the gradient, and the gradient needs the weights. So a network behind a locked door should
    be safe. The attacker has digits of his own, though. He trains a network of another kind, with
    convolutions, attacks *that*, and sends you the result.

    Both networks learnt to tell the same shapes apart, so both lean on the same strokes, and a change that is
    bad for one is often bad for the other. This is called *transfer*. It must beat noise of the same size.
    """
    data, models = lab.once(dealt), networks(lab, cfg)
    x_NCHW, y_N = data.x_NCHW, data.y_N
    question = (
        "A change made for a convolutional network is shown to a perceptron. How much harm does it do there?"
    )
    lab.predict("47.transfer", question, TRANSFER_GUESSES, answer="more than noise, less than its own")
    stranger = lab.once(trained, convolutional, data, cfg.epochs, 0)
    read, curves = {}, {kind: list[float]() for kind in ("noise", "made for another", "FGSM", "PGD")}
    for level in range(5):
        images = lab.step(attacked, models, data, level / 16, cfg.steps)
        images["made for another"] = [lab.step(fgsm, stranger, x_NCHW, y_N, level / 16)] * len(models)
        for kind, means in curves.items():
            read[kind, level] = read_by(models, images[kind], y_N)
            means.append(mean(read[kind, level]))
    x_label = "ε, grey levels of 1/16"
    lab.plot("What each change leaves readable", range(5), curves, x_label=x_label, y_label="accuracy")
    between = zip(*(read[kind, 2] for kind in ("noise", "made for another", "FGSM")), strict=True)
    lab.stat(
        "47.transfer",
        "At 2/16 a change made for another network harms more than noise, and less than the victim's own.",
        [min(blind - foreign, foreign - own) for blind, foreign, own in between],
        because="direction alone, of the smaller of the two distances",
    )


def hardened(data: Dealt, epochs: int, seed: int, epsilon: float) -> nn.Sequential:
    """Train a network on adversarial examples of its own.

    The inner maximum is taken by FGSM, at the price of one gradient more for each batch:

    min over the weights of   max over |δ| ≤ ε of   loss(x + δ)
    """
    model = trained(perceptron, data, epochs, seed, partial(fgsm, epsilon=epsilon))
    return model


def hardening(cfg: Config, lab: Lab) -> None:
    """Can a network learn to resist?

    If the network fails on images that you can make, make them and train on them. *Adversarial training*
    attacks every batch through the network as it stands, and learns from what comes back. We try it against
    PGD, on digits that it never saw.

    There is a trap. A network that trains against FGSM alone can learn to be right in the one corner where
    FGSM looks, and wrong beside it. The larger ε is, the more room there is beside it; carried to the end
    this is called *catastrophic overfitting* (Wong et al.). So compare the two columns of the table: a
    defence that looks much better against the attack it knows than against another one has not learnt to
    resist, but to hide.
    """
    data, plain = lab.once(dealt), networks(lab, cfg)
    y_N = data.y_N
    rows, read = [], {}
    for epsilon in (EPSILON, STRONG):
        hard = [lab.step(hardened, data, cfg.epochs, seed, epsilon) for seed in range(cfg.networks)]
        for name, models in (("digits", plain), ("digits, attacked", hard)):
            images = lab.step(attacked, models, data, epsilon, 2 * cfg.steps)
            read[name, epsilon] = {
                kind: read_by(models, images[kind], y_N) for kind in ("digits", "FGSM", "PGD")
            }
            rows.append((name, f"{16 * epsilon:.0f}/16", *map(mean, read[name, epsilon].values())))
    lab.table(
        f"Accuracy, mean of {cfg.networks} networks", ["trained on", "ε", "digits", "FGSM", "PGD"], rows
    )
    bare = read["digits", EPSILON]
    small, large = (read["digits, attacked", epsilon] for epsilon in (EPSILON, STRONG))
    back = [(b - a) / (c - a) for a, b, c in zip(bare["PGD"], small["PGD"], bare["digits"], strict=True)]
    way = "half of the way back is what we call recovering"
    lab.stat(
        "47.recovers", "Adversarial training gets back most of what PGD took.", back, above=0.5, because=way
    )
    gaps = [[a - b for a, b in zip(hard["FGSM"], hard["PGD"], strict=True)] for hard in (small, large)]
    wider = [at_large - at_small for at_small, at_large in zip(*gaps, strict=True)]
    room = "direction alone; a larger box has more room beside a corner"
    lab.stat(
        "47.hides", "On hardened networks PGD outdoes FGSM by more at 4/16 than at 2/16.", wider, because=room
    )


def run(cfg: Config, lab: Lab) -> None:
    for part in (one_gradient, many_small_shares, rounding, small_steps, choosing, transferring, hardening):
        lab.part(part, cfg)


if __name__ == "__main__":
    main(run, Config)
