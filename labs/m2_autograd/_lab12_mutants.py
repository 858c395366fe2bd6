"""The known mistakes of lab 12."""

from labs.kit import Equivalent, Mutant
from labs.m2_autograd._lab12_helpers import added_up, by_hand, by_pieces, differentiate, walk_to, walk_twice
from labs.m2_autograd.lab12_retain_graph_trick import (
    backward_by_heads,
    by_retaining,
    by_sum,
    carried,
    generator_gradient,
    trained,
    truncated_bptt,
)

HEAD = "loss(leaf_N).backward()"
ENDS = "if step % every == 0 or step == len(xs_TBI):"

MUTANTS = (
    Mutant(
        "walks once",
        walk_twice,
        "g = torch.rand_like(y)",
        "g = torch.rand_like(y); y.backward = lambda g: None",
    ),
    Mutant(
        "walks to all inputs", walk_to, "inputs=[inputs[name] for name in names]", "inputs=[*inputs.values()]"
    ),
    Mutant("retains in vain", by_retaining, "loss(h_N)", "loss(h_N.detach().requires_grad_())"),
    Mutant(
        "adds up half of the losses",
        by_sum,
        "for loss in losses",
        "for loss in losses[: (len(losses) + 1) // 2]",
    ),
    Mutant("retains the trunk", backward_by_heads, HEAD, "loss(h_N).backward(retain_graph=True)"),
    Mutant(
        "goes backward from the sum",
        backward_by_heads,
        "for loss in losses:",
        "for loss in [lambda leaf_N: torch.stack([head(leaf_N) for head in losses]).sum()]:",
    ),
    Mutant(
        "forgets a head's part",
        backward_by_heads,
        "loss(leaf_N)",
        "loss(leaf_N if loss is losses[0] else leaf_N.detach())",
    ),
    Mutant("sends ones to the trunk", backward_by_heads, "h_N.backward(leaf_N.grad)", "h_N.sum().backward()"),
    Mutant("begins anew with each head", backward_by_heads, HEAD, f"leaf_N.grad = None; {HEAD}"),
    Mutant(
        "averages over the heads",
        backward_by_heads,
        "h_N.backward(leaf_N.grad)",
        "h_N.backward(leaf_N.grad / len(losses))",
    ),
    Mutant(
        "walks the trunk with each head",
        backward_by_heads,
        HEAD,
        f"{HEAD}; h_N.backward(torch.zeros_like(h_N), retain_graph=True)",
    ),
    Mutant("always detaches", carried, "h_BH.detach() if detached else h_BH", "h_BH.detach()"),
    Mutant(
        "begins each piece with zeros",
        truncated_bptt,
        "state_BH.detach(), torch",
        "torch.zeros_like(state_BH), torch",
    ),
    Mutant("cuts in every step", truncated_bptt, "cell(x_BI, state_BH)", "cell(x_BI, state_BH.detach())"),
    Mutant("cuts a step late", truncated_bptt, "step % every == 0", "step % every == 1 % every"),
    Mutant("drops the last piece", truncated_bptt, ENDS, "if step % every == 0:"),
    Mutant("takes the mean of a piece", truncated_bptt, "total.backward()", "(total / every).backward()"),
    Mutant("never cuts", truncated_bptt, ENDS, "if step == len(xs_TBI):"),
    Mutant("takes the last loss of a piece", truncated_bptt, "total + loss(state_BH)", "loss(state_BH)"),
    Mutant("returns a state with its graph", truncated_bptt, "h_BH.detach(), torch", "h_BH, torch"),
    Mutant(
        "takes each piece from zeros",
        by_pieces,
        "state_BH, losses = states[start], []",
        "state_BH, losses = h_BH * 0, []",
    ),
    Mutant("detaches", trained, "cell(x_BI, states[-1])", "cell(x_BI, states[-1].detach())"),
    Mutant("never steps", trained, "optimizer.step()", "pass"),
    Mutant("multiplies untransposed", by_hand, "slope_BH @ weights[step].t()", "slope_BH @ weights[step]"),
    Mutant(
        "always detaches the fakes",
        generator_gradient,
        "fake_BN.detach() if detached else fake_BN",
        "fake_BN.detach()",
    ),
    Mutant(
        "never detaches the fakes", generator_gradient, "fake_BN.detach() if detached else fake_BN", "fake_BN"
    ),
    Mutant(
        "creates what it retains",
        differentiate,
        "create_graph=created",
        "create_graph=bool(created or retained)",
    ),
    Mutant("retains always", differentiate, "retain_graph=retained", "retain_graph=True"),
    Mutant("walks always", added_up, "if walked:", "if recorded:"),
    Mutant("adds numbers up", added_up, "total + loss", "total + loss.detach()"),
)

CONSTANT = "A constant in the loss changes no gradient, and nobody looks at the sum itself."
WIDER = "Zero is exact in every dtype, and the sum of two single numbers has the wider one."
EQUIVALENT = (
    Equivalent(truncated_bptt, "torch.zeros((), dtype=h_BH.dtype)", "torch.zeros(())", WIDER),
    Equivalent(truncated_bptt, "torch.zeros", "torch.ones", CONSTANT),
    Equivalent(truncated_bptt, "torch.zeros_like", "torch.ones_like", CONSTANT),
)
