"""Which tensors hold NaN or infinities, and from which operation each of them descends."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any

KEPT = 2000  # tensors remembered; the oldest go first
KEPT_ELEMENTS = 2**27  # and their elements, as each is kept alive so that its memory is not given to another


class Origin:
    """One birth: the operation, where it stands, what went in.

    `deliberate`: an infinity that the script wrote down (`masked_fill(mask, -inf)`), or one that came with a mask.
    """

    def __init__(self, order: int, facts: dict[str, Any], deliberate: bool) -> None:
        self.order = order
        self.facts = facts
        self.deliberate = deliberate


class Lineage:
    """Origins by the memory that holds the values: views of a tensor share them, and so do saved tensors."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._known: OrderedDict[int, tuple[Any, Origin]] = OrderedDict()
        self._elements = 0

    def __len__(self) -> int:
        return len(self._known)

    def of(self, tensor: Any) -> Origin | None:
        """What the non-finite values of a tensor descend from, None where that is not known."""
        key = self._key(tensor)
        known = self._known.get(key) if key is not None else None
        return None if known is None else known[1]

    def put(self, tensor: Any, origin: Origin) -> None:
        """Remember it."""
        key = self._key(tensor)
        if key is None:
            return
        self.drop(tensor)
        kept = tensor.detach()
        self._known[key] = (kept, origin)
        self._elements += kept.numel()
        while self._known and (len(self._known) > KEPT or self._elements > KEPT_ELEMENTS):
            _, (old, _) = self._known.popitem(last=False)
            self._elements -= old.numel()

    def drop(self, tensor: Any) -> None:
        """Its values are all finite now."""
        key = self._key(tensor)
        known = self._known.pop(key, None) if key is not None else None
        if known is not None:
            self._elements -= known[0].numel()

    def _key(self, tensor: Any) -> int | None:
        try:
            key: int = tensor.untyped_storage()._cdata
        except (RuntimeError, NotImplementedError):  # sparse tensors and such have no storage
            return None
        return key


def state_of(torch: Any, tensor: Any) -> str:
    """ "nan", "inf", or "" where all values are finite (or it holds none that could be otherwise)."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel() or tensor.is_meta:
        return ""
    if tensor.is_sparse or tensor.is_quantized:
        return ""
    if bool(torch.isfinite(tensor).all()):
        return ""
    return "nan" if bool(torch.isnan(tensor).any()) else "inf"


def mask_like(torch: Any, tensor: Any) -> bool:
    """Whether all that is not finite in it is minus infinity (a mask), or it is a single number (a start value)."""
    if not tensor.is_floating_point():
        return False
    if tensor.dim() == 0:
        return not bool(torch.isnan(tensor))
    bad = tensor[~torch.isfinite(tensor)]
    return bool((bad == -math.inf).all())


def describe(torch: Any, tensor: Any) -> dict[str, Any]:
    """Shape, type, range of the finite values, how many zeros and how many not finite."""
    row: dict[str, Any] = {"shape": list(tensor.shape), "dtype": str(tensor.dtype).replace("torch.", "")}
    if tensor.is_floating_point() and tensor.numel():
        finite = tensor[torch.isfinite(tensor)]
        if finite.numel():
            row["min"], row["max"] = float(finite.min()), float(finite.max())
        row["zeros"] = int((tensor == 0).sum())
        row["nonfinite"] = int(tensor.numel() - finite.numel())
    return row
