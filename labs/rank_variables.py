"""The variables that tell a process its place in a run."""

from collections.abc import Mapping

# Found in a shell they are of another launcher, or of a run around this one: what we start has a place of its own.
VARIABLES = (
    "RANK",
    "WORLD_SIZE",
    "LOCAL_",
    "GROUP_",
    "ROLE_",
    "MASTER_",
    "TORCHELASTIC_",
    "LABS_NODE",
    "LABS_MEETING",
    "LABS_SECRET",
)


def without_rank_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which no process takes itself for a rank of another run."""
    return {name: value for name, value in environment.items() if not name.startswith(VARIABLES)}
