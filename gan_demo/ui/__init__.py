"""The page. Importing it comes before Gradio's own import, and halves that."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType


class WithoutStubs(MetaPathFinder):
    """Keeps Gradio from writing type stubs for editors.

    At every import it parses its own components' source and compares .pyi files with it: over a second before the page
    is there. Nothing is changed where Gradio has no such function any more.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "gradio.component_meta":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec and spec.loader:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if hasattr(module, "create_or_modify_pyi"):
                    vars(module)["create_or_modify_pyi"] = lambda *_: None

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "gradio" not in sys.modules:
    sys.meta_path.insert(0, WithoutStubs())
