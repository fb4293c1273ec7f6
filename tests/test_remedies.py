"""Patches for data and loss conditions, on texts in odd formats: source in, patched source out, compiled; no torch."""

from __future__ import annotations

import pytest

from sgdoctor.source import Edit, Source
from sgdoctor.source.casts import cast_targets, ignored, shifted
from sgdoctor.source.criterion import classified, taken_off
from sgdoctor.source.entrance import Entrance, standardised_entrance
from sgdoctor.source.inputs import standardised_inputs
from sgdoctor.source.loss import argument, loss_call
from sgdoctor.source.numbers import literals
from sgdoctor.source.output import output_of
from sgdoctor.source.pairing import paired
from sgdoctor.source.scale import Moments, scaled_targets
from sgdoctor.source.shapes import Given, Meeting, fitted_layer, fitted_loss
from sgdoctor.source.stable import stable_operation

FILE = "train.py"


def line_of(text: str, part: str) -> int:
    """The line in which a part of a text stands."""
    return text[: text.index(part)].count("\n") + 1


def patched(text: str, edits: tuple[Edit, ...]) -> str:
    """The text with the edits, which must apply and compile."""
    assert edits
    changed = Source({FILE: text}).changed(list(edits))
    assert changed is not None
    return changed[FILE]


def lines(text: str) -> list[str]:
    """Without the layout that a test does not ask about."""
    return [line.strip() for line in text.splitlines() if line.strip()]


HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("net = nn.Sequential(nn.Linear(4, 3), nn.Softmax(dim=1))\n", "net = nn.Sequential(nn.Linear(4, 3))"),
        ("net = nn.Sequential(\n    nn.Linear(4, 3),\n    nn.Softmax(1)  # été\n)\n", "nn.Linear(4, 3)  # été"),
        (
            "net = nn.Sequential(*[nn.Linear(4, 3), torch.nn.Softmax(-1)])\n",
            "net = nn.Sequential(*[nn.Linear(4, 3)])",
        ),
    ],
)
def test_softmax_leaves_a_sequential(body: str, wanted: str) -> None:
    text = HEAD + body + "loss = nn.CrossEntropyLoss()(net(x), y)\n"
    source = Source({FILE: text})
    found = loss_call(source, FILE, line_of(text, "loss ="))
    assert found is not None
    output = argument(found[1], 0, "input")
    assert output is not None
    stages = [stage for stage in output_of(source, found[0], output).stages if stage.name == "Softmax"]
    after = patched(text, taken_off(stages[0]))
    assert wanted in after and "Softmax" not in after


def test_softmax_leaves_a_forward_whatever_the_names_and_line_ends() -> None:
    text = (
        "import torch as t, torch.nn as n\r\nclass Modèle(n.Module):\r\n    def __init__(self):\r\n"
        "        super().__init__(); self.sortie = n.Linear(3, 2); self.act = n.Softmax(dim=1)\r\n"
        "    def forward(self, x):\r\n        x = self.sortie(x); x = self.act(x); return x  # fini\r\n"
        "    def classes(self, x):\r\n        return self.act(self.sortie(x))\r\n"
        "m = Modèle()\r\nl = n.functional.cross_entropy(m(x), y)\r\n"
    )
    source = Source({FILE: text})
    found = loss_call(source, FILE, line_of(text, "l = n"))
    assert found is not None
    output = argument(found[1], 0, "input")
    assert output is not None
    stages = [stage for stage in output_of(source, found[0], output).stages if stage.name == "Softmax"]
    after = patched(text, taken_off(stages[0]))
    assert "x = self.sortie(x); return x  # fini\r\n" in after
    assert "return self.act(self.sortie(x))" in after


def test_loss_in_units_of_the_target_keeps_what_the_model_puts_out() -> None:
    text = HEAD + (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.l = nn.Linear(3, 1)\n"
        "    def forward(self, x):\n        return self.l(x).squeeze(1)\n"
        "net = Net()\nfor x, y in data:\n    out = net(x); loss = F.mse_loss(input=out, target=y); loss.backward()\n"
    )
    edits = scaled_targets(Source({FILE: text}), [(FILE, line_of(text, "out ="))], Moments(1234.5, 99.999))
    after = lines(patched(text, edits))
    assert "TARGET_MEAN, TARGET_STD = 1234.0, 100.0  # of the training targets" in after
    assert "return self.l(x).squeeze(1) * TARGET_STD + TARGET_MEAN" in after
    call = "F.mse_loss(input=(out - TARGET_MEAN) / TARGET_STD, target=(y - TARGET_MEAN) / TARGET_STD)"
    assert f"out = net(x); loss = {call}; loss.backward()" in after


