"""Patches of loops, data sets and models on texts in odd formats: source in, patched source out, compiled; no torch."""

from __future__ import annotations

import ast

import pytest

from sgdoctor.conditions.condition import Finding
from sgdoctor.conditions.data.batch_mixing import remedies as unmixed
from sgdoctor.conditions.data.class_imbalance import Imbalance
from sgdoctor.conditions.data.class_imbalance import remedies as weighted
from sgdoctor.conditions.data.duplicate_worker_seeds import remedies as seeded
from sgdoctor.conditions.loss.label_shift import remedies as shifted
from sgdoctor.conditions.model.frozen_parameters import remedies as unfrozen
from sgdoctor.conditions.model.underfitting import remedies as widened
from sgdoctor.conditions.model.unregistered_parameters import remedies as registered
from sgdoctor.conditions.optimisation.grad_enabled_in_eval import remedies as without_grad
from sgdoctor.conditions.optimisation.plateau_on_training_loss import remedies as fed
from sgdoctor.record import Site
from sgdoctor.source import Edit, Source
from sgdoctor.source.augmentation import without_augmentation
from sgdoctor.source.blocks import under
from sgdoctor.source.causal import masked_attention, masked_softmax, padded_left
from sgdoctor.source.loading import loader_call
from sgdoctor.source.moves import forward_behind
from sgdoctor.source.precision import in_single_precision
from sgdoctor.source.preparation import changed_behind_split, fitted_behind_split
from sgdoctor.source.schedules import stepped

FILE = "train.py"
HEAD = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\n"


def line_of(text: str, part: str) -> int:
    """The line in which a part of a text stands."""
    return text[: text.index(part)].count("\n") + 1


def patched(text: str, edits: object) -> str:
    """The text with the edits, which must apply and compile; empty where there are none."""
    known = [edit for edit in edits if isinstance(edit, Edit)] if isinstance(edits, (list, tuple)) else []
    if not known:
        return ""
    changed = Source({FILE: text}).changed(known)
    assert changed is not None
    return changed[FILE]


def mended(remedies: object, text: str, part: str, subject: object = None, layer: str | None = None) -> str:
    """The text with the first patch for a finding at the line in which a part stands."""
    finding = Finding(Site(FILE, line_of(text, part), "f"), (), 0.9, layer=layer, subject=subject)
    assert callable(remedies)
    return next((patched(text, r.edits) for r in remedies(finding, Source({FILE: text})) if r.edits), "")


def test_statements_go_under_a_with_and_keep_their_layout() -> None:
    text = "def f(x):\n  a = 1\n\n  # why\n  b = [\n      2,\n  ]  # two\n  return a\n"
    source = Source({FILE: text})
    module = source.module(FILE)
    assert module is not None
    function = module.tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    after = patched(text, under(module, function.body[:2], "with g():"))
    assert after == "def f(x):\n  with g():\n    a = 1\n\n    # why\n    b = [\n        2,\n    ]  # two\n  return a\n"


@pytest.mark.parametrize("text", ["a = 1; b = 2\nc = 3\n", 'a = """x\n  y"""\nc = 3\n'])
def test_shared_lines_and_long_strings_are_left_alone(text: str) -> None:
    module = Source({FILE: text}).module(FILE)
    assert module is not None and under(module, module.tree.body[:1], "with g():") == []


def test_an_evaluation_in_the_training_function_gets_its_own_block() -> None:
    text = HEAD + (
        "def fit(net, data, held):\n    for epoch in range(3):\n        net.train()\n        for x, y in data:\n"
        "            loss = F.mse_loss(net(x), y); loss.backward(); opt.step()\n        net.eval()\n"
        "        total = 0  # of the held-out part\n        for x, y in held:\n"
        "            total += F.mse_loss(net(x), y)\n        print(total)\n"
    )
    after = mended(without_grad, text, "net.eval()")
    assert "net.eval()\n        with torch.no_grad():\n            total = 0  # of the held-out part\n" in after
    assert "                total += F.mse_loss(net(x), y)\n        print(total)\n" in after


def test_a_single_validation_takes_its_forward_along() -> None:
    text = HEAD + "out = net(v)\nval = F.mse_loss(out, w)\nprint(val)\n"
    wanted = "with torch.no_grad():\n    out = net(v)\n    val = F.mse_loss(out, w)\nprint(val)\n"
    assert wanted in mended(without_grad, text, "val =")


