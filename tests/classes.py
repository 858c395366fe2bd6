"""Which labs the tests of a launcher run, and on how many nodes."""

import os

from labs import catalog

# One process, data workers, compiled code, several processes, sharded training.
ONE_OF_EACH = (1, 15, 33, 43, 44)


def labs() -> list[int]:
    """Return one lab of each class; all that are there where LABS_TEST_ALL is set."""
    ready = [number for number, entry in catalog.all_labs().items() if entry.ready]
    return [number for number in ready if os.environ.get("LABS_TEST_ALL") or number in ONE_OF_EACH]


def nodes_of(number: int) -> int:
    """Return two for a lab that can make use of them."""
    return 2 if catalog.all_labs()[number].distributed else 1
