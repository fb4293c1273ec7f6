"""What torch shows to a script is the same under observation: errors, warnings, copies, compilers, threads."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from processes import Ended, observed, plain

from sgdoctor.record import Record, load

HEAD = """
import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
x, y = torch.randn(16, 4), torch.randint(0, 3, (16,))
model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.1), nn.Linear(8, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

def train(steps):
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        print(repr(loss.item()), flush=True)
"""


def both(tmp_path: Path, source: str, *arguments: str, head: str = HEAD) -> tuple[Ended, Record]:
    """Run a script plain and observed, compare, and return how it ended with the record."""
    (tmp_path / "script.py").write_text(head + dedent(source))
    expected = plain("script.py", *arguments, cwd=tmp_path)
    seen = observed("script.py", *arguments, cwd=tmp_path, record=tmp_path / "record")
    assert seen == expected
    record = load(tmp_path / "record")
    assert not record.rows("probe_failed")
    return expected, record


ERRORS = """
    import traceback, warnings
    class Failing(torch.optim.SGD):
        def step(self, closure=None):
            raise ValueError("in the step")
    class Train(nn.Linear):
        def train(self, mode=True):
            raise ValueError("in train")
    class Items:
        def __len__(self):
            return 3
        def __getitem__(self, index):
            raise KeyError("in the data set")
    def twice():
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        loss.backward()
    def strange_batch():
        model.train()
        model(x[:1])
    def nan():
        for p in model.parameters():
            p.grad = torch.full_like(p, float("nan"))
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, error_if_nonfinite=True)
    failing = Failing(model.parameters(), lr=0.1)
    for call in (
        lambda: F.cross_entropy(model(x), y + 7),
        lambda: nn.CrossEntropyLoss()(model(x), y[:3]),
        lambda: F.mse_loss(x),
        lambda: F.cross_entropy(),
        lambda: failing.step(),
        lambda: torch.optim.SGD([], lr=0.1),
        lambda: torch.optim.SGD(model.parameters(), lr=-1),
        lambda: optimizer.zero_grad(1, 2, 3),
        lambda: torch.autograd.grad(x.sum(), [x]),
        lambda: torch.autograd.grad(model(x).sum(), list(model.parameters())[:1] + [nn.Parameter(x)]),
        lambda: model(x).backward(),
        lambda: nn.Sequential(Train(2, 2)).train(),
        lambda: model.train(mode="yes"),
        lambda: F.dropout(x, p=2.0),
        lambda: F.dropout(x, p=None),
        lambda: F.dropout("x"),
        lambda: F.batch_norm(x),
        lambda: list(torch.utils.data.DataLoader(Items())),
        lambda: torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer).step(),
        lambda: model.parameters(1, 2, 3),
        lambda: nn.utils.clip_grad_norm_(),
        lambda: torch.amp.GradScaler("cpu").unscale_(None),
        twice,
        strange_batch,
        nan,
    ):
        try:
            call()
            print("no error")
        except Exception:
            traceback.print_exc()
"""


def test_errors_inside_torch_show_no_frame_of_ours(tmp_path: Path) -> None:
    ended, _ = both(tmp_path, ERRORS)
    assert ended.stderr.count("Traceback") == 25 and "no error" not in ended.stdout


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("F.cross_entropy(model(x), y + 7)", "IndexError"),
        ("model(x).backward()", "RuntimeError"),
        (
            "class Failing(torch.optim.SGD):\n    def step(self):\n        1 / 0\n"
            "Failing(model.parameters(), 0.1).step()",
            "ZeroDivisionError",
        ),
    ],
)
def test_uncaught_error_inside_torch(source: str, error: str, tmp_path: Path) -> None:
    ended, record = both(tmp_path, "train(2)\n" + source)
    assert ended.status == 1 and ended.stderr.rstrip().splitlines()[-1].startswith(error)
    assert record.exception is not None and record.exception["type"] == error


def test_failed_loss_is_recorded_with_what_it_was_given(tmp_path: Path) -> None:
    _, record = both(tmp_path, "train(1)\nF.cross_entropy(model(x), y + 7)")
    assert record.exception is not None
    loss = record.exception["loss"]
    assert (loss["fn"], loss["output"]["shape"], loss["target"]["max"]) == ("cross_entropy", [16, 3], 9.0)


WARNINGS = """
    import sys, warnings
    def train_once(target):
        return F.mse_loss(model(x), target)
    train_once(torch.zeros(16))
    train_once(torch.zeros(16))
    nn.MSELoss()(model(x), torch.zeros(3))
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    scheduler.step()
    for _ in range(3):
        warnings.warn("the script's own")
    (x * 1.0).requires_grad_().exp().grad
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        F.l1_loss(model(x), torch.zeros(16))
    print([(w.filename, w.lineno, str(w.message)) for w in caught])
    train(8)
    warnings.simplefilter("error")
    train(8)
    train_once(torch.zeros(16))