@pytest.mark.parametrize(
    ("call", "fn", "counts", "wanted"),
    [
        ("nn.CrossEntropyLoss(label_smoothing=0.1)", "cross_entropy", (90, 10), "weight=torch.tensor([0.556, 5])"),
        ("nn.BCEWithLogitsLoss()", "binary_cross_entropy_with_logits", (90, 10), "pos_weight=torch.tensor(9)"),
        ("F.cross_entropy(out, y)", "cross_entropy", (50, 25, 25), "F.cross_entropy(out, y, weight=torch.tensor("),
        ("nn.CrossEntropyLoss(*args)", "cross_entropy", (90, 10), ""),
        ("nn.CrossEntropyLoss()", "cross_entropy", (), ""),
        ("F.mse_loss(out, y)", "mse_loss", (90, 10), ""),
    ],
)
def test_classes_are_weighed(call: str, fn: str, counts: tuple[int, ...], wanted: str) -> None:
    text = HEAD + f"loss = {call}\n"
    after = mended(weighted, text, "loss =", Imbalance(fn, counts, "cpu"))
    assert wanted in after and bool(wanted) == bool(after)


def test_weights_are_where_the_model_is() -> None:
    text = HEAD + "loss = nn.CrossEntropyLoss()\n"
    after = mended(weighted, text, "loss =", Imbalance("cross_entropy", (3, 1), "cuda:0"))
    assert 'torch.tensor([0.667, 2], device="cuda:0")' in after


@pytest.mark.parametrize(
    ("made", "dataset", "wanted"),
    [
        ("np.random.default_rng(3)", "Data", "dataset.rng = np.random.default_rng(torch.initial_seed())"),
        ("np.random.RandomState(3)", "Subset", "dataset.dataset.rng = np.random.RandomState(torch.initial_seed() % 2"),
        ("torch.Generator().manual_seed(3)", "Data", "torch.Generator().manual_seed(torch.initial_seed())"),
        ("np.random.default_rng(3)", "ConcatDataset", ""),
    ],
)
def test_workers_are_seeded(made: str, dataset: str, wanted: str) -> None:
    text = (
        "import numpy as np\nimport torch\nfrom torch.utils.data import DataLoader, Dataset\n"
        f"class Data(Dataset):\n    def __init__(self):\n        self.rng = {made}\n"
        "    def __getitem__(self, i):\n        return self.rng\n"
        "a = DataLoader(Data(), 8, num_workers=2)\nb = DataLoader(Data(), 8, num_workers=0)\n"
    )
    after = mended(seeded, text, "self.rng =", (FILE, "Data", dataset))
    assert wanted in after and bool(wanted) == bool(after)
    if after:
        assert "num_workers=2, worker_init_fn=seed_worker)" in after and "num_workers=0)" in after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("net = Net().half()\n", "net = Net()\n"),
        ("net = Net().to(dev).half().eval()\n", "net = Net().to(dev).eval()\n"),
        ("net = Net().to(dev, torch.float16)\n", "net = Net().to(dev)\n"),
        ("net = Net().to(device=dev, dtype=torch.half)\n", "net = Net().to(device=dev)\n"),
        ("a = 1\nnet.half()\nb = 2\n", "a = 1\nb = 2\n"),
        ("x = torch.zeros(3, dtype=torch.float16)\n", "x = torch.zeros(3, dtype=torch.float32)\n"),
        ("D = torch.float16\nnet.to(D)\n", "D = torch.float32\nnet.to(D)\n"),
        ("a = 1\ntorch.set_default_dtype(torch.float16)\nb = 2\n", "a = 1\nb = 2\n"),
        ("with torch.autocast('cuda', dtype=torch.float16):\n    y = f(x.half())\n", "    y = f(x)\n"),
    ],
)
def test_half_precision_goes(before: str, after: str) -> None:
    found = patched(HEAD + before, in_single_precision(Source({FILE: HEAD + before}), "float16"))
    assert found.endswith(after)
    assert ("autocast('cuda', dtype=torch.float16)" in found) == ("autocast" in before)


def test_what_is_used_before_the_step_is_not_moved() -> None:
    text = "for x in d:\n    f = g(x)\n    b = c(f)\n    {}\n    a.backward()\n    o.step()\n    b.backward()\n"
    for between, moves in (("a = h(f)", True), ("a = h(b)", False), ("b += 1", False)):
        whole = text.format(between)
        module = Source({FILE: whole}).module(FILE)
        assert module is not None
        step, later = (module.statement_at(line_of(whole, part)) for part in ("o.step", "b.backward"))
        assert step is not None and later is not None
        after = patched(whole, forward_behind(module, step, later))
        assert bool(after) == moves and (not moves or "    o.step()\n    b = c(f)\n    b.backward()" in after)


