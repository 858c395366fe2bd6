"""In a process of its own: import packages, which may crash or hang, and say at once how each import went, in a line of JSON."""

import importlib
import json
import os
import sys
from typing import Any


def main(names: list[str]) -> None:
    """Import one package after the other."""
    said = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # some packages talk while they are imported
    for name in names:
        print(json.dumps({name: imported(name)}), file=said, flush=True)


def imported(name: str) -> dict[str, Any]:
    """Import a package and return its version, or how that failed; of torch also its build and the devices that it sees."""
    try:
        module = importlib.import_module(name)
        return {
            "version": str(getattr(module, "__version__", "")),
            **(_devices(module) if name == "torch" else {}),
        }
    except (Exception, SystemExit) as error:  # whatever a broken package raises is what we came to hear
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        return {
            "absent": absent,
            "error": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}",
        }


def _devices(torch: Any) -> dict[str, Any]:
    build = (
        f"CUDA {torch.version.cuda}"
        if torch.version.cuda
        else f"ROCm {torch.version.hip}"
        if torch.version.hip
        else "CPU"
    )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    troubles = [trouble for index in range(count) if (trouble := _tried(torch, index))]
    gpus = [] if troubles else [torch.cuda.get_device_name(index) for index in range(count)]
    mps = ["Apple GPU, by MPS"] if torch.backends.mps.is_available() else []
    found = {"more": f", {build} build, {torch.get_num_threads()} threads", "gpus": gpus + mps}
    return found | ({"gpu_trouble": troubles[0]} if troubles else {})


def _tried(torch: Any, index: int) -> str:
    """Compute one number on a GPU: it may be too old for this build, full, or somebody else's alone."""
    try:
        torch.ones(1, device=f"cuda:{index}").add(1).item()
    except Exception as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
