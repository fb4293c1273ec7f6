"""What the modules of a script hold: layers nobody registered, frozen parameters, parameters no step ever changed."""

from __future__ import annotations

import weakref
from typing import Any

from .statistics import statistics

MAX_MODULES = 3000  # walked in one look
MAX_ENTRIES = 64  # things held outside the registry, or frozen, that one row names
MAX_DEPTH = 3  # containers in containers
MAX_IDLE = 400  # numbers in one `idle` row
MAX_LOOKS = 40  # walks in one run
SPACING = 0.4  # share by which backward passes grow between walks
MISSPELT = ("require", "grad")  # `p.require_grad = False` makes a new attribute and freezes nothing


class Modules:
    """Rows `unregistered`, `frozen`, `thaw` and `statistics` (looks at all known modules), `idle` (a sampled step)."""

    SIGNALS = ("unregistered", "frozen", "idle_parameters", "running_statistics")

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._torch = observer.torch
        self._looks = 0
        self._next: dict[int | None, int] = {}  # line -> the backward from which on to look again
        self._urgent = 0
        self._trained: dict[int, Any] = {}  # id -> weak reference of a leaf that some graph reached
        # id(optimizer) -> (reference, versions by id, when to look)
        self._first: dict[int, tuple[Any, dict[int, int], Any]] = {}
        self._last: dict[Any, Any] = {}
        self._stopped: set[str] = set()  # names of what was trained first, and frozen at a look

    def on_graph(self, graph: Any, site: int | None, count: int) -> None:
        """A sampled loss is about to be backpropagated."""
        for leaf in graph.leaves[:MAX_IDLE]:
            if id(leaf) not in self._trained and len(self._trained) < 5000:
                self._trained[id(leaf)] = weakref.ref(leaf)
        if (count >= self._next.get(site, 0) or self._urgent) and self._looks < MAX_LOOKS:
            self._looks += 1
            self._next[site] = count + 1 + int(count * SPACING)
            self._urgent = max(0, self._urgent - 1)
            with self._torch.no_grad():
                self._look(graph, site, count)

    def on_optimizer(self, optimizer: Any) -> None:
        """An optimizer was built: another phase begins, with other parts frozen."""
        self._urgent = 3
        if len(self._first) < MAX_ENTRIES:
            self._remember(optimizer)

    def _remember(self, optimizer: Any) -> tuple[Any, dict[int, int], Any]:
        leaves = [leaf for group in optimizer.param_groups for leaf in group["params"]]
        versions = {id(leaf): leaf._version for leaf in leaves}
        beat = self._observer.sampler.beat(("idle", id(optimizer)))
        known = self._first[id(optimizer)] = (weakref.ref(optimizer), versions, beat)
        return known

    def on_exception(self) -> None:
        """How many of the parameters that each optimizer holds need a gradient, at the end of a script that raised."""
        for key, (reference, *_) in list(self._first.items()):
            optimizer = reference()
            if optimizer is None or key != id(optimizer):
                continue
            leaves = [leaf for group in optimizer.param_groups for leaf in group["params"]]
            needing = sum(1 for leaf in leaves if leaf.requires_grad)
            opt = self._observer.updates.number(optimizer)
            self._observer.write({"k": "needing", "opt": opt, "held": len(leaves), "needing": needing})

    def _look(self, graph: Any, site: int | None, count: int) -> None:
        known = self._observer.parameters.modules()
        at = {"site": site, "n": count, "step": self._observer.steps}
        held = self._observer.updates.held() or set()
        names, owners = _named(known)
        reached = {id(leaf): leaf for leaf in graph.leaves}
        entries = []
        for prefix, module in owners[:MAX_MODULES]:
            entries += self._loose(module, prefix, names, held, reached)
        entries += self._strays(names, held, reached, entries)
        self._write("unregistered", at, entries[:MAX_ENTRIES])
        frozen = self._frozen(owners, held)
        self._write("frozen", at, frozen)
        later = {entry["name"] for entry in frozen if entry["trained"]} - self._stopped
        if later and len(self._stopped) < MAX_IDLE:  # frozen behind the last look: another phase begins
            self._stopped |= later
            self._urgent = 3
            self._observer.sampler.alarm()
        self._write("statistics", at, statistics(graph, owners[:MAX_MODULES]))
        self._write("thaw", at, _misspelt(owners)[:MAX_ENTRIES])

    def _write(self, kind: str, at: dict[str, Any], entries: list[dict[str, Any]]) -> None:
        if entries:
            self._observer.write({"k": kind, **at, "of": entries})

    def _loose(
        self, module: Any, prefix: str, names: dict[int, str], held: set[int], reached: dict[int, Any]
    ) -> list[dict[str, Any]]:
        """Layers and tensors among the plain attributes of a module that get a gradient and that nobody steps."""
        found = []
        for attribute, value in list(module.__dict__.items()):
            if attribute.startswith("_") or value is None or isinstance(value, (bool, int, float, str)):
                continue
            tensors = self._inside(value, MAX_DEPTH)
            loose = [t for t in tensors if id(t) not in names and id(t) not in held and id(t) in reached]
            if loose:
                found.append(self._entry(module, prefix, attribute, type(value).__name__, loose))
        return found

    def _entry(
        self, module: Any, prefix: str, attribute: str, container: str, tensors: list[Any], made: bool = False
    ) -> dict[str, Any]:
        return {
            "owner": type(module).__name__ if module is not None else "",
            "path": prefix,
            "attribute": attribute,
            "container": container,
            "params": [self._observer.parameters.number(t) for t in tensors[:MAX_ENTRIES]],
            "elements": sum(t.numel() for t in tensors),
            "made": made,
        }

    def _inside(self, value: Any, depth: int) -> list[Any]:
        """Trained tensors in a container, or of an unregistered module."""
        torch = self._torch
        if isinstance(value, torch.Tensor):
            return [value] if value.requires_grad and value.is_leaf else []
        if isinstance(value, torch.nn.Module):
            return [p for child in value.modules() for p in child._parameters.values() if p is not None]
        if depth and isinstance(value, (list, tuple, set)) and len(value) <= MAX_ENTRIES:
            return [t for item in list(value) for t in self._inside(item, depth - 1)]
        if depth and isinstance(value, dict) and len(value) <= MAX_ENTRIES:
            return [t for item in list(value.values()) for t in self._inside(item, depth - 1)]
        return []

    def _strays(
        self, names: dict[int, str], held: set[int], reached: dict[int, Any], entries: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """nn.Parameters in the graph that belong to nothing known: made anew in forward, when there are new ones."""
        number = self._observer.parameters.number
        loose = {n for entry in entries for n in entry["params"]}
        kind = self._torch.nn.Parameter
        found = [
            leaf
            for key, leaf in reached.items()
            if isinstance(leaf, kind) and key not in names and key not in held and number(leaf) not in loose
        ]
        return [self._entry(None, "", "", "", found, made=True)] if found else []

    def _frozen(self, owners: list[tuple[str, Any]], held: set[int]) -> list[dict[str, Any]]:
        """Parameters with requires_grad False: by name, with their norm, and whether they ever had it otherwise."""
        found: list[dict[str, Any]] = []
        seen: set[int] = set()
        for prefix, module in owners[:MAX_MODULES]:
            for leaf, tensor in module._parameters.items():
                if tensor is None or tensor.requires_grad or id(tensor) in seen or not tensor.is_floating_point():
                    continue
                seen.add(id(tensor))
                trained = self._trained.get(id(tensor))
                found.append(
                    {
                        "name": f"{prefix}.{leaf}" if prefix else leaf,
                        "module": type(module).__name__,
                        "shape": list(tensor.shape),
                        "norm": tensor.detach().float().norm() if len(found) < MAX_ENTRIES else None,
                        "held": id(tensor) in held,
                        "trained": trained is not None and trained() is tensor,
                        "training": bool(module.training),
                        "moving": getattr(module, "running_mean", None) is not None and bool(module.training),
                    }
                )
                if len(found) >= MAX_ENTRIES:
                    return found
        return found

    def before_step(self, optimizer: Any, closure: bool) -> None:
        """optimizer.step() begins: what it holds that has no gradient, and that nothing has changed since it was seen.

        In place changes raise a tensor's version, so that no copy is needed to know.
        """
        key = id(optimizer)
        known = self._first.get(key)
        if known is None or known[0]() is not optimizer:
            if len(self._first) >= MAX_ENTRIES:
                return
            known = self._remember(optimizer)
        if closure or not self._observer.looks(known[2]) or self._observer.sharded:
            return
        versions = known[1]
        leaves = [leaf for group in optimizer.param_groups for leaf in group["params"]]
        idle = [x for x in leaves if x.requires_grad and x.grad is None and versions.get(id(x)) == x._version]
        numbers = [self._observer.parameters.number(leaf) for leaf in idle[:MAX_IDLE]]
        row = {"params": numbers, "elements": sum(leaf.numel() for leaf in idle)}
        if self._last.get(key) != row:
            self._last[key] = row
            total = sum(leaf.numel() for leaf in leaves)
            opt, step = self._observer.updates.number(optimizer), self._observer.steps
            self._observer.write({"k": "idle", "opt": opt, "step": step, "total": total, **row})


def _named(known: list[Any]) -> tuple[dict[int, str], list[tuple[str, Any]]]:
    """(id of registered parameter -> name, [(path, module)]); the outermost module names first, as it has most."""
    names: dict[int, str] = {}
    owners: list[tuple[str, Any]] = []
    seen: set[int] = set()
    sized = [(list(module.named_modules()), module) for module in known[:200]]
    sized.sort(key=lambda entry: -len(entry[0]))
    for children, _ in sized:
        if id(children[0][1]) in seen:
            continue
        for prefix, child in children:
            if id(child) in seen:
                continue
            seen.add(id(child))
            owners.append((prefix, child))
            for leaf, tensor in child._parameters.items():
                if tensor is not None:
                    names.setdefault(id(tensor), f"{prefix}.{leaf}" if prefix else leaf)
    return names, owners


def _misspelt(owners: list[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Plain attributes that look like a freeze: `module.requires_grad = False`, `parameter.require_grad = False`."""
    found = []
    for prefix, module in owners[:MAX_MODULES]:
        inside = [p for child in module.modules() for p in child._parameters.values() if p is not None][:2000]
        for name, value in module.__dict__.items():
            if value is False and all(part in name for part in MISSPELT):
                trains = sum(1 for p in inside if p.requires_grad)
                found.append({"name": prefix, "attribute": name, "module": True, "trains": trains})
        for leaf, tensor in module._parameters.items():
            for name, value in getattr(tensor, "__dict__", {}).items():
                if value is False and all(part in name for part in MISSPELT):
                    path = f"{prefix}.{leaf}" if prefix else leaf
                    found.append(
                        {"name": path, "attribute": name, "module": False, "trains": int(tensor.requires_grad)}
                    )
    return found
