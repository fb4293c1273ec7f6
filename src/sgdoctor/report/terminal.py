"""A diagnosis for a terminal: plain where it is none; the last lines hold the verdict and what to do next."""

from __future__ import annotations

import io
import math
import shlex
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..diagnosis import Diagnosis, Placed, Proof
from .json import relative
from .untrusted import clean, line

FEW = 5  # conditions that could not be judged are named up to here
WIDTH = 100  # of a report that goes to a file
COLOURS = {"error": "bold red", "warning": "yellow", "info": "cyan"}
PROOFS = {
    "proven": "bold green",
    "helps": "green",
    "no-effect": "yellow",
    "worse": "bold red",
    "not-testable": "yellow",
}
SPARKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
SPARK_WIDTH = 30
VERDICTS = {
    "healthy": "bold green",
    "faulty": "bold red",
    "at-the-floor": "bold yellow",
    "crashed": "bold red",
    "too-short": "bold yellow",
    "nothing-observed": "bold yellow",
}


def render(diagnosis: Diagnosis) -> str:
    """The full report as plain text."""
    buffer = io.StringIO()
    _print(
        diagnosis,
        Console(
            file=buffer, width=WIDTH, color_system=None, force_terminal=False, force_jupyter=False, highlight=False
        ),
    )
    return "".join(row.rstrip() + "\n" for row in buffer.getvalue().splitlines())


def show(diagnosis: Diagnosis, stream: TextIO) -> None:
    """The full report on a stream: with colour where that is a terminal."""
    if stream.isatty():
        _print(diagnosis, Console(file=stream, highlight=False))
    else:
        encoding = stream.encoding or "utf-8"  # the frame of the report must not break where only ASCII is printed
        stream.write(render(diagnosis).encode(encoding, "replace").decode(encoding))


def concise(diagnosis: Diagnosis) -> str:
    """One line a finding, `file:line: severity condition: evidence`, and the verdict."""
    lines = []
    for placed in diagnosis.findings:
        site = placed.finding.site
        where = f"{site.file}:{site.line}" if site else "-"
        evidence = placed.finding.evidence[0].text if placed.finding.evidence else placed.condition.title
        lines.append(line(f"{where}: {placed.severity} [{placed.condition.id}] {evidence}"))
    return "\n".join([*lines, line(f"{diagnosis.verdict}: {diagnosis.summary}")])


def _print(diagnosis: Diagnosis, console: Console) -> None:
    console.print()
    console.rule("sgdoctor", style="dim")
    alarms = [placed for placed in diagnosis.findings if placed.severity != "info"]
    for placed in reversed(diagnosis.findings):
        print_finding(placed, console, leading=bool(alarms) and placed is alarms[0])
    if not alarms:
        _print_learning(diagnosis, console)
    _print_open(diagnosis, console)
    _print_verdict(diagnosis, alarms, console)


def print_finding(placed: Placed, console: Console, leading: bool) -> None:
    """One finding: what shows it, where; `leading`: with what mends it."""
    finding = placed.finding
    head = Text()
    head.append(f"{placed.severity} ", style=COLOURS[placed.severity])
    head.append(placed.condition.id, style="bold")
    head.append(f"  {placed.condition.title}")
    if placed.explained_by:
        head.append(f"  (follows from {', '.join(placed.explained_by)})", style="dim")
    console.print(head)
    rows = [("-", line(entry.text), "") for entry in finding.evidence]
    if finding.site is not None:
        site = finding.site
        cell = "" if site.cell is None else f"cell {site.cell}:"
        rows.append(("at", line(f"{site.file}:{cell}{site.line} in {site.function}"), "cyan"))
    if leading:
        rows += [("fix", line(offer.remedy.title), "green") for offer in placed.offers]
    _print_rows(rows, console)
    shown = [offer for offer in placed.offers if offer.patch and (leading or offer.proof is not None)]
    for offer in [offer for offer in shown if offer.proof is not None] or shown:
        _print_patch(clean(offer.patch or ""), console)
        if offer.proof is not None:
            _print_proof(offer.proof, console)
    console.print()


def _print_rows(rows: list[tuple[str, str, str]], console: Console) -> None:
    """Label and sentence side by side, so that a long sentence hangs under its own beginning."""
    grid = Table.grid(padding=(0, 1), expand=False)
    grid.add_column(width=1)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column()
    for label, text, style in rows:
        grid.add_row("", label, Text(text, style=style))
    console.print(grid)


def _print_patch(patch: str, console: Console) -> None:
    for row in patch.rstrip("\n").split("\n"):
        style = {"+": "green", "-": "red", "@": "cyan"}.get(row[:1], "dim")
        console.print(Text("    " + row, style=style), soft_wrap=True)


def _print_proof(proof: Proof, console: Console) -> None:
    """Before, after, verdict."""
    rows = [(name, line(text), "") for name, text in arms(proof)]
    rows.append(("proof", line(f"{proof.verdict}: {verdict_in_words(proof)}"), PROOFS[proof.verdict]))
    _print_rows(rows, console)


