"""A script that is run again: with another source, a forced seed, and a scratch folder for what it writes."""

from __future__ import annotations

import importlib.machinery
import os
import sys
from typing import Any


class Rerun:
    """What the launcher and the observer ask of a trial; `plan` holds `seed`, `draws`, `sources`, `scratch`, `memory`.

    `sources`: absolute path -> the text to run in its place. `memory`: bytes of data the process may have. `draws`:
    random numbers thrown away after each seeding, a change that changes nothing.
    """

    def __init__(self, plan: dict[str, Any], record: str) -> None:
        self.seed: int = plan["seed"]
        self.sources: dict[str, str] = plan.get("sources") or {}
        self._draws: int = plan.get("draws") or 0
        self._memory = plan.get("memory")
        self._scratch: Any = None
        if plan.get("scratch"):
            from .scratch import Scratch

            self._scratch = Scratch(plan["scratch"], allowed=(record,))

    def prepare(self) -> None:
        """Before the first line of the script."""
        sys.dont_write_bytecode = True
        if self._memory:
            import resource

            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            wanted = self._memory if most == resource.RLIM_INFINITY else min(self._memory, most)
            resource.setrlimit(resource.RLIMIT_DATA, (wanted, most))
        from . import seeds

        seeds.force(self.seed)
        if self.sources:
            self._replace_modules()
        if self._scratch is not None:
            self._scratch.install()

    def attach(self, torch: Any) -> None:
        """torch is there."""
        from . import seeds

        seeds.force_torch(torch, self.seed, self._draws)
        if self._scratch is not None:
            self._scratch.redirect_torch(torch)

    def text(self, path: str) -> bytes | None:
        """What to run in place of a file."""
        text = self.sources.get(os.path.realpath(path))
        return None if text is None else text.encode()

    def _replace_modules(self) -> None:
        """Files of the user's that the script imports are compiled from their other text."""
        loader: Any = importlib.machinery.SourceFileLoader
        original = loader.get_code

        def get_code(self_: Any, name: str) -> Any:
            path = self_.get_filename(name)
            text = self.text(path)
            return original(self_, name) if text is None else compile(text, path, "exec", dont_inherit=True)

        loader.get_code = get_code

    def replace_main(self) -> None:
        """A spawned process imports the script by its path, which goes another way than an import."""
        import runpy

        inner: Any = runpy
        original = inner._get_code_from_file

        def get_code(*names: str) -> Any:
            path = names[-1]
            text = self.text(path)
            if text is None:
                return original(*names)
            code = compile(text, path, "exec", dont_inherit=True)
            return code if sys.version_info >= (3, 12) else (code, path)

        inner._get_code_from_file = get_code
