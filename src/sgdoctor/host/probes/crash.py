"""What was known at the moment a script raised: the exception, its lines, the tensors in the frames it came through."""

from __future__ import annotations

from typing import Any

MAX_TEXT = 4000  # characters of a message
MAX_FRAMES = 30
MAX_TENSORS = 24  # tensors described in one frame
MAX_CHAIN = 4  # causes and contexts followed


class Crash:
    """One `exception` row. Contents of tensors are never written: shapes, dtypes, devices, and extremes of labels."""

    SIGNALS = ("exception",)

    def __init__(self, observer: Any) -> None:
        self._observer = observer

    def on_exception(self, error: BaseException) -> None:
        """The script ended with an exception."""
        chain: list[BaseException] = [error]
        while len(chain) < MAX_CHAIN and (chain[-1].__cause__ or chain[-1].__context__):
            chain.append(chain[-1].__cause__ or chain[-1].__context__)  # type: ignore[arg-type]
        row: dict[str, Any] = {
            "k": "exception",
            "type": type(error).__name__,
            "text": _text(error),
            "step": self._observer.steps,
            "causes": [{"type": type(cause).__name__, "text": _text(cause)} for cause in chain[1:]],
        }
        sites = self._observer.sites
        row["frames"] = [
            site
            for frame, line in sites.user_frames(error.__traceback__)[-MAX_FRAMES:]
            if (site := sites.intern(frame.f_code, line)) is not None
        ]
        row["inner"] = self._inner_frames(error.__traceback__)
        failed = self._observer.losses.failed
        if isinstance(failed, dict):  # the losses may be switched off
            row["loss"] = failed
        self._observer.write(row)

    def _inner_frames(self, traceback: Any) -> list[dict[str, Any]]:
        """Function names and the tensors among the locals of the innermost frames (torch's own included)."""
        frames = []
        while traceback is not None:
            frames.append(traceback.tb_frame)
            traceback = traceback.tb_next
        described = []
        for frame in frames[-6:]:
            if "importlib._bootstrap" in frame.f_code.co_filename:
                continue
            tensors: dict[str, dict[str, Any]] = {}
            for name, value in list(frame.f_locals.items()):
                facts = self._tensor(value)
                if facts is not None and len(tensors) < MAX_TENSORS:
                    tensors[name] = facts
            owner = frame.f_locals.get("self")
            entry: dict[str, Any] = {"function": frame.f_code.co_name, "tensors": tensors}
            if self._observer.torch is not None and isinstance(owner, self._observer.torch.nn.Module):
                entry["module"] = type(owner).__name__
                weight = owner._parameters.get("weight")
                if weight is not None:
                    entry["param"] = self._observer.parameters.number(weight)
                    entry["weight"] = {
                        "shape": list(weight.shape),
                        "dtype": str(weight.dtype).replace("torch.", ""),
                        "device": str(weight.device),
                    }
            described.append(entry)
        return described

    def _tensor(self, value: Any) -> dict[str, Any] | None:
        torch = self._observer.torch
        if torch is None or not isinstance(value, torch.Tensor):
            return None
        return {
            "shape": list(value.shape),
            "dtype": str(value.dtype).replace("torch.", ""),
            "device": str(value.device),
            "grad": bool(value.requires_grad),
        }


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_TEXT]
    except Exception:
        return ""