def test_a_schedule_is_stepped_where_it_belongs() -> None:
    text = HEAD + (
        "class Trainer:\n    def __init__(self, net):\n        self.opt = torch.optim.SGD(net.parameters(), lr=1.0)\n"
        "        self.plan = torch.optim.lr_scheduler.StepLR(self.opt, 3)\n"
        "    def epoch(self, data):\n        for x in data:\n            F.mse_loss(self.net(x), x).backward()\n"
        "            self.opt.step()\n"
        "    def fit(self):\n        for _ in range(9):\n            self.epoch(d)\n            print()\n"
    )
    built = (FILE, line_of(text, "self.plan ="))
    after = patched(text, stepped(Source({FILE: text}), built, every_batch=False))
    assert "            self.epoch(d)\n            self.plan.step()\n            print()\n" in after
    after = patched(text, stepped(Source({FILE: text}), built, every_batch=True))
    assert "            self.opt.step()\n            self.plan.step()\n" in after


def test_a_scheduler_gets_the_validation_even_where_it_comes_later() -> None:
    text = HEAD + (
        "for e in range(9):\n    for x, y in d:\n        loss = F.mse_loss(net(x), y)\n        loss.backward()\n"
        "    plan.step(loss)\n    with torch.no_grad():\n        right = (net(v) == w).sum()\n"
        "        held = F.mse_loss(net(v), w)\n    print(held)\n"
    )
    after = mended(fed, text, "plan.step")
    assert "loss.backward()\n    with torch" in after and "net(v), w)\n    plan.step(held)\n    print" in after


def test_a_new_layer_is_put_in_behind_the_freeze() -> None:
    text = HEAD + "net.fc = nn.Linear(3, 4)  # new\nnet.requires_grad_(False)\nfit(net)\n"
    assert "net.requires_grad_(False)\nnet.fc = nn.Linear(3, 4)  # new\nfit(net)\n" in mended(
        unfrozen, text, "net.requires_grad_"
    )


def test_a_freeze_of_random_weights_goes_and_a_loop_that_does_more_stays() -> None:
    loop = "for p in net.parameters():\n    p.requires_grad = False\n"
    assert mended(unfrozen, HEAD + loop + "fit(net)\n", "p.requires", "random") == HEAD + "fit(net)\n"
    assert mended(unfrozen, HEAD + loop + "    n += 1\nfit(net)\n", "p.requires", "random") == ""
    assert mended(unfrozen, HEAD + loop + "fit(net)\n", "p.requires", "part") == ""


def test_the_targets_are_the_next_tokens() -> None:
    text = HEAD + "logits = net(ids)\nloss = F.cross_entropy(logits.view(-1, 9), ids.view(-1))\n"
    after = mended(shifted, text, "loss =", (Site(FILE, line_of(text, "loss ="), "f"), 0))
    assert "F.cross_entropy(logits[:, :-1].reshape(-1, 9), ids[:, 1:].reshape(-1))" in after
    text = HEAD + "x, y = ids[:, :-1], ids[:, :-1]\nloss = F.cross_entropy(net(x), y)\n"
    after = mended(shifted, text, "loss =", (Site(FILE, line_of(text, "loss ="), "f"), 0))
    assert "x, y = ids[:, :-1], ids[:, 1:]\n" in after


@pytest.mark.parametrize(
    ("call", "hidden"),
    [
        ("F.softmax(s, dim=-1)", 'F.softmax(s.masked_fill(later, float("-inf")), dim=-1)'),
        ("s.softmax(-1)", 's.masked_fill(later, float("-inf")).softmax(-1)'),
        ("torch.softmax(s, 1)", ""),
        ("torch.softmax(s / d, -1)", ""),
    ],
)
def test_attention_by_hand_is_masked(call: str, hidden: str) -> None:
    text = HEAD + f"def f(s, d):\n    a = {call}\n    return a\n"
    module = Source({FILE: text}).module(FILE)
    assert module is not None
    node = next(n for n in ast.walk(module.tree) if isinstance(n, ast.Call))
    after = patched(text, masked_softmax(module, node))
    assert hidden in after and bool(hidden) == bool(after)


def test_attention_of_torch_is_masked_on_the_axis_of_time() -> None:
    text = HEAD + (
        "class A(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, batch_first=True), 2)\n"
        "    def forward(self, x):\n        return self.e(x)\n"
    )
    module = Source({FILE: text}).module(FILE)
    assert module is not None
    made = next(module.calls("torch.nn.TransformerEncoder"))
    used = next(module.calls("?.e"))
    after = patched(text, masked_attention(module, used, made))
    assert "self.e(x, mask=nn.Transformer.generate_square_subsequent_mask(x.size(1)).to(x.device))" in after


