"""Pages that are made from the code at each build: every condition with its scripts of the clinic, and the signals."""

from __future__ import annotations

import re
from pathlib import Path

from sgdoctor.pages import FOLDER, Page, pages
from sgdoctor.record.signals import SIGNALS

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"data": "Data", "loss": "Loss", "model": "Model", "optimisation": "Optimisation", "processes": "Processes"}
# A paragraph right behind a list: a terminal shows it as one, Markdown takes it for more of the last entry.
BEHIND_LIST = re.compile(r"^((?:- |  ).*)\n(?=[^\s\-#])", re.MULTILINE)
ADDRESS = re.compile(r"(?<![<(\"`])https?://[^\s<>\]]*[^\s<>\].,;:)]")


def write(docs: Path) -> None:
    """Into `conditions/` and `signals.md` of the folder with the documents."""
    folder = docs / "conditions"
    folder.mkdir(exist_ok=True)
    known = pages()
    for stale in set(folder.glob("*.md")) - {folder / f"{page.id}.md" for page in known}:
        stale.unlink()
    for page in known:
        _put(folder / f"{page.id}.md", _condition(page, {each.id for each in known}))
    _put(folder / "index.md", _contents(known))
    _put(docs / "signals.md", _signals())


def _put(file: Path, text: str) -> None:
    """Untouched where it says so already: Sphinx then has nothing to do."""
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8")


def _condition(page: Page, known: set[str]) -> str:
    _, _, rest = page.text.strip().partition("\n")
    rest = BEHIND_LIST.sub(r"\1\n\n", rest)
    rest = ADDRESS.sub(r"<\g<0>>", rest)
    names = "|".join(sorted(known - {page.id}, key=len, reverse=True))
    rest = re.sub(rf"`({names})`", r"[`\1`](\1.md)", rest)
    return f"# {page.id}\n\n**{page.severity}**: {page.title}.\n{rest}\n\n{_scripts(page.id)}"


def _scripts(name: str) -> str:
    """A script with the fault, and what mends it; the others of the clinic by name."""
    stories = sorted(path.parent for path in (ROOT / "clinic" / name).glob("*/faulty.py"))
    if not stories:
        return ""
    first = stories[0]
    rows = (first / "faulty.py").read_text(encoding="utf-8").splitlines()
    marked = ",".join(str(n) for n, row in enumerate(rows, 1) if f"# expect: {name}" in row)
    emphasis = f":emphasize-lines: {marked}\n" if marked else ""
    where = f"../../clinic/{name}/{first.name}"
    others = ", ".join(f"`clinic/{name}/{story.name}/`" for story in stories[1:])
    return (
        f"## An example\nA script that has it (`clinic/{name}/{first.name}/faulty.py`; a comment marks the line):\n\n"
        f"```{{literalinclude}} {where}/faulty.py\n:language: python\n:lineno-match:\n{emphasis}```\n\n"
        f"What makes it healthy:\n\n```{{literalinclude}} {where}/healthy.py\n:diff: {where}/faulty.py\n```\n"
        + (f"\nMore pairs: {others}.\n" if others else "")
    )


def _contents(known: list[Page]) -> str:
    rooms = {path.stem.replace("_", "-"): path.parent.name for path in FOLDER.glob("*/*.py")}
    parts = [
        f"# Conditions\n\n{len(known)} causes that training fails by. `sgdoctor explain CONDITION` prints a page.\n"
    ]
    for folder, title in FOLDERS.items():
        rows = [f"| [`{p.id}`]({p.id}.md) | {p.severity} | {p.title} |" for p in known if rooms[p.id] == folder]
        parts.append(f"## {title}\n\n| condition | severity | |\n|---|---|---|\n" + "\n".join(rows) + "\n")
    listed = "\n".join(page.id for page in known)
    return "\n".join([*parts, f"```{{toctree}}\n:hidden:\n\n{listed}\n```\n"])


def _signals() -> str:
    rows = [
        f"| `{s.name}` | {', '.join(s.axes) or 'one'} | {s.unit} | {s.meaning.replace('|', chr(92) + '|')} | {s.cost} |"
        for s in SIGNALS.values()
    ]
    return (
        "# Signals\n\nWhat is measured, and what a condition may need. A signal is taken `once`, at every `event`, or "
        "at a `sample`: an event\nthat is looked at closely, under the budget. The meaning ends with the kind of row "
        "that it stands in. What is not needed by any\nchosen condition is not measured.\n\n"
        "| signal | by | unit | meaning | taken |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )
