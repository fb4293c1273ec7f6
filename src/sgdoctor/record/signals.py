"""THE table of signals: everything a condition may need, and a probe may provide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cost = Literal["once", "event", "sample"]


@dataclass(frozen=True)
class Signal:
    """One thing that is measured.

    `axes`: what it is a series over; a "sample" is an event that was looked at closely. `unit`: "1" is none; "loss",
    "weight" and "input" are the script's own. `meaning` ends with the kind of row it stands in. `cost`: taken once, at
    every event (the light layer), or at samples under the budget.
    """

    name: str
    axes: tuple[str, ...]
    unit: str
    meaning: str
    cost: Cost


_TABLE = (
    # What there is
    Signal("parameters", ("parameter",), "1", "name, shape, dtype, device of trained tensors: `param`", "once"),
    Signal("optimizers", ("optimizer", "group"), "1", "kind, settings, the tensors given to it: `optimizer`", "once"),
    Signal("loaders", ("loader",), "samples", "length, batch size, order, passes: `loader`", "event"),
    Signal("exception", (), "1", "what the script died of, with shapes nearby: `exception`", "once"),
    # The loop
    Signal("loop_windows", ("window",), "1", "calls between two steps with their lines: `window`", "event"),
    Signal("objective", ("backward",), "loss", "what one line backpropagates: `objective`", "event"),
    Signal("learning_rates", ("change", "group"), "1", "learning rates wherever they changed: `rate`", "sample"),
    Signal("modes", ("place",), "passes", "forward passes by mode and gradient: `mode`", "event"),
    Signal("mode_switches", ("line",), "1", "calls of train() and eval(): `switch`", "event"),
    # The loss
    Signal("loss_calls", ("call",), "1", "function, shapes, dtypes, options: `call`", "event"),
    Signal("loss_values", ("sample",), "loss", "value, moments of outputs and targets: `loss`", "sample"),
    Signal("label_counts", ("sample", "class"), "samples", "class frequencies of targets: `loss` counts", "sample"),
    Signal("constant_loss", ("sample",), "loss", "the loss of the best constant output: `loss` constant", "sample"),
    Signal("permuted_loss", ("sample",), "loss", "the loss on other samples' targets: `loss` permuted", "sample"),
    Signal("score", ("call",), "samples", "how many outputs are right, squared error; trials only: `score`", "event"),
    # The loss: what its arguments are made by, what it is the sum of, inputs beside targets
    Signal("loss_arguments", ("call",), "1", "operations that made them, KL's row sums: `argument`", "sample"),
    Signal("loss_terms", ("change", "term"), "1", "factor, sign and form of each term: `terms`", "sample"),
    Signal("sequences", ("sample",), "1", "labels against input ids, shifted and padded: `sequence`", "sample"),
    Signal("copied_columns", ("sample", "feature"), "1", "input columns that are the target: `copy`", "sample"),
    # The network
    Signal("graph", ("change",), "1", "layers and tensors that the loss reaches: `graph`", "sample"),
    Signal("features", ("sample", "feature"), "input", "moments of what reaches first weights: `features`", "sample"),
    Signal("activations", ("sample", "layer"), "1", "zero, dead and flat shares, spread: `activations`", "sample"),
    Signal("hazards", ("sample", "operation"), "elements", "arguments where a slope is not finite: `hazard`", "sample"),
    # Gradients and steps
    Signal("gradients", ("sample", "parameter"), "loss/weight", "norm of each gradient: `gradients` grad", "sample"),
    Signal("weights", ("sample", "parameter"), "weight", "norm of each weight: `gradients` weight", "sample"),
    Signal("gradient_by_depth", ("sample", "operation"), "loss", "norm of the passing gradient: `signal`", "sample"),
    Signal("unit_symmetry", ("sample", "layer"), "weight", "how far units of a layer are apart: `units`", "sample"),
    Signal("updates", ("sample", "parameter"), "weight", "norms of weight, gradient, change: `update`", "sample"),
    Signal("curvature", ("sample",), "loss", "slope along a step, before and after it: `turn`", "sample"),
    Signal("stale_gradients", ("sample",), "loss/weight", "norm of the old gradient at backward: `stale`", "sample"),
    # How the network is built
    Signal("structure", ("change",), "1", "what stands between layers and before the loss: `structure`", "sample"),
    Signal("graph_size", ("sample",), "1", "operations in the graph of one loss: `size`", "sample"),
    Signal("dropouts", ("place",), "passes", "dropout by line and strength: `dropout`", "event"),
    Signal("validations", ("pass",), "loss", "means of losses without gradient: `validation`", "event"),
    Signal("unregistered", ("sample",), "1", "trained, but in no module's registry: `unregistered`", "sample"),
    Signal("frozen", ("sample",), "1", "parameters that need no gradient: `frozen`, `thaw`, `needing`", "sample"),
    Signal("running_statistics", ("sample",), "1", "batch norm's, and those of a batch: `statistics`", "sample"),
    Signal("idle_parameters", ("step",), "1", "held, never with gradient, never changed: `idle`", "sample"),
    Signal("free_parameters", ("line",), "steps", "with gradient, held by no optimizer: `free`", "event"),
    # What surrounds a step
    Signal("accumulation", ("place",), "passes", "backward passes a step used, or lost: `accumulation`", "event"),
    Signal("schedules", ("scheduler",), "1", "settings, steps, what was fed, rates: `schedule`", "event"),
    Signal("checkpoints", ("load",), "1", "keys matched, memory shared: `loading`, `saving`", "event"),
    Signal("kept_graphs", ("line",), "graphs", "graphs alive long after their backward: `kept`", "sample"),
    Signal("evaluations", ("line",), "1", "eval() with autograd on: `evaluation`, `loss_run`", "event"),
    Signal("precision", ("line",), "1", "autocast regions, calls of a scaler: `autocast`, `scaler`", "event"),
    # What the loop is fed with
    Signal("loader_batches", ("loader", "batch"), "input", "moments and marks of first batches: `batch`", "event"),
    Signal("loader_feeds", ("loader",), "batches", "handed over, and trained on: `feed`", "event"),
    Signal("loader_overlap", ("loader", "loader"), "samples", "the same samples in two loaders: `overlap`", "once"),
    Signal("label_recall", ("sample", "class"), "samples", "labels, predictions, hits by class: `labels`", "sample"),
    Signal("errors_by_sureness", ("sample", "part"), "samples", "which errors are left: `sureness`, `tails`", "sample"),
    Signal("bad_values", ("sample",), "elements", "inputs and targets that are not finite: `bad`", "sample"),
    Signal("norm_samples", ("sample",), "samples", "what batch norm takes its moments from: `norm`", "sample"),
    Signal("memory", ("sample",), "bytes", "resident memory of the process: `memory`", "sample"),
    Signal("seeding", (), "1", "whether torch was seeded, and drawn from: `seeding`", "once"),
    Signal("model_inputs", ("sample",), "input", "moments of what a model is called on: `door`", "sample"),
    # Many processes
    Signal("ranks", ("rank",), "1", "its number, how it ended, what ranks exchange: `rank`, `ended`, `moves`", "event"),
    Signal("replicas", ("rank", "step"), "1", "sums over weights and gradients at equal steps: `replica`", "event"),
    Signal("portions", ("rank", "batch"), "1", "which samples a rank is fed: `portion`, `share`, `pass`", "event"),
    Signal("wrappers", ("wrapper",), "passes", "DistributedDataParallel and its calls: `wrapper`", "event"),
    Signal("resumed", ("load",), "1", "what of a checkpoint was restored: `resuming`, `restored`, `written`", "event"),
)

SIGNALS: dict[str, Signal] = {signal.name: signal for signal in _TABLE}
