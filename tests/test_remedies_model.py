"""Patches for loops, modes, weights and activations, on source in many styles: text in, text out."""

from __future__ import annotations

from patched import FILE, change, line, remedy, script

from sgdoctor.conditions import Evidence, Finding, catalogue
from sgdoctor.record import Site
from sgdoctor.source import Edit, Source
from sgdoctor.source.activations import gated_instead, residual, swapped, unscaled
from sgdoctor.source.holdings import complete
from sgdoctor.source.initialisers import CONSTANT, drawn_tensors, initialiser_at, random_again, shifted_biases
from sgdoctor.source.modes import evaluated, following_dropouts, trained
from sgdoctor.source.training import clip

LOOP = """
opt = torch.optim.SGD(net.parameters(), lr=0.1)
for i, (x, y) in enumerate(data):
    loss = F.mse_loss(net(x), y)
    loss.backward()
    opt.step()
"""


def test_zero_grad_is_put_where_a_window_of_gradients_begins() -> None:
    source = script(LOOP)
    built = Site(FILE, line(source, "SGD"), "")
    assert remedy("missing-zero-grad", source, "backward", built) == ["+opt.zero_grad()"]
    text = LOOP.replace("    opt.step()", "    if i % 4 == 3:\n        opt.step()")
    source = script(text)
    texts = source.changed(_edits("missing-zero-grad", source, "backward", built))
    assert texts is not None and "        opt.step()\n        opt.zero_grad()\n" in texts[FILE]
    two = script(LOOP.replace("    loss.backward()", "    aux.backward()\n    loss.backward()"))
    texts = two.changed(_edits("missing-zero-grad", two, "loss.backward", built))
    assert texts is not None and "    opt.zero_grad()\n    aux.backward()\n" in texts[FILE]
    uncalled = script(LOOP.replace("    loss.backward()", "    opt.zero_grad\n    loss.backward()"))
    assert remedy("missing-zero-grad", uncalled, "backward", built) == ["-opt.zero_grad", "+opt.zero_grad()"]


def _edits(condition: str, source: Source, mark: str, subject: object) -> list[Edit]:
    finding = Finding(Site(FILE, line(source, mark), ""), (Evidence("seen"),), 0.9, subject=subject)
    remedies = catalogue()[condition].remedies
    assert remedies is not None
    return list(next(iter(remedies(finding, source))).edits)


def test_gradients_of_raw_tensors_are_dropped_behind_their_steps() -> None:
    source = script(
        """
        for x in data:
            loss(x).backward()
            with torch.no_grad():
                w -= lr * w.grad; b.data.sub_(lr * b.grad)
                for p in rest: p.data = p.data - lr * p.grad
        """
    )
    assert remedy("missing-zero-grad", source, "backward") == [
        "-w -= lr * w.grad; b.data.sub_(lr * b.grad)",
        "-for p in rest: p.data = p.data - lr * p.grad",
        "+w -= lr * w.grad; w.grad = None; b.data.sub_(lr * b.grad); b.grad = None",
        "+for p in rest: p.data = p.data - lr * p.grad; p.grad = None",
    ]


def test_a_missing_step_follows_backward_under_the_name_that_is_seen_there() -> None:
    trainer = script(
        """
        class Trainer:
            def __init__(self, net, optimiser):
                self.net, self.rate = net, 1
                self.o = optimiser
            def step(self, x, y):
                loss = F.mse_loss(self.net(x), y)
                scaler.scale(loss).backward()
                scaler.unscale_(self.o)
                nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
                return loss
        def main():
            net = nn.Linear(1, 1)
            adam = torch.optim.Adam(net.parameters())
            t = Trainer(net, optimiser=adam)
        """
    )
    built = Site(FILE, line(trainer, "Adam"), "main")
    assert remedy("missing-step", trainer, "backward", built) == ["+scaler.step(self.o)", "+scaler.update()"]
    texts = trainer.changed(_edits("missing-step", trainer, "backward", built))
    assert texts is not None and "1.0)\n        scaler.step(self.o)\n        scaler.update()\n" in texts[FILE]
    made = script(
        """
        def build():
            net = nn.Linear(1, 1); return net, torch.optim.Adam(net.parameters())
        def run(net, opt_):
            for x in data: net(x).mean().backward()
        model, adam = build()
        run(model, adam)
        """
    )
    built = Site(FILE, line(made, "Adam"), "build")
    assert remedy("missing-step", made, "backward", built)[1].endswith("net(x).mean().backward(); opt_.step()")


