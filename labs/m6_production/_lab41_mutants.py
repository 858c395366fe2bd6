"""The known mistakes of lab 41."""

from labs.kit import Equivalent, Mutant
from labs.m6_production.lab41_onnx_advanced_export import (
    answers,
    average_at_once,
    bins_by_counting,
    bound,
    captured_program,
    cured,
    exported,
    exported_by_tracing,
    free_dims,
    kept_apart,
    louder_or_softer,
    quantized,
    ran_on,
    refused,
)

BOTH = '{0: Dim("batch"), 1: Dim("length")}'
OUTPUT = 'binding.bind_output("output", device, 0, np.float32, scores_BC.shape, scores_BC.data_ptr())'
TRANSLATES = "captured, custom_translation_table={SEARCHSORTED: in_onnx},"

MUTANTS = (
    Mutant("frees the batch alone", free_dims, ', 1: Dim("length")', ""),
    Mutant("frees the length alone", free_dims, '0: Dim("batch"), ', ""),
    Mutant("mixes up the names", free_dims, BOTH, '{0: Dim("length"), 1: Dim("batch")}'),
    Mutant("gives both dims one name", free_dims, BOTH, '{0: Dim("batch"), 1: Dim("n")}'),
    Mutant("names no dim", free_dims, BOTH, "{}"),
    Mutant(
        "frees what should be fixed", exported, "dynamic_shapes=dims", "dynamic_shapes=dims or free_dims()"
    ),
    Mutant("asks for one size again and again", answers, "draw(*size)", "draw(*sizes[0])"),
    Mutant("captures one shape", captured_program, "dims or None", "None"),
    Mutant(
        "records what is right for every length",
        exported_by_tracing,
        "as_module(work)",
        "as_module(average_at_once)",
    ),
    Mutant(
        "counts the oldest most", average_at_once, "x_BT.shape[1] - 1, -1, -1, dtype", "x_BT.shape[1], dtype"
    ),
    Mutant(
        "takes one branch for all",
        louder_or_softer,
        "x_BT.sum() > 0, lambda x: x * 2, lambda x: x / 2,",
        "x_BT.sum() > 0, lambda x: x * 2, lambda x: x * 2.0,",
    ),
    Mutant("puts an edge into the bin above", bins_by_counting, ">", ">="),
    Mutant("counts the edges above", bins_by_counting, ">", "<"),
    Mutant(
        "counts edges, not only smaller ones",
        bins_by_counting,
        "(x_BT.unsqueeze(-1) > edges_K)",
        "(x_BT.unsqueeze(-1) * 0 == edges_K * 0)",
    ),
    Mutant("forgets the last edge", bins_by_counting, "> edges_K)", "> edges_K[:-1])"),
    Mutant("rounds before it compares", bins_by_counting, "x_BT.unsqueeze(-1)", "x_BT.unsqueeze(-1).round()"),
    Mutant(
        "searches after all",
        bins_by_counting,
        "(x_BT.unsqueeze(-1) > edges_K).sum(-1)",
        "torch.searchsorted(edges_K, x_BT)",
    ),
    Mutant("knows the edges by heart", bins_by_counting, "> edges_K)", "> torch.tensor(EDGES))"),
    Mutant("exports what ONNX has", refused, "as_module(work)", "as_module(average_at_once)"),
    Mutant("decomposes it the wrong way round", cured, "return counting(x_BT", "return counting(-x_BT"),
    Mutant("translates it with the edge", cured, "op.Less(", "op.LessOrEqual("),
    Mutant(
        "decomposes nothing and translates twice", cured, "onnx.export(plain,", f"onnx.export({TRANSLATES}"
    ),
    Mutant(
        "keeps all in one file", kept_apart, '"save_as_external_data": True', '"save_as_external_data": False'
    ),
    Mutant("believes the list", ran_on, 'kernel["provider"])', "providers[0])"),
    Mutant("quantizes no product", quantized, '["MatMul"]', '["Conv"]'),
    Mutant("lets the session choose the memory", bound, OUTPUT, 'binding.bind_output("output", device)'),
    Mutant(
        "runs on other tokens", bound, "binding, device =", "tokens_BT = tokens_BT * 0; binding, device ="
    ),
    Mutant(
        "binds a copy of the tokens",
        bound,
        "binding, device =",
        "tokens_BT = tokens_BT.clone(); binding, device =",
    ),
    Mutant("never runs", bound, "session.run_with_iobinding(binding)", "pass"),
    Mutant("returns a copy that was not bound", bound, OUTPUT, "scores_BC = scores_BC.clone(); " + OUTPUT),
    Mutant(
        "takes a NumPy answer",
        bound,
        "session.run_with_iobinding(binding)",
        'scores_BC = type(scores_BC)(session.run(None, {"input": tokens_BT.numpy()})[0])',
    ),
)

NAMED = "torch.onnx.export takes a bare name for a free dim of that name, and the file is the same"
NUMBERLESS = "the memory of a CPU has no number, and onnxruntime reads it for GPUs alone"
TOKENS = "binding.bind_input('input', device, {}, np.int64, tokens_BT.shape, tokens_BT.data_ptr())"
SCORES = "binding.bind_output('output', device, {}, np.float32, scores_BC.shape, scores_BC.data_ptr())"

EQUIVALENT = (
    *(Equivalent(free_dims, f"Dim('{name}')", f"'{name}'", NAMED) for name in ("batch", "length")),
    *(
        Equivalent(bound, call.format(0), call.format(number), NUMBERLESS)
        for call in (TOKENS, SCORES)
        for number in (-1, 1)
    ),
)
