"""A script as facts, and changes of its text that leave everything else as it was."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

from sgdoctor.source import Edit, Module, Source, apply, unified_diff
from sgdoctor.source.edits import delete_lines, insert_before

IMPORTS = """
import torch
import torch.nn as nn
import torch.nn.functional as F
import numpy as np
from torch import optim
from torch.optim import Adam as Optimizer
from .local import softmax
"""


def call(text: str) -> str:
    """The dotted path of what the last line of a script calls."""
    module = Module("train.py", IMPORTS + text)
    statement = module.tree.body[-1]
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    return module.dotted(statement.value.func)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("F.softmax(x)", "torch.nn.functional.softmax"),
        ("torch.nn.functional.softmax(x)", "torch.nn.functional.softmax"),
        ("nn.Linear(1, 1)", "torch.nn.Linear"),
        ("optim.SGD(p)", "torch.optim.SGD"),
        ("Optimizer(p)", "torch.optim.Adam"),
        ("np.random.rand()", "numpy.random.rand"),
        ("softmax(x)", "softmax"),  # of the script's own package: nothing is known of it
        ("model(x)", "model"),
        ("loss.backward()", "?.backward"),
        ("self.optimizer.zero_grad()", "?.zero_grad"),
        ("losses[0].backward()", "?.backward"),
        ("F.softmax(x).mean()", "?.mean"),
        ("build()()", ""),
        ("layers[0](x)", ""),
    ],
)
def test_dotted_resolves_what_imports_bind(text: str, expected: str) -> None:
    assert call(text) == expected


def test_calls_come_in_source_order_and_within_a_node() -> None:
    module = Module("train.py", "def f():\n    b.step(); a.step()\nc.step()\nstep()\n")
    assert [module.segment(node) for node in module.calls("?.step")] == ["b.step()", "a.step()", "c.step()"]
    assert [node.lineno for node in module.calls("step", "?.step", within=module.tree.body[0])] == [2, 2]


LOOP = """\
def train(model):
    for x, y in loader:
        loss = criterion(
            model(x),
            y,
        )
        while True:
            loss.backward(); opt.step()
"""


def test_statement_at_is_the_innermost() -> None:
    module = Module("train.py", LOOP)
    for line, expected in [(1, "def train"), (2, "for x, y"), (3, "loss ="), (5, "loss ="), (8, "opt.step()")]:
        statement = module.statement_at(line)
        assert statement is not None and module.segment(statement).startswith(expected)
    assert module.statement_at(99) is None


def test_function_and_loop_at_a_line() -> None:
    module = Module("train.py", LOOP + "done = True\n")
    function, outer, inner = module.function_at(8), module.loop_at(5), module.loop_at(8)
    assert function is not None and function.name == "train"
    assert isinstance(outer, ast.For) and isinstance(inner, ast.While)
    assert module.function_at(9) is None and module.loop_at(9) is None and module.loop_at(99) is None


MODEL = """\
import torch.nn as nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(4, 8)
        self.head: nn.Module = nn.Linear(8, 2)
        self.body = nn.Sequential(
            nn.Linear(8, 8),
            nn.ReLU(),
            nn.Sequential(
                nn.Linear(8, 8),
                nn.Linear(8, 9),
            ),
        )
        self.blocks = nn.ModuleList([nn.Linear(1, 1), nn.Linear(2, 2)])
        self.made = make(nn.Linear(3, 3))
        self.many = nn.Sequential(*layers)

