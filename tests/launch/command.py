"""Run a stand-in lab by the local launcher, as `labs run` does: NODES PROCS GPUS FOLDER VERB."""

import sys
from pathlib import Path

from labs.launch import LAUNCHERS, RunSpec

nodes, procs, gpus, folder, verb = sys.argv[1:]
spec = RunSpec(
    99, "tests.launch.stand_in", "local", Path(folder), int(nodes), int(procs), gpus, flags=(verb,)
)
sys.exit(LAUNCHERS["local"].submit(spec))