def test_a_sequential_is_scaled_where_it_is_called() -> None:
    text = HEAD + (
        "net = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))\ncrit = nn.L1Loss()\n"
        "for x, y in data:\n    loss = crit(net(x), y)\n    loss.backward()\nprint(net(x_new).mean())\n"
    )
    after = patched(text, scaled_targets(Source({FILE: text}), [(FILE, line_of(text, "loss ="))], Moments(50.0, 5.0)))
    assert "loss = crit(net(x), (y - TARGET_MEAN) / TARGET_STD)" in after
    assert "print((net(x_new) * TARGET_STD + TARGET_MEAN).mean())" in after


def test_two_splits_are_standardised_with_the_training_one() -> None:
    text = HEAD + (
        "from sklearn.model_selection import train_test_split\n"
        "a, b, c, d = train_test_split(X, y)\na = torch.tensor(a).float()\nb = torch.tensor(b).float()\n"
        "net = nn.Sequential(nn.Linear(3, 1))\n"
        "for i in range(0, len(a), 8):\n    xb = a[i:i+8]\n"
        "    loss = F.mse_loss(net(xb), c[i:i+8])\n    loss.backward()\n"
        "print(net(b))\n"
    )
    after = lines(patched(text, standardised_inputs(Source({FILE: text}), FILE, line_of(text, "loss ="))))
    place = after.index("b = torch.tensor(b).float()")
    assert after[place + 1 : place + 3] == [
        "mean, std = a.mean(0), a.std(0) + 1e-8",
        "a, b = (a - mean) / std, (b - mean) / std",
    ]


def test_a_random_split_is_standardised_in_place() -> None:
    text = HEAD + (
        "from torch.utils.data import *\nfrom torch.utils.data import DataLoader, TensorDataset, random_split\n"
        "X = torch.randn(9, 3)\nds = TensorDataset(X, y)\ntr, va = random_split(ds, [6, 3])\n"
        "net = nn.Linear(3, 1)\nfor x, t in DataLoader(tr, 2):\n    loss = F.mse_loss(net(x), t); loss.backward()\n"
        "for x, t in DataLoader(va, 2):\n    print(net(x))\n"
    )
    after = patched(text, standardised_inputs(Source({FILE: text}), FILE, line_of(text, "loss =")))
    assert "mean, std = X[tr.indices].mean(0), X[tr.indices].std(0) + 1e-8\nX.sub_(mean).div_(std)\n" in after


def test_inputs_that_cannot_be_followed_get_no_patch_at_the_data() -> None:
    text = HEAD + (
        "X = torch.randn(9, 3)\nnet = nn.Linear(3, 1)\nfor i in range(9):\n"
        "    loss = F.mse_loss(net(X[i]), y[i]); loss.backward()\nprint(net(load()))\n"
    )
    assert standardised_inputs(Source({FILE: text}), FILE, line_of(text, "loss =")) == ()


def test_a_norm_without_weights_stands_in_front_of_the_first_layer() -> None:
    text = HEAD + (
        "class Net(nn.Module):\n    def __init__(self, k):\n        super().__init__()\n"
        "        self.a, self.n = None, k\n        self.first = nn.Linear(in_features=k, out_features=4)\n"
        "    def forward(self, x):\n        return F.relu(self.first(x))\n"
        "net = Net(3)\nnet.eval()\nloss = F.mse_loss(net(x), y)\n"
    )
    entrance = Entrance("first.weight", 3, True, False, True, Moments(5.0, 2.0))
    after = lines(patched(text, standardised_entrance(Source({FILE: text}), entrance, FILE, line_of(text, "loss ="))))
    assert "self.standardise = nn.BatchNorm1d(k, affine=False)" in after
    assert "return F.relu(self.first(self.standardise(x)))" in after


def test_class_ids_get_cross_entropy_outputs_and_an_argmax() -> None:
    text = HEAD + (
        "net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(in_features=32, out_features=1))\n"
        "crit = nn.MSELoss(reduction='mean')\n"
        "for x, y in data:\n    out = net(x).squeeze(1)\n    loss = crit(out, y.float()); loss.backward()\n"
        "right = (net(v).squeeze().round().long() == w).sum()\n"
    )
    after = patched(text, classified(Source({FILE: text}), [(FILE, line_of(text, "loss ="))], 5, 1))
    assert "out_features=5" in after and "crit = nn.CrossEntropyLoss(reduction='mean')" in after
    assert "out = net(x)\n" in after and "loss = crit(out, y.long());" in after
    assert "(net(v).argmax(dim=1) == w)" in after


def test_sizes_that_fit() -> None:
    text = HEAD + "net = nn.Sequential(\n    nn.Linear(16*7*7, 64), nn.ReLU(), nn.Linear(64, 2))\nnet(x)\n"
    source = Source({FILE: text})
    _, edits = fitted_layer(source, Given("0.weight", "Linear", (64, 784), (50, 256)))
    assert "nn.Linear(256, 64)" in patched(text, edits)
    said, edits = fitted_layer(source, Given("0.weight", "Linear", (64, 784), (50, 16, 7, 7)))
    assert said == "flatten its input" and "nn.Flatten(),\n    nn.Linear(16*7*7, 64)" in patched(text, edits)


