"""In a real kernel: the magic and `observe()` show the diagnosis below the cell, in the cell's own lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from test_html import MARKUP, Skeleton
from test_report import FORBIDDEN, HOSTILE, diagnosis

from sgdoctor.cells import FILE, Cells, Session, session
from sgdoctor.record import Record, Site
from sgdoctor.report import cell
from sgdoctor.source import Source

pytestmark = pytest.mark.filterwarnings("ignore")  # of jupyter and zmq, about event loops

LOOP = """for epoch in range(30):
    for i in range(0, 256, 32):
        loss = F.cross_entropy(model(x[i : i + 32]), y[i : i + 32])
        loss.backward()
        opt.step()
"""
CELLS = {
    "data": "import torch\nfrom torch import nn\nimport torch.nn.functional as F\ntorch.manual_seed(0)\n"
    "x = torch.randn(256, 20)\ny = (x @ torch.randn(20, 4)).argmax(1)",
    "model": "model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 4))\n"
    "opt = torch.optim.Adam(model.parameters(), lr=1e-2)",
    "before": "def hooks():\n"
    "    owners = [torch.Tensor, torch.nn.Module, torch.optim.Optimizer, torch.optim.Adam, torch.autograd, F]\n"
    "    return {(o.__name__, n): id(v) for o in owners for n, v in vars(o).items() if callable(v)}\n"
    "untouched = hooks()",
    "load": "%load_ext sgdoctor",
    "observed": "%%sgdoctor --ignore=unset-seed kept\n" + LOOP + "print('ran')\nloss.item()",
    "kept": "print(kept)\nseeded = torch.get_rng_state()",
    "again": "%%sgdoctor\n" + LOOP + "loss.item();",
    "and again": "%%sgdoctor\n" + LOOP,
    "after": "assert hooks() == untouched\nassert torch.equal(seeded, torch.get_rng_state())\nprint('clean')",
    "raises": "%%sgdoctor\n\n" + LOOP + "raise ValueError('mine')",
    "interrupted": "%%sgdoctor\nimport os, signal\n"
    + LOOP
    + "    if epoch == 20:\n        os.kill(os.getpid(), signal.SIGINT)",
    "no python": "%%sgdoctor\nfor",
    "no option": "%%sgdoctor --nothing\npass",
    "no condition": "%%sgdoctor --select=nothing\npass",
    "nested": "%%sgdoctor\nimport sgdoctor\nwith sgdoctor.observe():\n    pass",
    "with": "with sgdoctor.observe() as observation:\n"
    + re.sub("^", "    ", LOOP, flags=re.MULTILINE).replace("opt.step()", "opt.step(); opt.zero_grad()")
    + "\nobservation",
    "clean": "assert hooks() == untouched\nprint('clean')",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What stands below each cell once the notebook has been run."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in CELLS.values()])
    folder = tmp_path_factory.mktemp("notebook")
    client = NotebookClient(notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    client.execute()
    assert len(list((folder / ".sgdoctor").glob("2*"))) == 6
    return {name: each.outputs for name, each in zip(CELLS, notebook.cells)}


def shown(below: list[Any]) -> tuple[str, str]:
    """(as text, as HTML) of the diagnosis below a cell."""
    (found,) = [each.data for each in below if "text/html" in each.get("data", {})]
    return found["text/plain"], found["text/html"]


def test_the_magic_names_cause_line_and_change(outputs: dict[str, list[Any]]) -> None:
    ran, value, report = outputs["observed"]
    assert ran.text == "ran\n" and re.fullmatch(r"[\d.]+", value.data["text/plain"])
    text, page = shown([report])
    assert "missing-zero-grad" in text and "In[5]:6" in text and "--- a/In[5]" in text
    assert "+        opt.zero_grad()" in text
    assert re.search(r"faulty</b>.*In\[5\]:\d", page) and "opt.zero_grad()" in page
    (kept,) = outputs["kept"]
    assert kept.text.strip() == text.strip()


def test_the_text_of_a_cell_is_that_of_its_lines(outputs: dict[str, list[Any]]) -> None:
    text, _ = shown(outputs["raises"])
    assert "In[10]:7" in text  # step(), counted from the magic and over the empty line


def test_running_again_leaves_nothing_behind(outputs: dict[str, list[Any]]) -> None:
    assert outputs["after"][0].text == outputs["clean"][0].text == "clean\n"
    assert [each.output_type for each in outputs["again"]] == ["display_data"]  # the semicolon silences the value
    assert "In[8]:6" in shown(outputs["and again"])[0]


def test_errors_and_interrupts_go_on_to_the_notebook(outputs: dict[str, list[Any]]) -> None:
    report, error = outputs["raises"]
    assert shown([report])[0] and (error.ename, error.evalue) == ("ValueError", "mine")
    report, error = outputs["interrupted"]
    assert "missing-zero-grad" in shown([report])[0] and error.ename == "KeyboardInterrupt"
    (error,) = outputs["no python"]
    assert error.ename == "SyntaxError"
    for name in ("no option", "no condition", "nested"):
        assert outputs[name][-1].ename == "UsageError"


def test_an_observation_is_shown_as_its_diagnosis(outputs: dict[str, list[Any]]) -> None:
    (value,) = outputs["with"]
    assert ">healthy</b>" in value.data["text/html"]


def test_outside_of_a_session_there_are_no_cells() -> None:
    assert session() == Session()


TEXT = "# In[1]\nimport torch\n# In[4]\nx = 1\nprint(x)\n"


def test_lines_and_edits_of_a_session_are_those_of_its_cells() -> None:
    record = Record.make({"k": "source", "file": FILE, "text": TEXT, "heads": [1, 3], "cells": [1, 4]})
    assert record.cells == Cells((1, 3), (1, 4))
    places = [record.shown(Site(FILE, at, "f"))[:2] for at in (2, 4, 5)]
    assert places == [("In[1]", 1), ("In[4]", 1), ("In[4]", 2)]
    assert record.shown(Site("train.py", 4, "f")) == Site("train.py", 4, "f")
    source = Source({FILE: TEXT})
    source.cells = record.cells
    module = source.modules[FILE]
    behind = module.insert_after(module.tree.body[0], "import numpy")  # the last line of its cell
    diff = source.diff([behind, module.replace(module.tree.body[1], "x = 2")]) or ""
    assert [row for row in diff.splitlines() if row[:1] in "+-"] == [
        *("--- a/In[1]", "+++ b/In[1]", "+import numpy"),
        *("--- a/In[4]", "+++ b/In[4]", "-x = 1", "+x = 2"),
    ]
    assert source.lines("In[4]") == ["x = 1", "print(x)"] and source.lines("In[3]") == []


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP], ids=ascii)
def test_nothing_of_the_cell_becomes_markup(text: str) -> None:
    page = Skeleton(cell.render(diagnosis(text)))
    assert page.tags == Skeleton(cell.render(diagnosis("text"))).tags
    assert not FORBIDDEN.search(page.text)


def test_the_extension_is_imported_when_it_is_asked_for(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, sgdoctor; sgdoctor.observe; print(sorted({'sgdoctor.magic', 'IPython'} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ended.stdout == "[]\n"
