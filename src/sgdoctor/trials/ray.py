"""Trials on a Ray cluster: one task a trial, retried where its worker is lost.

Workers need sgdoctor, the interpreter of the script and its files at the same paths, as on a shared file system.
`RAY_ADDRESS` names the cluster; without it one is started on this machine.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray

from ..errors import TrialError
from ..record import Record, load
from .local import Local
from .trial import Result, Script, Trial

RETRIES = 2  # of a task whose worker died; a script that fails is a result, and is not retried


class Ray:
    """Runs each trial as a task of its own, in a fresh process on its worker."""

    kind = "tasks of a Ray cluster"

    def __init__(self, script: Script, workers: int | None = None, reason: str = "") -> None:
        self.reason = reason
        self._cpus = 1.0
        self._gpus = 1.0 if "cuda" in reason else 0.0
        self._workers = workers
        self._started = False
        self._home = tempfile.TemporaryDirectory(prefix="sgdoctor-trials-")
        self._count = 0

    def __enter__(self) -> Ray:
        if not ray.is_initialized():
            try:
                ray.init(
                    address=os.environ.get("RAY_ADDRESS"),
                    include_dashboard=False,
                    configure_logging=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                first = str(error).strip().splitlines()[:1]
                raise TrialError(f"--engine ray: no cluster can be reached ({' '.join(first)})") from None
            self._started = True
        return self

    def __exit__(self, *error: object) -> None:
        if self._started:
            ray.shutdown()
        self._home.cleanup()

    def run(self, trials: Iterable[Trial]) -> Iterator[Result]:
        """Results as the trials end, in no order. Closing the iterator cancels those that still run."""
        waiting = iter(trials)
        running: dict[Any, Trial] = {}
        task = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_retries=RETRIES)(_on_worker)
        try:
            while True:
                while self._workers is None or len(running) < self._workers:
                    trial = next(waiting, None)
                    if trial is None:
                        break
                    running[task.remote(trial)] = trial
                if not running:
                    return
                (done, *_), _ = ray.wait(list(running), num_returns=1)
                yield self._result(running.pop(done), done)
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def _result(self, trial: Trial, reference: Any) -> Result:
        try:
            answer: tuple[Result, dict[str, bytes]] = ray.get(reference)
        except ray.exceptions.RayError as error:
            first = str(error).strip().splitlines()[:1]
            raise TrialError(
                f"a trial was lost on the cluster, {RETRIES} retries included: {' '.join(first)}"
            ) from None
        result, files = answer
        self._count += 1
        folder = Path(self._home.name) / str(self._count)
        folder.mkdir()
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return replace(result, trial=trial, record=load(folder) if files else Record([]))


def _on_worker(trial: Trial) -> tuple[Result, dict[str, bytes]]:
    """One trial where this runs; its record comes back as files."""
    with Local(trial.script, workers=1, reason="on a worker of a cluster") as engine:
        (result,) = engine.run([trial])
        path = result.record.path
        files = {} if path is None else {file.name: file.read_bytes() for file in path.iterdir() if file.is_file()}
    return replace(result, record=Record([])), files
