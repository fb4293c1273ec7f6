"""What a condition is: a frozen record of pure functions over a record and a source."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..record import Record, Site
from ..source import Edit, Source

Severity = Literal["error", "warning", "info"]
Safety = Literal["safe", "changes-training", "advice"]


@dataclass(frozen=True)
class Evidence:
    """One sentence with its numbers, and the same numbers as fields."""

    text: str
    signal: str | None = None
    value: float | None = None
    reference: float | None = None


@dataclass(frozen=True)
class Finding:
    """A condition holds: where, how surely (0 to 1), and what shows it."""

    site: Site | None
    evidence: tuple[Evidence, ...]
    confidence: float
    layer: str | None = None
    steps: tuple[int, int] | None = None
    severity: Severity | None = None  # where it differs from the condition's own
    subject: object = None  # what `remedies` needs to know beyond the site
    condition: str | None = None  # id, where a finding stands alone: in what `sgdoctor.check` returns


@dataclass(frozen=True)
class NotEvaluated:
    """A condition could not be judged, and why."""

    reason: str


@dataclass(frozen=True)
class Remedy:
    """A change that mends the cause: words, and edits of the source where they can be given."""

    title: str
    safety: Safety
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What an experiment answered: in words with its numbers, and the same numbers as fields.

    `figures` is empty where the experiment could not be made, and `answer` then says why.
    """

    name: str
    question: str
    answer: str
    figures: Mapping[str, Any] = field(default_factory=dict)

    def figure(self, name: str) -> float:
        """A number among the figures, NaN where there is none of that name."""
        value = self.figures.get(name)
        return float(value) if isinstance(value, (int, float)) else float("nan")

    def word(self, name: str) -> str:
        """A word among the figures, empty where there is none of that name."""
        value = self.figures.get(name)
        return value if isinstance(value, str) else ""


Answer = Iterator[Finding | NotEvaluated]


@dataclass(frozen=True)
class Condition:
    """One cause of failing training. `explains`: ids of conditions that it can cause.

    `structural`: the loop or the loss itself is wrong, so that the loss curve is no judge of anything else.
    `by_learning`: it is judged by how well the loss falls, and so cannot be judged beside a structural one.
    `by_exclusion`: it says what is left when nothing else explains a loss that does not fall.
    `by_experiment`: some, or all, of its faulty scripts are shown by an experiment only, not by the run.
    `suspects`: names of the experiments that would decide it for a record, none where there is nothing to decide.
    `flatters`: the fault makes the figures of a run better than they are, so that they fall when it is mended.
    `in_experiment`: what their outcomes show. Where it answers, that takes the place of what `in_run` answered.
    `in_source`: what the source alone shows, for `check`: certain, or not said. `remedies` takes its findings too.
    """

    id: str
    severity: Severity
    needs: tuple[str, ...]
    in_run: Callable[[Record, Source], Answer]
    explains: tuple[str, ...] = ()
    structural: bool = False
    by_learning: bool = False
    by_exclusion: bool = False
    remedies: Callable[[Finding, Source], Iterable[Remedy]] | None = None
    by_experiment: bool = False
    suspects: Callable[[Record, Source], tuple[str, ...]] | None = None
    in_experiment: Callable[[Record, Source, Mapping[str, Outcome]], Answer] | None = None
    in_source: Callable[[Source], Iterator[Finding]] | None = None
    flatters: bool = False
    page: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        # The page is the docstring of the file that declares the condition; it is never written twice.
        if not self.page:
            page = sys.modules[self.in_run.__module__].__doc__ or ""
            object.__setattr__(self, "page", page)

    @property
    def by_invariant(self) -> bool:
        """Whether a repair may be judged by the fault's absence, where the curve shows nothing."""
        return self.flatters or (not self.by_learning and not self.by_exclusion)

    @property
    def title(self) -> str:
        """The first line of the page."""
        return self.page.strip().partition("\n")[0].strip().rstrip(".")
