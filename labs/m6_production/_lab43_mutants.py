"""The known mistakes of lab 43."""

from labs.kit import Equivalent, Mutant
from labs.m6_production._lab43_helpers import (
    backward_passes,
    lone_gradient,
    sampled_epochs,
    skipped_collective,
    steps_done,
    trained_alone,
    undisturbed,
)
from labs.m6_production.lab43_ddp_concepts import (
    averaged_gradients,
    averaging_hook,
    predicted_buckets,
    reductions,
    ring_all_reduce,
    trained_by_ddp,
    trained_with_checkpoints,
)

MUTANTS = (
    Mutant(
        "overwrites where it should add",
        ring_all_reduce,
        "chunks[into] + arriving if turn < ranks - 1 else arriving",
        "arriving",
    ),
    Mutant("adds to the end", ring_all_reduce, "if turn < ranks - 1", "if True"),
    Mutant("passes on one turn too early", ring_all_reduce, "if turn < ranks - 1", "if turn < ranks - 2"),
    Mutant("stops one turn early", ring_all_reduce, "range(2 * (ranks - 1))", "range(2 * (ranks - 1) - 1)"),
    Mutant(
        "loses what R does not divide",
        ring_all_reduce,
        "padded_N[: len(x_N)] = x_N",
        "padded_N[: len(x_N) // ranks * ranks] = x_N[: len(x_N) // ranks * ranks]",
    ),
    Mutant("sums in float32", ring_all_reduce, ", dtype=x_N.dtype", ""),
    Mutant(
        "returns the mean",
        ring_all_reduce,
        "torch.cat(chunks)[: len(x_N)]",
        "torch.cat(chunks)[: len(x_N)] // ranks",
    ),
    Mutant("keeps the padding", ring_all_reduce, "torch.cat(chunks)[: len(x_N)]", "torch.cat(chunks)"),
    Mutant("cuts chunks as long as the row", ring_all_reduce, "-(-len(x_N) // ranks)", "len(x_N)"),
    Mutant("forgets to divide", averaged_gradients, "parameter.grad /= dist.get_world_size()", "pass"),
    Mutant("divides by two", averaged_gradients, "/= dist.get_world_size()", "/= 2"),
    Mutant(
        "averages the weights",
        averaged_gradients,
        "dist.all_reduce(parameter.grad)",
        "dist.all_reduce(parameter.data)",
    ),
    Mutant(
        "skips a missing gradient",
        averaged_gradients,
        "if parameter.requires_grad:",
        "if parameter.grad is not None:",
    ),
    Mutant("thaws what is frozen", averaged_gradients, "if parameter.requires_grad:", "if True:"),
    Mutant(
        "leaves out the biases",
        averaged_gradients,
        "if parameter.requires_grad:",
        "if parameter.requires_grad and parameter.ndim > 1:",
    ),
    Mutant(
        "takes rank 0's gradients",
        averaged_gradients,
        "dist.all_reduce(parameter.grad)",
        "dist.broadcast(parameter.grad, 0)",
    ),
    Mutant(
        "takes the largest",
        averaged_gradients,
        "dist.all_reduce(parameter.grad)",
        "dist.all_reduce(parameter.grad, dist.ReduceOp.MAX)",
    ),
    Mutant(
        "takes a step as well",
        averaged_gradients,
        "parameter.grad /= dist.get_world_size()",
        "parameter.data -= parameter.grad.div_(dist.get_world_size())",
    ),
    Mutant("takes no step", steps_done, "optimizer.step()", "pass"),
    Mutant(
        "does not wrap the model", trained_by_ddp, "model = DistributedDataParallel(layers)", "model = layers"
    ),
    Mutant("begins alike on all ranks", trained_by_ddp, "network(dist.get_rank(),", "network(0,"),
    Mutant("trains on other batches", trained_alone, "batch_of(step,", "batch_of(step + 1,"),
    Mutant("waits until more fits in", predicted_buckets, "open_bytes >= limit", "open_bytes > limit"),
    Mutant("closes a bucket early", predicted_buckets, "open_bytes >= limit", "open_bytes >= limit // 4"),
    Mutant(
        "keeps the first limit for all", predicted_buckets, "open_bytes, limit = 0, cap", "open_bytes = 0"
    ),
    Mutant(
        "forgets the first limit",
        predicted_buckets,
        "open_bytes, limit = 0, first",
        "open_bytes, limit = 0, cap",
    ),
    Mutant(
        "carries over what is above the limit",
        predicted_buckets,
        "open_bytes, limit = 0, cap",
        "open_bytes, limit = open_bytes - limit, cap",
    ),
    Mutant(
        "begins with the first layer", predicted_buckets, "size in gradients", "size in reversed(gradients)"
    ),
    Mutant(
        "loses what is left over",
        predicted_buckets,
        "[*closed, open_bytes] if open_bytes else closed",
        "closed",
    ),
    Mutant("sends an empty bucket", predicted_buckets, "if open_bytes else closed", ""),
    Mutant(
        "never rebuilds its buckets",
        backward_passes,
        "bucket_cap_mb=cap_mb",
        "bucket_cap_mb=cap_mb, find_unused_parameters=True",
    ),
    Mutant("sends float32 all the same", averaging_hook, "whole.to(dtype)", "whole.clone()"),
    Mutant("gives nothing back", averaging_hook, "whole.copy_(done.value()[0])", "pass"),
    Mutant("counts bytes twice", averaging_hook, "message.nbytes))", "2 * message.nbytes))"),
    Mutant(
        "is never silent",
        reductions,
        "model.no_sync if batch < helpers.BATCHES - 1 else nullcontext",
        "nullcontext",
    ),
    Mutant(
        "is always silent",
        reductions,
        "model.no_sync if batch < helpers.BATCHES - 1 else nullcontext",
        "model.no_sync",
    ),
    Mutant(
        "gives every rank everything",
        sampled_epochs,
        "shuffle=True,",
        "shuffle=True, num_replicas=1, rank=0,",
    ),
    Mutant("never announces the epoch", sampled_epochs, 'if "set_epoch" in way:', "if False:"),
    Mutant("never drops the last", sampled_epochs, 'drop_last="drop_last" in way', "drop_last=False"),
    Mutant(
        "divides the other way", lone_gradient, "initial_world_size=divide", "initial_world_size=not divide"
    ),
    Mutant(
        "skips nothing",
        skipped_collective,
        "dist.get_rank() < dist.get_world_size() - 1",
        "dist.get_rank() >= 0",
    ),
    Mutant("reads one clock", skipped_collective, "time.perf_counter() - begun", "time.perf_counter()"),
    Mutant("begins with other weights", undisturbed, "seed=0", "seed=1"),
    Mutant("sums the shares", undisturbed, "labels_B) / 2", "labels_B)"),
    Mutant("skips a batch", trained_with_checkpoints, "range(begin, cfg", "range(begin + 1, cfg"),
    Mutant(
        "counts a step twice",
        trained_with_checkpoints,
        "kept.after(begin + done, form)",
        "[kept.after(begin + done, form) for _ in range(2)]",
    ),
)

EQUIVALENT = (
    Equivalent(
        ring_all_reduce,
        "torch.zeros",
        "torch.ones",
        "Whatever fills up the last chunk is added only to itself, and is cut off at the end.",
    ),
    Equivalent(
        ring_all_reduce,
        "dist.recv(arriving, (rank - 1) % ranks)",
        "dist.recv(arriving)",
        "Without a rank `recv` takes what comes from any, and only the left neighbour sends to this one.",
    ),
)
