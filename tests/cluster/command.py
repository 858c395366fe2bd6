"""Run a stand-in lab by the Slurm launcher, as `labs run` does: a JSON object of sizes and wishes, and the verb."""

import json
import sys

from labs.commands.run import start
from labs.errors import UsageError
from labs.home import Home
from labs.launch import Request, RunSpec

sizes, wishes, verb = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
spec = RunSpec(
    99,
    "tests.launch.stand_in",
    "slurm",
    Home.from_environment().run_folder(99, "slurm"),
    **sizes,
    flags=(verb,),
    request=Request(**wishes),
)
try:
    sys.exit(start(spec, asked=True, dry_run=False))
except UsageError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