def test_convolutions_are_padded_in_front_or_none_is() -> None:
    head = HEAD + "class A(nn.Module):\n    def __init__(self, k):\n        super().__init__()\n"
    tail = "    def forward(self, x):\n        return self.c(x)\n"
    text = head + "        self.c = nn.Conv1d(4, 4, k, padding=k // 2)\n" + tail
    after = patched(text, padded_left(Source({FILE: text})))
    assert "padding=(k - 1))" in after and "return self.c(x)[..., : x.shape[-1]]" in after
    text = head + "        self.c = nn.Sequential(nn.Conv1d(4, 4, 3, padding=1))\n" + tail
    assert padded_left(Source({FILE: text})) == []


def test_the_narrow_place_is_widened_where_its_number_stands() -> None:
    text = HEAD + (
        "class A(nn.Module):\n    def __init__(self, code=2):\n        super().__init__()\n"
        "        self.a = nn.Linear(9, code)\n        self.b = nn.Linear(code, 9)\n"
    )
    assert "def __init__(self, code=32):" in mended(widened, text, "self.a", ("a.weight", 2))
    text = HEAD + "class A(nn.Module):\n    def __init__(self):\n        self.a = nn.Linear(2, 1, bias=False)\n"
    wanted = "self.a = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1, bias=False))"
    assert wanted in mended(widened, text, "self.a", ("a.weight", 0))
    assert mended(widened, text + "net.a.weight\nself.a.weight\n", "self.a", ("a.weight", 0)) == ""


def test_a_layer_made_in_forward_is_made_once() -> None:
    head = HEAD + "class A(nn.Module):\n    def __init__(self, k):\n        super().__init__()\n        self.k = k\n"
    text = head + "    def forward(self, x):\n        return nn.Linear(self.k, 3)(x)\n"
    after = mended(registered, text, "return nn", ("made", None))
    assert "        self.layer = nn.Linear(self.k, 3)\n" in after and "return self.layer(x)" in after
    text = head + "    def forward(self, x):\n        h = nn.Linear(x.shape[1], 3)\n        return h(x)\n"
    assert mended(registered, text, "h = nn", ("made", None)) == ""


@pytest.mark.parametrize(
    ("cut", "wanted"),
    [("x.view(t, b, -1)", "x.transpose(0, 1)"), ("x.view(b, t, -1)", ""), ("x.reshape(b * t, -1)", "")],
)
def test_axes_are_swapped_not_recut(cut: str, wanted: str) -> None:
    text = HEAD + f"def f(x):\n    b, t, _ = x.shape\n    return {cut}\n"
    after = mended(unmixed, text, "return", "experiment")
    assert wanted in after and bool(wanted) == bool(after)


def test_a_split_comes_first() -> None:
    head = "from sklearn.model_selection import train_test_split\nx, y = read()\n"
    tail = "a, b, c, d = train_test_split(x, y)\n"
    text = head + "x = scaler.fit_transform(x)\n" + tail
    module = Source({FILE: text}).module(FILE)
    assert module is not None
    after = patched(text, fitted_behind_split(module, line_of(text, "x = s")))
    assert after == head + tail + "a = scaler.fit_transform(a)\nb = scaler.transform(b)\n"
    text = head + "x, y = more(x, y)\n" + tail
    module = Source({FILE: text}).module(FILE)
    assert module is not None
    after = patched(text, changed_behind_split(module, module.tree.body[-1]))
    assert after == head + tail + "a, c = more(a, c)\n"
    text = head + "x = scaler.fit_transform(x)\nprint(x.std())\n" + tail
    module = Source({FILE: text}).module(FILE)
    assert module is not None and fitted_behind_split(module, line_of(text, "x = s")) == []


@pytest.mark.parametrize("draws", ["", "        self.x = torch.randn(9)\n"])
def test_a_second_data_set_without_the_transform(draws: str) -> None:
    text = (
        "import torch\nfrom torch.utils.data import DataLoader, Dataset, Subset, random_split\n"
        f"class D(Dataset):\n    def __init__(self, x, noisy):\n        self.x, self.noisy = x, 0\n{draws}"
        "        self.noisy = noisy\n"
        "    def __getitem__(self, i):\n        if self.noisy:\n            return self.x[i] + torch.randn(3)\n"
        "        return self.x[i]\n"
        "whole = D(x, True)\na, b = random_split(whole, [8, 2])\nheld = DataLoader(b)\nfor v in held:\n    pass\n"
    )
    source = Source({FILE: text})
    loader = loader_call(source, FILE, line_of(text, "for v"))
    assert loader is not None
    after = patched(text, without_augmentation(source, loader))
    assert ("b = Subset(D(x, False), b.indices)\n" in after) == (not draws) and bool(after) == (not draws)
