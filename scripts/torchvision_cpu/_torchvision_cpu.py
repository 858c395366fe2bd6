"""Lets torchvision's default wheel, which is built for CUDA, import beside a CPU torch.

Its compiled half needs CUDA's libraries, so it does not load, and the two operators that torchvision describes at import
stay unknown. Declaring them is enough for models, transforms and datasets; operators such as `nms` itself still say that they are missing.

A .pth file imports this whenever Python starts, so that every process has it: nothing but `sys` may be imported at the top.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: "object" = None  # the declarations last as long as this object


def declare_operators(folder: str) -> None:
    """Declare them if the compiled half does not load, as it does again once the wheel is replaced by one for the CPU."""
    global _library
    import glob

    import torch

    try:
        for compiled in glob.glob(glob.escape(folder) + "/_C*.so"):
            torch.ops.load_library(compiled)
    except OSError:
        _library = torch.library.Library("torchvision", "DEF")
        for schema in SCHEMAS:
            _library.define(schema)


class Finder:
    """Finds torchvision where it is, and nothing else; acts only when it is really imported, not when it is looked for."""

    @staticmethod
    def find_spec(
        name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        if name != "torchvision":
            return None
        from importlib.machinery import PathFinder, SourceFileLoader

        class Loader(SourceFileLoader):
            def exec_module(self, module: "ModuleType") -> None:
                declare_operators(module.__path__[0])
                super().exec_module(module)

        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(spec.loader.name, spec.loader.path)
        return spec


sys.meta_path.insert(0, Finder)