def test_a_misplaced_zero_grad_is_moved_with_its_comment() -> None:
    source = script(LOOP.replace("    opt.step()", "    opt.zero_grad()  # clean\n    opt.step()"))
    subject = (Site(FILE, line(source, "backward"), ""), None)
    assert remedy("misplaced-zero-grad", source, "zero_grad", subject) == [
        "+opt.zero_grad()  # clean",
        "-opt.zero_grad()  # clean",
    ]
    window = LOOP.replace("    opt.step()", "    if i % 4 == 3:\n        opt.zero_grad(); opt.step()")
    source = script(window)
    found = source.changed(_edits("misplaced-zero-grad", source, "zero_grad", subject))
    assert found is not None and "        opt.step(); opt.zero_grad()\n" in found[FILE]


def test_an_optimizer_is_built_below_the_last_layer_and_over_all_models() -> None:
    moved = script(
        """
        net = Net()
        opt = torch.optim.SGD(
            net.parameters(), lr=0.1)
        plan = torch.optim.lr_scheduler.StepLR(opt, 5)
        net.fc = nn.Linear(3, 4)
        """
    )
    texts = moved.changed(complete(moved, FILE, line(moved, "SGD"), ["fc.weight", "fc.bias"]))
    assert texts is not None and texts[FILE].index("net.fc =") < texts[FILE].index("SGD(") < texts[FILE].index("StepLR")
    both = """
        class Encoder(nn.Module):
            def __init__(self):
                self.conv = nn.Conv1d(1, 1, 1)
        class Decoder(nn.Module):
            def __init__(self):
                self.fc = nn.Linear(1, 1)
        e, d = Encoder().to(device), Decoder().to(device)
        opt = torch.optim.Adam({}, lr=0.1)
        """
    one = script(both.format("d.parameters()"))
    new = change(one, complete(one, FILE, line(one, "Adam"), ["conv.weight"]))
    assert new[1] == "+opt = torch.optim.Adam([*d.parameters(), *e.parameters()], lr=0.1)"
    grouped = script("net = Net()\nopt = torch.optim.Adam([{'params': net.a.parameters()}], 0.1)\n")
    new = change(grouped, complete(grouped, FILE, line(grouped, "Adam"), ["neck.weight"]))
    assert """{'params': net.a.parameters()}, {"params": net.neck.parameters()}]""" in new[1]
    plain = script(
        "class N(nn.Module):\n    def __init__(self):\n        self.ls = []\n        self.ls.append(nn.Linear(1, 1))\n"
    )
    assert change(plain, complete(plain, FILE, 1, []))[1] == "+self.ls = nn.ModuleList()"


def test_modes_are_switched_where_evaluation_and_training_begin() -> None:
    source = script(
        """
        @torch.no_grad()
        def accuracy(m, batches):
            '''Share right.'''
            hits = [m(x).argmax(1) == y for x, y in batches]
            return torch.cat(hits).mean()
        for epoch in range(3):
            for x, y in data:
                F.cross_entropy(net(x), y).backward()
            print(accuracy(net, held_out))
        """
    )
    training = (FILE, line(source, "backward"))
    assert change(source, evaluated(source, (FILE, line(source, "hits = ")), training)) == ["+m.eval()", "+net.train()"]
    every = script(
        """
        def check(): net.eval(); return net(x)
        for step in range(3):
            loss = F.mse_loss(net(x), y); loss.backward()
            if step % 2: check()
        """
    )
    inside = change(every, trained(every, (FILE, line(every, "loss =")), [(FILE, line(every, "def check"))]))
    assert inside == ["+net.train()"]
    texts = every.changed(trained(every, (FILE, line(every, "loss =")), [(FILE, line(every, "def check"))]))
    assert texts is not None and "range(3):\n    net.train()\n    loss =" in texts[FILE]
    dropout = script(
        "class N(nn.Module):\n    def forward(self, x):\n"
        "        return nn.Dropout(0.5)(F.dropout(x, 0.2)) + F.dropout(x, 0.1, False)\n"
    )
    edits = following_dropouts(dropout)
    assert "+return nn.Dropout(0.5)(F.dropout(x, 0.2, training=self.training)) + F.dropout(x, 0.1, False)" in change(
        dropout, edits[:1]
    )


