"""Note the collectives that a piece of code starts."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode


class Traffic(TorchDispatchMode):
    """Notes every gather and reduce-scatter within its `with` block, and the bytes that this rank puts into each, in order.

    torch's own `CommDebugMode` counts them too, but knows neither their order nor their size.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, int]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func.namespace == "c10d":
            self.log.append(("gather" if "gather" in str(func) else "reduce-scatter", args[1].nbytes))
        return func(*args, **(kwargs or {}))

    def count(self, what: str) -> int:
        """Count the collectives of a kind."""
        return sum(noted == what for noted, _ in self.log)
