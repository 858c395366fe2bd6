"""Run a lab here. One process needs no starter: it runs in the command's own interpreter."""

import os
import runpy
import shlex
import sys

from labs.errors import UsageError
from labs.launch.spec import RunSpec


class Local:
    """This machine, without a queue or a container."""

    name = "local"

    def why(self) -> str:
        return "no cluster was asked for"

    def check(self, spec: RunSpec) -> None:
        if spec.nodes * spec.procs > 1:
            asked = f"NODES={spec.nodes} PROCS={spec.procs}"
            said = f"lab {spec.lab:02d} runs in one process, and {asked} asks for {spec.nodes * spec.procs}"
            raise UsageError(f"{said}\nleave NODES and PROCS out, or set them to 1")

    def render(self, spec: RunSpec) -> str:
        command = [sys.executable, "-m", spec.module, *spec.arguments]
        hidden = "CUDA_VISIBLE_DEVICES= " if spec.gpus == "0" else ""
        return hidden + shlex.join(command) + "\n"

    def submit(self, spec: RunSpec) -> int:
        if spec.gpus == "0":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        sys.argv = [spec.module, *spec.arguments]
        try:
            runpy.run_module(spec.module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return 0
