"""The known mistakes of lab 27."""

from labs.kit import Equivalent, Mutant
from labs.m4_architecture._lab27_helpers import masks_of_dropout
from labs.m4_architecture.lab27_gradient_checkpointing import (
    checkpointed_by_hand,
    counted_batches,
    deepest_found,
    deepest_plan,
    gradients,
    kept_for_backward,
    measured_peak,
    predicted_peak,
    products,
    said_of_foreign_coins,
)

AGAIN = "segment(x_RD.detach().requires_grad_())"

MUTANTS = (
    Mutant(
        "forgets the tensors of the first half",
        kept_for_backward,
        "model(x_RD), besides",
        "model[layers // 2 :](x_RD), besides",
    ),
    Mutant("begins with other dice each time", gradients, "torch.manual_seed(27)", "torch.seed()"),
    Mutant(
        "does not pass dropout on", gradients, "network(layers, width, dropout)", "network(layers, width)"
    ),
    Mutant(
        "always needs a gradient of the input", gradients, "requires_grad_(through_x)", "requires_grad_()"
    ),
    Mutant("tosses other coins", checkpointed_by_hand, "torch.set_rng_state(state)", "torch.manual_seed(0)"),
    Mutant("leaves the dice where they are", checkpointed_by_hand, "torch.set_rng_state(state)", "pass"),
    Mutant(
        "does not put the dice back",
        checkpointed_by_hand,
        "torch.random.fork_rng(devices=[]), torch.enable_grad()",
        "torch.enable_grad()",
    ),
    Mutant(
        "runs the segment again for every tensor",
        checkpointed_by_hand,
        "if not again:",
        "if again.clear() or True:",
    ),
    Mutant(
        "keeps all the same",
        checkpointed_by_hand,
        "saved_tensors_hooks(lambda tensor: next(places), unpack)",
        "torch.enable_grad()",
    ),
    Mutant(
        "computes only the first half again",
        checkpointed_by_hand,
        AGAIN,
        "segment((x_RD / 2).detach().requires_grad_())",
    ),
    Mutant("notes half of each tensor", checkpointed_by_hand, "tensor.detach())", "tensor.detach() / 2)"),
    Mutant(
        "runs the segment on half of its input",
        checkpointed_by_hand,
        "plain(segment, x_RD)",
        "plain(segment, x_RD / 2)",
    ),
    Mutant("keeps the random state", masks_of_dropout, "preserve_rng_state=False", "preserve_rng_state=True"),
    Mutant("does not train", counted_batches, "nn.BatchNorm1d(width)", "nn.BatchNorm1d(width).eval()"),
    Mutant(
        "tosses torch's coins",
        said_of_foreign_coins,
        "random.Random(seed).random",
        "lambda: torch.rand(()).item()",
    ),
    Mutant("counts layers for segments", predicted_peak, "math.ceil(layers / length)", "layers"),
    Mutant("forgets the shorter segment", predicted_peak, "math.ceil(layers / length)", "layers // length"),
    Mutant("forgets the segment", predicted_peak, "per_layer * length", "per_layer"),
    Mutant("forgets the inputs", predicted_peak, "math.ceil(layers / length) + ", ""),
    Mutant(
        "keeps every input of the segment too", predicted_peak, "per_layer * length", "2 * per_layer * length"
    ),
    Mutant("forgets what is in flight", predicted_peak, " + WORKING", ""),
    Mutant("takes one tensor a layer, whatever it keeps", predicted_peak, "per_layer * length", "length"),
    Mutant(
        "measures half of the network", measured_peak, "network(layers, width", "network(layers // 2, width"
    ),
    Mutant("takes segments of √B", deepest_plan, "room // 2", "int(room**0.5)"),
    Mutant("forgets the inputs of the segments", deepest_plan, "length * (room - length)", "length * room"),
    Mutant("spends what is in flight", deepest_plan, "budget - WORKING", "budget"),
    Mutant("takes squares only", deepest_plan, "length * (room - length)", "(length - 1) ** 2"),
    Mutant("takes the longest segment", deepest_plan, "room // 2", "room - 1"),
    Mutant("takes the longer of two lengths", deepest_plan, "room // 2", "(room + 1) // 2"),
    Mutant("forgets that the room may be odd", deepest_plan, "length * (room - length)", "length**2"),
    Mutant("halves the budget", deepest_found, "<= budget + 0.5", "<= budget / 2"),
    Mutant(
        "never stops early",
        products,
        "set_checkpoint_early_stop(early_stop)",
        "set_checkpoint_early_stop(False)",
    ),
)

EQUIVALENT = (
    Equivalent(
        checkpointed_by_hand,
        "torch.random.fork_rng(devices=[])",
        "torch.random.fork_rng()",
        "it keeps the dice of GPUs too, of which there are none here",
    ),
    Equivalent(
        checkpointed_by_hand,
        "x_RD.detach()",
        "x_RD",
        "nobody goes backward through the second run's graph, so it does not matter what it hangs on",
    ),
)