"""


def test_warnings_stand_at_the_same_lines(tmp_path: Path) -> None:
    ended, _ = both(tmp_path, WARNINGS)
    assert ended.stderr.count("UserWarning: Using a target size") >= 1 and ended.status == 1


def test_environment_set_before_torch_is_imported_counts(tmp_path: Path) -> None:
    head = "import os\nos.environ['OMP_NUM_THREADS'] = '2'\n" + HEAD
    ended, _ = both(tmp_path, "print(torch.get_num_threads())\ntrain(1)", head=head)
    assert ended.stdout.startswith("2\n")


COPIES = """
    import copy, inspect, io, pickle
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = model
            self.loss = F.cross_entropy
        def forward(self, x):
            return self.inner(x)
    net = Net()
    train(10)
    file = io.BytesIO()
    torch.save({"net": net, "optimizer": optimizer, "state": optimizer.state_dict()}, file)
    print(len(file.getvalue()), len(pickle.dumps(net)), len(pickle.dumps(optimizer)))
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    other = copy.deepcopy(net)
    clone = copy.deepcopy(optimizer)
    print(repr(loaded["net"].loss(other(x), y).item()), sorted(vars(net)), sorted(vars(optimizer)))
    print(sorted(vars(model[0])))
    print(repr(net), repr(clone), [len(hooks) for name, hooks in vars(net).items() if name.endswith("hooks")])
    for function in (F.cross_entropy, nn.Module.train, torch.optim.Optimizer.zero_grad, torch.autograd.backward):
        print(function.__name__, function.__qualname__, function.__module__, inspect.signature(function))
"""


def test_copies_and_pickles(tmp_path: Path) -> None:
    ended, _ = both(tmp_path, COPIES)
    assert ended.status == 0


COMPILERS = """
    import torch.utils.flop_counter
    import warnings
    from torch.func import functional_call, grad_and_value, vmap
    warnings.simplefilter("ignore")
    def objective(output, target):
        return F.cross_entropy(output, target)
    scripted = torch.jit.script(objective)
    for _ in range(3):
        print(repr(scripted(model(x), y).item()))
    print(torch.jit.script(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5)))(x).shape)
    print(torch.jit.trace(lambda a: F.mse_loss(a, a * 2), x)(x + 1).item())
    weights = {name: p.detach() for name, p in model.named_parameters()}
    model.eval()
    def functional(weights, x, y):
        return F.cross_entropy(functional_call(model, weights, (x,)), y)
    for _ in range(8):
        gradients, loss = grad_and_value(functional)(weights, x, y)
        weights = {name: w - 0.1 * gradients[name] for name, w in weights.items()}
        print(repr(loss.item()))
    each = vmap(grad_and_value(functional), in_dims=(None, 0, 0))(weights, x.unsqueeze(1), y.unsqueeze(1))
    print(repr(each[1].sum().item()))
    print(torch.fx.symbolic_trace(model).code)
    model.train()
    with torch.utils.flop_counter.FlopCounterMode(display=False) as counter:
        train(8)
    print(counter.get_total_flops())
    torch.set_default_device("cpu")
    train(8)
