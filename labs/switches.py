"""Switches of torch and CUDA that somebody set for other work: they would change what a lab measures, so it runs without them."""

import os

SAID = "LABS_SWITCHED_OFF"  # tells the ranks, whose environment is clean already, what was taken away
CHANGES = {
    "TORCHDYNAMO_DISABLE": "nothing would be compiled",
    "TORCH_COMPILE_DISABLE": "nothing would be compiled",
    "TORCHDYNAMO_SUPPRESS_ERRORS": "what cannot be compiled would run uncompiled without a word",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "everything would be compiled anew",
    "PYTORCH_JIT": "TorchScript would be off",
    "PYTORCH_NO_CUDA_MEMORY_CACHING": "every tensor would be allocated anew",
    "CUDA_LAUNCH_BLOCKING": "the host would wait for every kernel",
    "NVIDIA_TF32_OVERRIDE": "products would have another precision",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "products would have another precision",
    "ATEN_CPU_CAPABILITY": "the processor's vector units would not be used",
    "TORCH_DISTRIBUTED_DEBUG": "collectives would send more than they need",
    "TORCH_FORCE_WEIGHTS_ONLY_LOAD": "loading would have another default",
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "loading would have another default",
}


def neutralise() -> None:
    """Take the switches out of this process's environment, before torch reads them, and remember which there were."""
    found = [f"{name}={os.environ.pop(name)}" for name in CHANGES if os.environ.get(name)]
    if found:
        os.environ[SAID] = " ".join(found)


def said() -> list[str]:
    """Return a line for each switch that was taken away."""
    found = [word.partition("=") for word in os.environ.get(SAID, "").split()]
    return [f"{name}={value} is set aside for this run: {CHANGES.get(name, '')}" for name, _, value in found]