def test_targets_that_fit() -> None:
    text = HEAD + "net = nn.Linear(3, 5)\nloss = F.cross_entropy(net(x), y)\n"
    source, place = Source({FILE: text}), (FILE, 5)
    _, edits = fitted_loss(source, Meeting("cross_entropy", place, (4, 12, 5), (4, 12), True))
    assert "F.cross_entropy(net(x).transpose(1, 2), y)" in patched(text, edits)
    _, edits = fitted_loss(source, Meeting("cross_entropy", place, (4, 5), (4, 1), True))
    assert "F.cross_entropy(net(x), y.squeeze(1))" in patched(text, edits)
    assert "F.cross_entropy(net(x), y.long())" in patched(text, cast_targets(source, [place], "long"))
    assert "F.cross_entropy(net(x), y, ignore_index=-1)" in patched(text, ignored(source, FILE, 5, -1))


def test_labels_are_shifted_in_every_split_and_nothing_else() -> None:
    text = HEAD + (
        "from sklearn.model_selection import train_test_split\ny = read()\na, b, c, d = train_test_split(X, y)\n"
        "a, b = torch.tensor(a), torch.tensor(b)\nc, d = torch.tensor(c), torch.tensor(d).long()\n"
        "net = nn.Linear(3, 5)\nloss = F.cross_entropy(net(a), c)\n"
    )
    after = patched(text, shifted(Source({FILE: text}), FILE, line_of(text, "loss =") - 0, -1))
    assert "c, d = torch.tensor(c) - 1, torch.tensor(d).long() - 1\n" in after
    assert "a, b = torch.tensor(a), torch.tensor(b)\n" in after


@pytest.mark.parametrize(
    ("operation", "before", "after"),
    [
        ("LogBackward0", "return -torch.log(torch.softmax(z, dim=1))", "return -F.log_softmax(z, dim=1)"),
        ("LogBackward0", "p = z.sigmoid(); return torch.log(1 - p)", "p = z.sigmoid(); return F.logsigmoid(-z)"),
        ("LogBackward0", "return (a / b).log()", "return (a / b).clamp_min(1e-12).log()"),
        ("LogBackward0", "return torch.exp(z).sum(1).log()", "return torch.logsumexp(z, 1)"),
        ("SqrtBackward0", "return torch.sqrt(z.sum(1))", "return torch.sqrt(z.sum(1) + 1e-12)"),
        ("SqrtBackward0", "return (a * b).sqrt()", "return (a * b + 1e-12).sqrt()"),
        ("DivBackward0", "return a / b.sum()", "return a / (b.sum() + 1e-8)"),
        ("DivBackward0", "return a / (b - c)", "return a / (b - c + 1e-8)"),
        ("ExpBackward0", "return torch.exp(a - b)", "return torch.exp((a - b).clamp(max=30.0))"),
    ],
)
def test_stable_forms(operation: str, before: str, after: str) -> None:
    text = f"{HEAD}def f(z, a, b, c):\n    {before}\n"
    assert f"    {after}\n" in patched(text, stable_operation(Source({FILE: text}), FILE, 5, operation))


def test_two_shuffles_become_one() -> None:
    text = HEAD + (
        "p = torch.randperm(n); q = torch.randperm(n)\nX = X[p]\ny = y[q]\n"
        "net = nn.Linear(3, 1)\nloss = F.mse_loss(net(X), y)\n"
    )
    assert "y = y[p]\n" in patched(text, paired(Source({FILE: text}), FILE, line_of(text, "loss =")))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("N, B = 5, 512\nuse(B)\n", "N, B = 5, 8\n"),
        ("p.add_argument('--batch-size', '-b', default=512, type=int)\nuse(a.batch_size)\n", "default=8"),
        ("cfg = {'lr': 1, 'bs': 512}\nuse(int(cfg['bs']))\n", "'bs': 8"),
        ("class C:\n    bs: int = 512\nclass T:\n    def f(self, c):\n        self.b = c.bs; use(self.b)\n", "= 8"),
        ("def f(x, *, n=512):\n    use(n)\n", "n=8"),
        ("def f(n):\n    use(n)\nf(512)\n", "f(8)"),
    ],
)  # fmt: skip
def test_a_number_is_changed_where_it_is_written(text: str, wanted: str) -> None:
    source = Source({FILE: text})
    (module,) = source
    (call,) = module.calls("use")
    found = literals(source, module, call.args[0])[0]
    assert wanted in patched(text, (found.module.replace(found.node, "8"),))