def arms(proof: Proof) -> list[tuple[str, str]]:
    """The two arms of a proof as lines: the learning curve of the first seed, the metric of each."""
    found = []
    curves = [values for values in proof.curves if values]
    low, high = min((min(c) for c in curves), default=0.0), max((c[0] for c in curves), default=1.0)
    for name, values, drawn in (
        ("before", proof.baseline, proof.curves[0]),
        ("after", proof.treated, proof.curves[1]),
    ):
        text = f"{sparkline(drawn, low, high)}  loss {drawn[0]:.4g} -> {drawn[-1]:.4g}" if drawn else "no loss"
        if values:
            text += f"; {proof.metric} " + ", ".join(f"{value:.3f}" for value in values)
        found.append((name, text))
    return found


def sparkline(values: tuple[float, ...], low: float, high: float) -> str:
    """A curve in one line of text, from `low` to `high`; a cross where it is not finite."""
    width = max(1, -(-len(values) // SPARK_WIDTH))
    means = [sum(part) / len(part) for i in range(0, len(values), width) if (part := values[i : i + width])]
    scale = (len(SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(
        SPARKS[min(len(SPARKS) - 1, max(0, round((mean - low) * scale)))] if math.isfinite(mean) else "x"
        for mean in means
    )


def verdict_in_words(proof: Proof) -> str:
    """The figures of a proof as a phrase."""
    if proof.interval is None or proof.effect is None:
        return proof.reason
    low, high = proof.interval
    return f"{proof.reason}; effect {proof.effect:+.3f}, 95 % interval [{low:.3f}, {high:.3f}], {proof.seeds} seeds"


def _print_learning(diagnosis: Diagnosis, console: Console) -> None:
    learning = diagnosis.learning
    if learning is None or learning.first != learning.first:
        return
    console.print(Text(f"loss      {learning.first:.4g} -> {learning.last:.4g} over {learning.count} steps"))
    if learning.baseline == learning.baseline:
        console.print(
            Text(f"baseline  {learning.baseline:.4g}, the loss of the best constant output; skill {learning.skill:.2f}")
        )
    if learning.gap == learning.gap:
        console.print(Text(f"targets   permuted within a batch cost {learning.gap:.2f} baselines more"))


def _print_open(diagnosis: Diagnosis, console: Console) -> None:
    """The names of a few, the number of many: most of them have nothing of the kind to judge. JSON has the reasons."""
    for row in diagnosis.record.rows("probe_failed"):
        text = f"switched off: the observer's {row.get('probe')}, after an error of its own ({row.get('error')})"
        console.print(Text(line(text), style="yellow"))
    count = len(diagnosis.not_evaluated)
    if count:
        names = ", ".join(name for name, _ in diagnosis.not_evaluated) if count <= FEW else f"{count} conditions"
        console.print(Text(f"not evaluated: {names} (`sgdoctor report --json -` says why)", style="dim"))
        console.print()


def _next(diagnosis: Diagnosis, proved: bool) -> list[str]:
    """The commands that one would type now."""
    first = next(placed for placed in diagnosis.findings if placed.severity != "info")
    record = diagnosis.record
    target = record.exit.get("target") or record.start.get("script")
    commands = [f"sgdoctor explain {first.condition.id}"]
    if isinstance(target, str) and (diagnosis.patched or not proved) and any(offer.patch for offer in first.offers):
        arguments = [str(argument) for argument in record.exit.get("argv") or record.start.get("argv", [])]
        module = ["-m"] if record.exit.get("module") else []
        apply = ["--apply"] if diagnosis.patched else []
        commands.insert(0, f"sgdoctor prove {shlex.join([*apply, *module, target, *arguments])}")
    return commands


def _print_verdict(diagnosis: Diagnosis, alarms: list[Placed], console: Console) -> None:
    verdict = Text()
    verdict.append(diagnosis.verdict, style=VERDICTS[diagnosis.verdict])
    verdict.append(f"  {line(diagnosis.summary)}", style="bold")
    console.print(verdict)
    rows = []
    if alarms:
        first = alarms[0]
        if first.finding.evidence:
            rows.append(("why", line(first.finding.evidence[0].text), ""))
        if first.finding.site is not None:
            rows.append(("at", line(f"{first.finding.site.file}:{first.finding.site.line}"), "cyan"))
        if first.offers:
            rows.append(("fix", line(first.offers[0].remedy.title), "green"))
        proofs = [offer.proof for placed in alarms for offer in placed.offers if offer.proof is not None]
        rows += [("proof", line(f"{proof.verdict}: {proof.reason}"), PROOFS[proof.verdict]) for proof in proofs]
        rows += [("next", line(command), "bold") for command in _next(diagnosis, bool(proofs))]
    if diagnosis.record.path is not None:
        rows.append(("record", line(relative(diagnosis.record.path)), "dim"))
    _print_rows(rows, console)
