"""A diagnosis as Markdown, for issue threads and the summary of a CI job."""

from __future__ import annotations

import re

from ..diagnosis import Diagnosis, Placed
from .terminal import arms, verdict_in_words
from .untrusted import clean, line

# What Markdown, or the HTML that it lets through, would take for more than text.
SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|@!~])")


def render(diagnosis: Diagnosis) -> str:
    """The verdict, every finding with its evidence, the patch and proof of the causes."""
    parts = [f"### sgdoctor: {diagnosis.verdict}", _text(diagnosis.summary)]
    learning = diagnosis.learning
    if learning is not None and learning.first == learning.first:
        figures = f"loss {learning.first:.4g} -> {learning.last:.4g} in {learning.count} steps"
        if learning.baseline == learning.baseline:
            figures += f", best constant output {learning.baseline:.4g}, skill {learning.skill:.2f}"
        parts.append(_text(figures))
    parts += [_finding(placed) for placed in diagnosis.findings]
    if diagnosis.not_evaluated:
        names = ", ".join(f"`{name}`" for name, _ in diagnosis.not_evaluated)
        head = f"{len(diagnosis.not_evaluated)} conditions not evaluated"
        parts.append(f"<details><summary>{head}</summary>\n\n{names}\n\n</details>")
    return "\n\n".join(parts) + "\n"


def _finding(placed: Placed) -> str:
    site = placed.finding.site
    head = f"#### {placed.severity}: `{placed.condition.id}` {_text(placed.condition.title)}"
    where = [f"at {_code(f'{site.file}:{site.line}')}"] if site else []
    if placed.explained_by:
        where.append("follows from " + ", ".join(f"`{name}`" for name in placed.explained_by))
    parts = [head, ", ".join(where), "\n".join(f"- {_text(entry.text)}" for entry in placed.finding.evidence)]
    if not placed.explained_by:
        tried = [offer for offer in placed.offers if offer.proof is not None]
        for offer in tried or placed.offers:
            parts.append(f"**{'Change' if offer.patch else 'Advice'}:** {_text(offer.remedy.title)}")
            if offer.patch:
                parts.append(_block("diff", clean(offer.patch).rstrip("\n")))
            if offer.proof is not None:
                parts.append(f"**{offer.proof.verdict}**: {_text(verdict_in_words(offer.proof))}")
                parts.append(_block("text", "\n".join(f"{name:7}{line(text)}" for name, text in arms(offer.proof))))
    return "\n\n".join(part for part in parts if part)


def _text(text: str) -> str:
    return SPECIAL.sub(r"\\\1", line(text))


def _code(text: str) -> str:
    """As code, within more backticks than the text has in a row."""
    text = line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _block(language: str, text: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
