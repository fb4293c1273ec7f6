"""From a script to a proof: diagnosed, its candidate changes tried against it and against a placebo."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ..conditions import Outcome
from ..diagnosis import Diagnosis, Offer, Placed, diagnose
from ..diagnosis.diagnosis import source_of, suspicions
from ..diagnosis.proof import Proof
from ..process import new_folder
from ..record import Record, load
from ..source import Edit
from .experiments import experiments
from .judge import Arms, broken, controlled, judge, matching_factor, repeats
from .local import Local, unsafe
from .trial import Engine, Result, Script, Trial

SEEDS = 3
SECONDS = 600.0  # for everything together, unless --time-limit says otherwise
BASE_SHARE = 0.15  # of it, for the first run: a script that trains for hours is stopped then, and all arms there
SLOWER = 4.0  # times as long as the script as it is that a changed one may take
START_SECONDS = 20.0  # beside the steps themselves: imports and data on a loaded machine
CANDIDATES = 3  # remedies of one finding that are tried
PLACEBO_DRAWS = 7


@dataclass
class Watch:
    """Told what happens: a stage begins with so many trials, one of them has ended, a line to show."""

    stage: Callable[[str, int], None] = lambda text, trials: None
    ended: Callable[[Result], None] = lambda result: None
    say: Callable[[str], None] = lambda text: None


@dataclass(frozen=True)
class Candidate:
    """One remedy of one finding that can be tried."""

    placed: Placed
    offer: Offer

    @property
    def edits(self) -> list[Edit]:
        """Its changes of the source."""
        return list(self.offer.remedy.edits)


@dataclass
class Proving:
    """One `prove`: the engine, the time that is left, and the trials so far."""

    script: Script
    seeds: int = SEEDS
    seconds: float = SECONDS
    workers: int | None = None
    engine_of: Callable[[Script, int | None, str], Engine] = Local
    watch: Watch = field(default_factory=Watch)
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    trials: int = 0

    def __post_init__(self) -> None:
        self._deadline = time.monotonic() + self.seconds
        self._limit = self.seconds
        self._steps: int | None = None

    def diagnosis(self, record: Record) -> Diagnosis:
        """What one run shows."""
        return diagnose(record, select=self.select, ignore=self.ignore)

    # -- the stages ------------------------------------------------------------------------------------------

    def run(self, known: Record | None = None) -> Diagnosis:
        """Everything, in order. `known`: a record of the script, so that it need not be run first.

        Ctrl-C ends it with what is known so far.
        """
        reason = unsafe(known) if known is not None else None
        engine = self.engine_of(self.script, self.workers, reason or "")
        found = None if known is None else self.diagnosis(known)
        try:
            with engine:
                if found is None:
                    base = self._base(engine)
                    found = self.diagnosis(base)
                    reason = unsafe(base)
                if not reason or known is not None:
                    return self._prove(engine, found)
            with self.engine_of(self.script, self.workers, reason) as fresh:
                self.watch.say(f"each trial is a process of its own: {reason}")
                return self._prove(fresh, found)
        except KeyboardInterrupt:
            if found is None:
                raise
            self.watch.say(f"interrupted after {self.trials} trials; this is what is known so far")
            return found

    def _base(self, engine: Engine) -> Record:
        """The script as it is, watched closely; its record is kept where those of `run` are."""
        self.watch.stage("the script as it is", 1)
        seconds = self.seconds * BASE_SHARE
        (result,) = self._run(engine, [Trial(self.script, "base", seconds=seconds)])
        folder = new_folder()
        if result.record.path is not None:
            shutil.copytree(result.record.path, folder, dirs_exist_ok=True)
            with suppress(OSError):
                (folder / "stop").unlink(missing_ok=True)
            record = load(folder)
        else:
            record = result.record
        if result.stopped:
            self._steps = max(1, record.steps)
            self.watch.say(f"stopped after {record.steps} steps ({seconds:.0f} s); every trial ends there")
        self._limit = min(START_SECONDS + SLOWER * result.seconds, self.seconds)
        return record

    def _prove(self, engine: Engine, found: Diagnosis) -> Diagnosis:
        found = self._experiments(engine, found)
        candidates = self._candidates(found)
        if not candidates:
            return found
        arms = Arms(found.record)
        try:
            chosen = self._screen(engine, found, candidates)
            changed = self._together(found, chosen)
            arms = self._arms(engine, found.record, changed)
            proofs = self._judge(engine, found, chosen, arms)
        except OutOfTime:
            text = f"the time limit of {self.seconds:.0f} s was reached after {self.trials} trials"
            proofs = {id(c.offer): Proof("not-testable", text, "none") for group in candidates for c in group[:1]}
            chosen = []
        return self._proved(found, chosen, proofs, arms)

    def _experiments(self, engine: Engine, found: Diagnosis) -> Diagnosis:
        """The diagnosis once more, with what experiments show that decide between what is left."""
        names = suspicions(found.record, select=self.select, ignore=self.ignore)
        try:
            outcomes = self._outcomes(engine, found.record, names)
        except OutOfTime:
            return found
        for name, outcome in outcomes.items():
            self.watch.say(f"{experiments()[name].question} {outcome.answer}")
        if not outcomes:
            return found
        return diagnose(found.record, select=self.select, ignore=self.ignore, outcomes=outcomes)

    def _outcomes(
        self,
        engine: Engine,
        record: Record,
        names: Iterable[str],
        sources: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> dict[str, Outcome]:
        """What experiments with these names answer of the script, or of its changed form. Raises OutOfTime."""
        known = experiments()
        wanted = [known[name] for name in names if name in known]
        plan = {
            (experiment.name, arm): replace(self.trial(experiment.name, sources, seed), intervention=change)
            for experiment in wanted
            for arm, change in experiment.arms(record).items()
        }
        if not plan:
            return {}
        self.watch.stage("experiments: " + ", ".join(dict.fromkeys(name for name, _ in plan)), len(plan))
        results = self._run(engine, list(plan.values()))
        outcomes = {}
        for experiment in wanted:
            arms = {arm: r.record for (name, arm), r in zip(plan, results) if name == experiment.name}
            if arms:
                outcomes[experiment.name] = experiment.judge(record, arms)
        return outcomes

    # -- trials ----------------------------------------------------------------------------------------------

    def _run(self, engine: Engine, trials: Sequence[Trial]) -> list[Result]:
        """All of them, in the order given. Raises OutOfTime."""
        results: dict[int, Result] = {}
        numbers = {id(trial): index for index, trial in enumerate(trials)}
        for result in engine.run(trials):
            self.trials += 1
            results[numbers[id(result.trial)]] = result
            self.watch.ended(result)
            if time.monotonic() > self._deadline and len(results) < len(trials):
                raise OutOfTime
        return [results[index] for index in range(len(trials))]

    def trial(self, name: str, sources: Mapping[str, str] | None = None, seed: int = 0, draws: int = 0) -> Trial:
        """A trial under the limits of this proof."""
        if time.monotonic() > self._deadline:
            raise OutOfTime
        return Trial(
            self.script, name, sources or {}, seed=seed, draws=draws, max_steps=self._steps, seconds=self._limit
        )

    # -- what to try -----------------------------------------------------------------------------------------

    def _candidates(self, found: Diagnosis) -> list[list[Candidate]]:
        """By finding: the remedies that come with a patch."""
        groups = []
        for placed in found.findings:
            if placed.role == "cause" and placed.severity != "info":
                group = [Candidate(placed, offer) for offer in placed.offers if offer.patch]
                if group:
                    groups.append(group[:CANDIDATES])
        return groups

    def _screen(self, engine: Engine, found: Diagnosis, groups: list[list[Candidate]]) -> list[Candidate]:
        """The best candidate of each finding, by one seed that the proof does not use where there are several."""
        chosen = [group[0] for group in groups]
        rivals = [group for group in groups if len(group) > 1]
        if not rivals:
            return chosen
        source = source_of(found.record)
        flat = [candidate for group in rivals for candidate in group]
        self.watch.stage("which change is best", len(flat))
        trials = [
            self.trial("candidate", self._beside(found, chosen, c) or source.changed(c.edits), seed=self.seeds)
            for c in flat
        ]
        results = dict(zip((id(candidate) for candidate in flat), self._run(engine, trials)))
        for group in rivals:
            ranked = sorted(group, key=lambda c: self._standing(results[id(c)], c, found), reverse=True)
            chosen[groups.index(group)] = ranked[0]
        return chosen

    def _beside(self, found: Diagnosis, chosen: list[Candidate], one: Candidate) -> dict[str, str] | None:
        """The source with this candidate and the first ones of the other findings."""
        others = [c for c in chosen if c.placed is not one.placed]
        return self._together(found, [*others, one]) if others else None

    def _standing(self, result: Result, candidate: Candidate, found: Diagnosis) -> tuple[bool, bool, float]:
        """Better is larger: it runs, the finding is gone, it learns."""
        alive = not broken(result.record)
        ids = {placed.condition.id for placed in self.diagnosis(result.record).findings}
        return alive, candidate.placed.condition.id not in ids, Arms(found.record).standing(result.record)

    def _together(self, found: Diagnosis, chosen: Iterable[Candidate]) -> dict[str, str] | None:
        edits = [edit for candidate in chosen for edit in candidate.edits]
        return source_of(found.record).changed(list(dict.fromkeys(edits)))

    # -- the arms --------------------------------------------------------------------------------------------

    def _arms(self, engine: Engine, base: Record, changed: Mapping[str, str] | None) -> Arms:
        """Baseline, placebo and treated over the same seeds; the first baseline repeats the first run."""
        seeds = range(self.seeds)
        self.watch.stage("before and after", 2)
        first = self._run(engine, [self.trial("baseline"), self.trial("treated", changed)])
        if broken(first[1].record) and not broken(first[0].record):  # clearly lost
            return Arms(base, (first[0].record,), (first[1].record,))
        plan = [self.trial("baseline", seed=seed) for seed in seeds[1:]]
        plan += [self.trial("treated", changed, seed=seed) for seed in seeds[1:]]
        plan += [self.trial("placebo", seed=seed, draws=PLACEBO_DRAWS) for seed in seeds]
        self.watch.stage("the same under other seeds, and a placebo", len(plan))
        results = [result.record for result in self._run(engine, plan)]
        k = self.seeds - 1
        baseline, treated = (first[0].record, *results[:k]), (first[1].record, *results[k : 2 * k])
        return Arms(base, baseline, treated, tuple(results[2 * k :]))

    def _judge(self, engine: Engine, found: Diagnosis, chosen: list[Candidate], arms: Arms) -> dict[int, Proof]:
        """A proof for each candidate: of all together, then of each by taking it away."""
        if not repeats(arms):
            text = (
                "the script does not repeat itself under a forced seed, so that no difference can be laid to the change"
            )
            return {
                id(c.offer): Proof("not-testable", text, "none", steps=arms.steps, seeds=self.seeds) for c in chosen
            }
        if len(chosen) == 1:
            return {id(chosen[0].offer): self._controlled(engine, found, arms, chosen[0])}
        proofs = {}
        for candidate in chosen:
            rest = [other for other in chosen if other is not candidate]
            without = self._together(found, rest)
            self.watch.stage(f"without the change for {candidate.placed.condition.id}", self.seeds)
            trials = [self.trial("without", without, seed=seed) for seed in range(self.seeds)]
            before = tuple(result.record for result in self._run(engine, trials))
            proofs[id(candidate.offer)] = judge(
                replace(arms, baseline=before), candidate.placed.condition, self.diagnosis
            )
        return proofs

    def _controlled(self, engine: Engine, found: Diagnosis, arms: Arms, candidate: Candidate) -> Proof:
        """The proof of one change; against a matched rate as well, where it is the curve that proves it."""
        proof = judge(arms, candidate.placed.condition, self.diagnosis)
        if proof.verdict != "proven" and candidate.placed.condition.by_experiment:
            diagnoses = self._experimented(engine, found, arms, candidate)
            proof = judge(arms, candidate.placed.condition, lambda record: diagnoses.get(id(record), found))
        factor = matching_factor(arms)
        if proof.verdict != "proven" or factor is None or candidate.placed.condition.by_invariant:
            return proof
        self.watch.stage("as it is, with steps as large", self.seeds)
        change = {"name": "lr", "factor": factor}
        trials = [replace(self.trial("matched", seed=seed), intervention=change) for seed in range(self.seeds)]
        return controlled(proof, arms, tuple(result.record for result in self._run(engine, trials)), factor)

    def _experimented(self, engine: Engine, found: Diagnosis, arms: Arms, candidate: Candidate) -> dict[int, Diagnosis]:
        """What each run of both arms shows with the experiment that named the fault made again."""
        names = [o.name for o in found.experiments if o.name in experiments()]
        sources = self._together(found, [candidate])
        diagnoses = {}
        for records, changed in ((arms.baseline, None), (arms.treated, sources)):
            for seed, record in enumerate(records):
                outcomes = self._outcomes(engine, record, names, changed, seed)
                diagnoses[id(record)] = diagnose(record, select=self.select, ignore=self.ignore, outcomes=outcomes)
        return diagnoses

    # -- the answer ------------------------------------------------------------------------------------------

    def _proved(self, found: Diagnosis, chosen: list[Candidate], proofs: dict[int, Proof], arms: Arms) -> Diagnosis:
        """The diagnosis with its proofs, the offered patch, and each proof in words."""
        upheld = [c for c in chosen if proofs[id(c.offer)].verdict in ("proven", "helps")]
        placed = [_with_proofs(entry, proofs, chosen) for entry in found.findings]
        outcomes = [
            Outcome(f"proof of {c.placed.condition.id}", c.offer.remedy.title, proof.reason, {"trials": self.trials})
            for c in chosen
            if (proof := proofs[id(c.offer)])
        ]
        patched = self._together(found, upheld) if upheld else None
        return replace(
            found, findings=tuple(placed), experiments=(*found.experiments, *outcomes), patched=patched or {}
        )


class OutOfTime(Exception):
    """The time limit was reached."""


def _with_proofs(placed: Placed, proofs: Mapping[int, Proof], chosen: list[Candidate]) -> Placed:
    """The finding with its proofs; what was tried stands first among its remedies."""
    taken = {id(candidate.offer) for candidate in chosen}
    offers = [replace(o, proof=proofs[id(o)]) if id(o) in proofs else o for o in placed.offers]
    order = sorted(range(len(offers)), key=lambda index: id(placed.offers[index]) not in taken)
    return replace(placed, offers=tuple(offers[index] for index in order))