model = nn.Sequential(nn.Linear(5, 5), nn.ReLU(), nn.Linear(6, 6))
"""


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ("fc1.weight", "self.fc1 = nn.Linear(4, 8)"),
        ("encoder.fc1.bias", "self.fc1 = nn.Linear(4, 8)"),
        ("head.weight", "self.head: nn.Module = nn.Linear(8, 2)"),
        ("body.0.weight", "nn.Linear(8, 8)"),
        ("body.2.1.weight", "nn.Linear(8, 9)"),
        ("blocks.1.bias", "nn.Linear(2, 2)"),
        ("body.0.body.2.1.bias", "nn.Linear(8, 9)"),  # the last of two levels with one name counts
        ("made.0.weight", "self.made = make(nn.Linear(3, 3))"),
        ("many.3.weight", "self.many = nn.Sequential(*layers)"),
        ("2.weight", "nn.Linear(6, 6)"),
        ("unknown.weight", None),
        ("17.weight", None),
        ("", None),
    ],
)
def test_a_layer_is_found_by_its_parameter(parameter: str, expected: str | None) -> None:
    found = Source({"net.py": MODEL}).layer(parameter)
    assert (found and found[0].segment(found[1])) == expected


def test_a_whole_model_may_be_an_attribute_of_a_trainer() -> None:
    source = Source({"net.py": "from torch import nn\nself.model = nn.Sequential(nn.Linear(4, 2))\n"})
    found = source.layer("0.weight")
    assert found is not None and found[0].segment(found[1]) == "nn.Linear(4, 2)"


def test_spans_count_characters_not_bytes() -> None:
    module = Module("train.py", 'größe = "→→"; 損失.backward()  # ← hier\n')
    (backward,) = module.calls("?.backward")
    assert module.span(backward) == (1, 14, 1, 27)
    after = apply(module.text, [module.replace(backward, "損失.mean().backward()")])
    assert after == 'größe = "→→"; 損失.mean().backward()  # ← hier\n'


@pytest.mark.parametrize("separator", ["\x0c", "\x0b", "\x1c", "\u2028", "\x85"])
def test_lines_are_those_of_python(separator: str) -> None:
    text = f"a = 1\n{separator if separator == chr(12) else ''}# page{separator}two\nb = 2\nc = 3\n"
    module = Module("train.py", text)
    assert module.lines[2] == "b = 2"
    assert apply(text, [module.replace(module.tree.body[1], "b = 5")]) == text.replace("b = 2", "b = 5")
    assert apply(text, [delete_lines("train.py", 3, 3)]) == text.replace("b = 2\n", "")


def test_edits_keep_comments_and_layout() -> None:
    before = "x = 1   # one\n\n\ny = [  1,2 ]\t# two\nz = 3\n"
    edits = [
        insert_before("t.py", 4, "# new"),
        Edit("t.py", 4, 7, 4, 8, "9"),
        delete_lines("t.py", 5, 5),
        insert_before("t.py", 4, "# newer"),
    ]
    assert apply(before, edits) == "x = 1   # one\n\n\n# new\n# newer\ny = [  9,2 ]\t# two\n"


def test_edits_at_one_place_keep_their_order_and_never_overlap() -> None:
    first, second = insert_before("t.py", 1, "z"), insert_before("t.py", 1, "a")
    assert apply("x\n", [first, second]) == "z\na\nx\n"
    with pytest.raises(ValueError, match="overlap"):
        apply("abcdef\n", [Edit("t.py", 1, 0, 1, 3, ""), Edit("t.py", 1, 2, 1, 4, "")])


def test_lines_after_a_last_line_that_does_not_end() -> None:
    edits = [insert_before("t.py", 2, "b"), insert_before("t.py", 2, "c")]
    assert apply("a", edits) == "a\nb\nc"
    assert apply("a\n", edits) == "a\nb\nc\n"
    assert apply("", [insert_before("t.py", 1, "a")]) == "a\n"


STATEMENTS = """\
for x in data:
    opt.zero_grad(); loss.backward()  # both
    opt.step()  # moves
for x in data: loss.backward(); opt.step()
with scope:
    opt.step()
