"""Run the probe by the docker launcher, as `labs run` does: NODES PROCS FOLDER VERB [WISH=VALUE…]."""

import sys
from pathlib import Path

from labs.errors import UsageError
from labs.launch import LAUNCHERS, Request, RunSpec, claimed

nodes, procs, folder, verb, *wishes = sys.argv[1:]
request = Request(**dict(wish.split("=", 1) for wish in wishes))
spec = RunSpec(
    43, "labs.probe", "docker", Path(folder), int(nodes), int(procs), flags=(verb,), request=request
)
try:
    LAUNCHERS["docker"].check(spec)
    with claimed(spec) as own:
        sys.exit(LAUNCHERS["docker"].submit(own))
except UsageError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_status)