"""


def test_other_ways_to_run_a_model(tmp_path: Path) -> None:
    ended, record = both(tmp_path, COMPILERS)
    assert ended.status == 0 and record.steps == 16
    calls = [row for row in record.rows("loss") if row["grad"] and record.calls[row["call"]]["fn"] == "cross_entropy"]
    assert len(calls) >= 2  # looked at although the budget is spent; those of the default device were not taken for two


THREADS = """
    import threading
    results = {}
    def work(name):
        torch.manual_seed(1)
        net = nn.Linear(4, 3)
        own = torch.optim.Adam(net.parameters())
        for _ in range(30):
            own.zero_grad()
            F.cross_entropy(net(x), y).backward()
            own.step()
        results[name] = repr(F.cross_entropy(net(x), y).item())
    torch.manual_seed(1)
    nets = [nn.Linear(4, 3) for _ in range(3)]
    def train_net(index):
        own = torch.optim.Adam(nets[index].parameters())
        for _ in range(40):
            own.zero_grad()
            F.cross_entropy(nets[index](x), y).backward()
            own.step()
        results[index] = repr(F.cross_entropy(nets[index](x), y).item())
    threads = [threading.Thread(target=train_net, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sorted(results.items()))
    def late():
        train(5)
    threading.Thread(target=late).start()
"""


def test_training_in_threads(tmp_path: Path) -> None:
    _, record = both(tmp_path, THREADS)
    # The last thread outlives the main one.
    assert record.steps == 3 * 40 + 5


FORK = """
    import os, sys
    train(8)
    sys.stdout.flush()
    child = os.fork()
    if child:
        print(os.waitpid(child, 0)[1], flush=True)
    train(8)
    if child == 0:
        1 / 0
"""


def test_forked_child_leaves_the_record_alone(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(HEAD + dedent(FORK))
    expected = plain("script.py", cwd=tmp_path)
    seen = observed("script.py", cwd=tmp_path, record=tmp_path / "record")
    assert (seen.stdout, seen.status, seen.stderr) == (expected.stdout, expected.status, expected.stderr)
    record = load(tmp_path / "record")
    assert (record.steps, record.processes, record.exception) == (16, 1, None)
    assert len(record.objectives[0].values) == 16


@pytest.mark.parametrize("handled", ["pass", "print('caught', repr(loss))"])
def test_max_steps_ends_the_script(handled: str, tmp_path: Path) -> None:
    source = """
        import atexit
        atexit.register(print, "the script's own exit function")
        def careful(steps):
            for _ in range(steps):
                try:
                    train(1)
                except Exception:
                    print("swallowed")
        try:
            careful(50)
        finally:
            print("cleaned up")
        print("never")
    """
    (tmp_path / "script.py").write_text(HEAD + dedent(source))
    seen = observed("script.py", cwd=tmp_path, record=tmp_path / "record", max_steps=7)
    assert (seen.status, seen.stderr) == (0, "")
    assert "never" not in seen.stdout and "swallowed" not in seen.stdout
    assert seen.stdout.endswith("cleaned up\nthe script's own exit function\n")
    record = load(tmp_path / "record")
    assert record.end is not None and (record.end["how"], record.steps) == ("stopped", 7)


BY_HAND = """
    w = torch.zeros(4, 3, requires_grad=True)
    for _ in range(50):
        F.cross_entropy(x @ w, y).backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad = None
        print("step")
"""


def test_max_steps_ends_a_hand_written_loop(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(HEAD + dedent(BY_HAND))
    seen = observed("script.py", cwd=tmp_path, record=tmp_path / "record", max_steps=7)
    assert seen == Ended(0, "step\n" * 7, "")


def test_max_steps_ends_a_thread_without_a_word(tmp_path: Path) -> None:
    source = "import threading\nthreading.Thread(target=train, args=(50,)).start()"
    (tmp_path / "script.py").write_text(HEAD + source)
    seen = observed("script.py", cwd=tmp_path, record=tmp_path / "record", max_steps=3)
    assert (seen.status, seen.stderr) == (0, "") and seen.stdout.count("\n") < 50