"""


def changed(number: int, change: str, text: str = "log()") -> str:
    """STATEMENTS after a change of its n-th call, counted in source order."""
    module = Module("train.py", STATEMENTS)
    node = list(module.calls("?.zero_grad", "?.backward", "?.step"))[number]
    statement = module.parents[node]
    assert isinstance(statement, ast.Expr)
    edit = module.delete(statement) if change == "delete" else getattr(module, change)(statement, text)
    after = apply(STATEMENTS, [edit])
    ast.parse(after)
    return after


@pytest.mark.parametrize(
    ("number", "change", "old", "new"),
    [
        (0, "delete", "    opt.zero_grad(); loss", "    loss"),
        (1, "delete", "; loss.backward()  # both", "  # both"),
        (2, "delete", "    opt.step()  # moves\n", ""),
        (3, "delete", "data: loss.backward(); ", "data: "),
        (4, "delete", "backward(); opt.step()\n", "backward()\n"),
        (5, "delete", "    opt.step()\n", "    pass\n"),
        (0, "insert_before", "    opt.zero_grad();", "    log()\n    opt.zero_grad();"),
        (1, "insert_before", "; loss", "; log(); loss"),
        (2, "insert_before", "    opt.step()  #", "    log()\n    opt.step()  #"),
        (3, "insert_before", "data: loss", "data: log(); loss"),
        (0, "insert_after", "zero_grad();", "zero_grad(); log();"),
        (1, "insert_after", "backward()  # both", "backward(); log()  # both"),
        (2, "insert_after", "# moves\n", "# moves\n    log()\n"),
        (4, "insert_after", "opt.step()\nwith", "opt.step(); log()\nwith"),
    ],
)
def test_statements_that_share_a_line_leave_each_other_alone(number: int, change: str, old: str, new: str) -> None:
    assert STATEMENTS.count(old) == 1 or STATEMENTS.index(old) == STATEMENTS.rindex(old) or number == 5
    place = STATEMENTS.rindex(old)
    assert changed(number, change) == STATEMENTS[:place] + new + STATEMENTS[place + len(old) :]


def test_compound_statements_are_inserted_around_as_wholes() -> None:
    text = "@decorated\ndef f():\n    pass\nif x: a()\n"
    module = Module("train.py", text)
    function, condition = module.tree.body
    assert apply(text, [module.insert_before(function, "new()")]).startswith("new()\n@decorated")
    assert apply(text, [module.insert_after(condition, "new()")]).endswith("if x: a()\nnew()\n")
    assert apply(text, [module.delete(function)]) == "if x: a()\n"


def patched(folder: Path, file: str, before: str, after: str) -> str:
    """What `patch -p1` makes of a file with our diff."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before.encode())
    diff = unified_diff(file, before, after)
    subprocess.run(["patch", "-p1", "--batch"], cwd=folder, input=diff.encode(), check=True, capture_output=True)
    return path.read_bytes().decode()


@pytest.mark.parametrize("file", ["train.py", "deep/er/train.py", "my first train.py", "größe.py"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\nc\n", "a\nB\nc\n"),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nb\n"),
        ("a\nb\n", "a\nb"),
        ("a\n\x0c# page\nb\n", "a\n\x0c# page\nc\n"),
        ("a = '\x85\u2028'\nb\n", "a = '\x85\u2028'\nc\n"),
        ("a\nb\n", "new\na\nb\n"),
    ],
)
def test_diffs_apply_with_patch(tmp_path: Path, file: str, before: str, after: str) -> None:
    assert patched(tmp_path, file, before, after) == after


def test_the_line_ends_of_windows_and_a_byte_order_mark_stay(tmp_path: Path) -> None:
    before = "\ufeffx = 1\r\nstep()\r\n"
    source = Source({"train.py": before})
    module = source.modules["train.py"]
    edits = [module.insert_before(module.tree.body[1], "zero()\nlog()")]
    after = "\ufeffx = 1\r\nzero()\r\nlog()\r\nstep()\r\n"
    assert source.changed(edits) == {"train.py": after}
    (tmp_path / "train.py").write_bytes(before.encode())
    command = ["patch", "-p1", "--binary"]
    subprocess.run(command, input=(source.diff(edits) or "").encode(), cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "train.py").read_bytes() == after.encode()


def test_a_source_gives_one_diff_of_all_files() -> None:
    source = Source({"a.py": "x = 1\n", "b.py": "y = 1\n", "broken.py": "x = (\n"})
    assert list(source.modules) == ["a.py", "b.py"]
    edits = [Edit("a.py", 1, 4, 1, 5, "2"), Edit("b.py", 1, 4, 1, 5, "3")]
    diff = source.diff(edits)
    assert diff is not None and diff.count("--- a/") == 2 and "+x = 2" in diff and "+y = 3" in diff


def test_no_diff_where_the_result_is_no_script() -> None:
    source = Source({"a.py": "for x in y:\n    break\n"})
    assert source.diff([Edit("a.py", 1, 0, 1, 0, "(")]) is None
    assert source.diff([delete_lines("a.py", 1, 1), Edit("a.py", 2, 0, 2, 4, "")]) is None  # break outside a loop
    assert source.diff([Edit("other.py", 1, 0, 1, 0, "")]) is None
    assert source.diff([]) is None


def test_a_script_with_doubtful_escapes_or_a_byte_order_mark_is_read_in_silence() -> None:
    source = Source({"a.py": "\ufeffpattern = '\\d'\nx = 1\n"})
    (module,) = source
    assert module.lines[0] == "pattern = '\\d'"
    assert source.diff([module.replace(module.tree.body[1], "x = 2")]) is not None


def test_hostile_sources_are_left_out() -> None:
    texts = {"deep.py": "(" * 5000 + ")" * 5000, "null.py": "x = 1\0", "more.py": "-" * 100_000 + "1"}
    assert list(Source(texts)) == []