def test_initialisers_are_replaced_alike_and_norms_left_alone() -> None:
    source = script(
        """
        class N(nn.Module):
            def __init__(self):
                self.a, self.b, self.act = nn.Linear(1, 1), nn.Linear(1, 1), nn.ReLU()
                nn.init.constant_(self.a.weight, 0.1); nn.init.constant_(self.b.weight, 0.1)
                nn.init.constant_(self.a.bias, 0.1)
        def init(m):
            if isinstance(m, nn.BatchNorm1d):
                m.weight.data.fill_(1.0)
            elif isinstance(m, nn.Linear): m.weight.data.fill_(1.0)
        for p in net.parameters(): torch.nn.init.ones_(p)
        """
    )
    module = source.modules[FILE]

    def drawn(mark: str) -> list[str]:
        call = initialiser_at(module, line(source, mark), CONSTANT)
        assert call is not None
        return change(source, random_again(source, module, call))

    assert drawn("constant_(self.a.weight")[1] == (
        "+nn.init.kaiming_uniform_(self.a.weight); nn.init.kaiming_uniform_(self.b.weight)"
    )
    assert drawn("elif")[1] == "+elif isinstance(m, nn.Linear): nn.init.kaiming_uniform_(m.weight)"
    assert "torch.nn.init.kaiming_uniform_(p) if p.dim() > 1 else torch.nn.init.zeros_(p)" in drawn("ones_(p)")[1]
    raw = script(
        "W = torch.zeros(3, h, requires_grad=True); b = torch.zeros(h, requires_grad=True)\nmask = torch.zeros(3, 4)\n"
    )
    assert change(raw, drawn_tensors(raw, ("zeros",)))[1].startswith(
        "+W = (torch.randn(3, h) / 3 ** 0.5).requires_grad_(); b"
    )
    biased = script("net.fc.bias.data -= 5\nwith torch.no_grad(): net.fc.bias[:] += 1\nx.bias = None\n")
    assert [each for each in change(biased, shifted_biases(biased)) if each[0] == "+"] == [
        "+with torch.no_grad(): pass"
    ]


def test_hidden_activations_are_swapped_and_outputs_stay() -> None:
    source = script(
        """
        def labels(x): return torch.tanh(x @ w)
        class N(nn.Module):
            def __init__(self, act=nn.Tanh):
                self.net = nn.Sequential(nn.Linear(1, 2), nn.Tanh(), nn.Linear(2, 1), nn.Sigmoid())
            def forward(self, x):
                gate = torch.sigmoid(x)
                x = self.net(torch.tanh(x)).tanh() + gate * x
                return F.sigmoid(x)
        """
    )
    assert [each for each in change(source, swapped(source, ("sigmoid", "tanh"), "relu")) if each[0] == "+"] == [
        "+def __init__(self, act=nn.ReLU):",
        "+self.net = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1), nn.Sigmoid())",
        "+x = self.net(torch.relu(x)).relu() + gate * x",
    ]
    cells = script("rnn = nn.RNN(3, 4, nonlinearity='tanh', batch_first=True)\n")
    assert change(cells, gated_instead(cells))[1] == "+rnn = nn.GRU(3, 4, batch_first=True)"
    deep = script(
        "layers = [nn.Linear(4, 4) for _ in range(9)]\n"
        "def f(x):\n    for layer in layers:\n        x = torch.tanh(layer(x))\n    return x\n"
    )
    assert change(deep, residual(deep.modules[FILE], line(deep, "tanh")))[1] == "+x = x + torch.tanh(layer(x))"
    steep = script("SLOPE = 40\ndef f(x): return torch.sigmoid(SLOPE * g(x))\n")
    assert change(steep, unscaled(steep, line(steep, "sigmoid"), FILE)) == ["-SLOPE = 40", "+SLOPE = 1.0"]


def test_clipping_stands_between_backward_and_step() -> None:
    source = script(
        """
        def fit(data, opt, scaler):
            for i, x in enumerate(data):
                scaler.scale(loss(x)).backward()
                if i % 2:
                    scaler.step(opt)
        opt = torch.optim.SGD(net.parameters(), lr=1)
        fit(data, opt, scaler)
        """
    )
    place = (FILE, line(source, "SGD"))
    texts = source.changed(clip(source, FILE, line(source, "backward"), place, "1.0"))
    assert texts is not None
    start = texts[FILE].index(
        "        if i % 2:\n            scaler.unscale_(opt)\n            nn.utils.clip_grad_norm_([p for"
    )
    assert texts[FILE].index("scaler.step(opt)") > start
