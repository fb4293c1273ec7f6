"""The update rule swapped: another class of torch.optim steps the same parameters."""

from __future__ import annotations

from typing import Any

from .intervention import Intervention


class Optimizer(Intervention):
    """Each optimizer's steps are taken by one of class `kind` at rate `lr`; what the script's schedule does is kept.

    `lr` None: the rate the script gave. `momentum` goes to SGD and RMSprop.
    """

    def __init__(
        self, observer: Any, name: str, *, kind: str = "AdamW", lr: float | None = None, momentum: float = 0.9
    ) -> None:
        super().__init__(observer, name)
        self._kind = kind
        self._lr = lr
        self._momentum = momentum
        self._stand_ins: dict[int, tuple[Any, Any, list[float]]] = {}
        self._classes: set[type] = set()
        self._building = False

    def install(self) -> None:
        base, original = self.torch.optim.Optimizer, self.torch.optim.Optimizer.__init__

        def wrapper(optimizer: Any, *args: Any, **kwargs: Any) -> None:
            original(optimizer, *args, **kwargs)
            if not self._building:
                self._redirect(type(optimizer))

        self.put(base, "__init__", wrapper)

    def _redirect(self, kind: type) -> None:
        owner = next((each for each in kind.__mro__ if "step" in vars(each)), None)
        if owner is None or owner in self._classes:
            return
        self._classes.add(owner)
        original = vars(owner)["step"]

        def wrapper(optimizer: Any, *args: Any, **kwargs: Any) -> Any:
            if any(optimizer is entry[1] for entry in self._stand_ins.values()):
                return original(optimizer, *args, **kwargs)
            return self._stand_in(optimizer).step(*args, **kwargs)

        self.put(owner, "step", wrapper)

    def _stand_in(self, optimizer: Any) -> Any:
        """The optimizer that steps for another, its rates following that one's."""
        known = self._stand_ins.get(id(optimizer))
        groups = optimizer.param_groups
        if known is None or len(known[2]) != len(groups):
            self._building = True
            try:
                # The rate it was built with: a schedule that warms up has changed it already.
                first = [float(group.get("initial_lr", group.get("lr", 1e-3))) or 1e-3 for group in groups]
                mine = [
                    {"params": group["params"], "lr": rate if self._lr is None else self._lr}
                    for group, rate in zip(groups, first)
                ]
                kind = getattr(self.torch.optim, self._kind)
                extra = {"momentum": self._momentum} if self._kind in ("SGD", "RMSprop") else {}
                known = (optimizer, kind(mine, lr=1e-3, **extra), first)
            finally:
                self._building = False
            self._stand_ins[id(optimizer)] = known
        _, stand_in, first = known
        for mine, group, rate in zip(stand_in.param_groups, groups, first):
            base = rate if self._lr is None else self._lr
            mine["lr"] = base * float(group.get("lr", rate)) / rate
        self.acted += 1
        return stand_in

    def closing(self) -> None:
        if not self.acted:
            self.reason = "no optimizer stepped"


INTERVENTION = Optimizer
