"""Patches for learning rates and their schedules, on source in many styles: text in, text out."""

from __future__ import annotations

import pytest
from patched import FILE, change, line, script

from sgdoctor.conditions import Evidence, Finding, catalogue
from sgdoctor.conditions.optimisation.lr_too_high import Rate
from sgdoctor.record import Site
from sgdoctor.source import Source
from sgdoctor.source.rates import scale, scale_by_hand
from sgdoctor.source.schedules import compared_alike, floored, milder, once_an_epoch, with_floor

RATES = {
    "keyword": ("o = torch.optim.SGD(ps, lr=8.0)  # hi", "o = torch.optim.SGD(ps, lr=0.8)  # hi"),
    "positional": ("opt = torch.optim.Adam(net.parameters(), 8)", "opt = torch.optim.Adam(net.parameters(), 0.8)"),
    "constant": ("RATE = 8.0\nopt = torch.optim.SGD(net.parameters(), lr=RATE)", "RATE = 0.8"),
    "power": ("RATE = 8 * 10 ** 0\nopt = torch.optim.SGD(net.parameters(), lr=RATE)", "RATE = 0.8"),
    "tuple": ("epochs, RATE = 3, 8.0\nopt = torch.optim.SGD(net.parameters(), lr=RATE)", "epochs, RATE = 3, 0.8"),
    "option": (
        "p.add_argument('-r', '--learning-rate', type=float, default=8.0)\n"
        "args = p.parse_args()\nopt = torch.optim.SGD(net.parameters(), lr=args.learning_rate)",
        "p.add_argument('-r', '--learning-rate', type=float, default=0.8)",
    ),
    "destination": (
        "p.add_argument('--rate', dest='lr', default=8.0)\no = torch.optim.SGD(net.parameters(), lr=p.parse_args().lr)",
        "p.add_argument('--rate', dest='lr', default=0.8)",
    ),
    "dataclass": (
        "@dataclass\nclass Config:\n    seed: int = 8\n    lr: float = field(default=8.0)\n"
        "def build(cfg):\n    return torch.optim.SGD(net.parameters(), lr=cfg.lr)",
        "lr: float = field(default=0.8)",
    ),
    "dict": (
        "CFG = {'größe': 8, 'optim': {'lr': 8.0}}\nopt = torch.optim.SGD(net.parameters(), lr=CFG['optim']['lr'])",
        "CFG = {'größe': 8, 'optim': {'lr': 0.8}}",
    ),
    "spread": ("KW = dict(lr=8.0, nesterov=1)\no = torch.optim.SGD(ps, **KW)", "KW = dict(lr=0.8, nesterov=1)"),
    "default": ("def fit(net, lr=8.0):\n    o = torch.optim.SGD(ps, lr=lr)\nfit(1)", "def fit(net, lr=0.8):"),
    "argument": (
        "class T:\n    def __init__(self, net, lr=0.1):\n        self.opt = torch.optim.SGD(net.parameters(), lr=lr)\n"
        "T(net, 8.0)",
        "T(net, 0.8)",
    ),
    "computed": (
        "opt = torch.optim.SGD(net.parameters(), lr=base * batch / 256)",
        "opt = torch.optim.SGD(net.parameters(), lr=(base * batch / 256) * 0.1)",
    ),
    "absent": ("opt = torch.optim.Adam(p for p in ps)", "opt = torch.optim.Adam((p for p in ps), lr=0.8)"),
    "shared line": ("a = 1; o = torch.optim.SGD(p, lr = 8.); b = 2", "a = 1; o = torch.optim.SGD(p, lr = 0.8); b = 2"),
    "one cycle": (
        "opt = torch.optim.SGD(net.parameters(), lr=0.1)\ns = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=8.0)",
        "s = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.8)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("style", RATES)
def test_a_rate_is_changed_where_it_comes_from(style: str) -> None:
    text, expected = RATES[style]
    source = script(text)
    edits = scale(source, FILE, line(source, "torch.optim."), 8.0, 0.1)
    assert "+" + expected in change(source, edits) and len(change(source, edits)) == 2


def test_groups_have_a_rate_each_and_steps_by_hand_have_theirs() -> None:
    groups = script(
        """
        opt = torch.optim.Adam([
            {"params": net.a.parameters(), "lr": 2.0},
            {"params": net.b.parameters(), "lr": 8.0}])
        """
    )
    found = change(groups, scale(groups, FILE, line(groups, "Adam"), 8.0, 0.1))
    assert [each for each in found if each.startswith("+")] == [
        '+{"params": net.a.parameters(), "lr": 0.2},',
        '+{"params": net.b.parameters(), "lr": 0.8}])',
    ]
    by_hand = script(
        """
        eta = 1e-8
        for x in data:
            loss(x).backward()
            with torch.no_grad():
                w -= eta * w.grad; b.sub_(b.grad, alpha=eta)
        """
    )
    assert change(by_hand, scale_by_hand(by_hand, FILE, line(by_hand, "backward"), 1e5)) == [
        "-eta = 1e-8",
        "+eta = 0.001",
    ]
    finding = Finding(
        Site(FILE, line(by_hand, "backward"), ""), (Evidence("seen"),), 0.9, subject=Rate(None, (1e5,), True)
    )
    remedies = catalogue()["lr-too-low"].remedies
    assert remedies is not None and change(by_hand, next(iter(remedies(finding, by_hand))).edits)[1] == "+eta = 0.001"


def test_a_file_of_windows_keeps_its_line_ends_and_its_mark() -> None:
    text = "\ufeff# größe\r\nimport torch\r\nopt = torch.optim.SGD(ü, lr=8.0)\r\n"
    source = Source({FILE: text})
    texts = source.changed(list(scale(source, FILE, 3, 8.0, 0.1)))
    assert texts == {FILE: text.replace("8.0", "0.8")}


def test_schedules_keep_a_floor_or_their_pace() -> None:
    rule = script("for g in opt.param_groups: g['lr'] *= 0.5\n")
    assert change(rule, floored(rule, FILE, line(rule, "*= 0.5"), 1e-4))[1].endswith(
        "g['lr'] = max(g['lr'] * 0.5, 0.0001)"
    )
    sums = script("if total > last * 0.9:\n    cut()\nlast = total / len(data)\n")
    assert change(sums, compared_alike(sums, FILE, line(sums, "if total")))[1] == "+if total / len(data) > last * 0.9:"
    batches = script(
        """
        plan = torch.optim.lr_scheduler.ExponentialLR(opt, 0.5)
        for epoch in range(9):
            for x in data:
                loss(x).backward(); opt.step(); plan.step()
        """
    )
    assert change(batches, once_an_epoch(batches)) == [
        "-loss(x).backward(); opt.step(); plan.step()",
        "+loss(x).backward(); opt.step()",
        "+plan.step()",
    ]
    assert change(batches, milder(batches, 0.5**9, 0.1))[1].endswith("ExponentialLR(opt, 0.7743)")
    plateau = script("s = torch.optim.lr_scheduler.ReduceLROnPlateau(\n    opt,\n    patience=0,\n)\n")
    assert change(plateau, with_floor(plateau, 1e-4)) == ["-patience=0,", "+patience=0, min_lr=0.0001,"]
