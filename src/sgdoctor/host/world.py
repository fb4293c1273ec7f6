"""Which of several processes this is, as launchers say it in the environment: torchrun, Slurm, Open MPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# (launcher, rank, number of ranks, ranks on this machine, what names the job)
LAUNCHERS = (
    ("torchrun", "RANK", ("WORLD_SIZE",), ("LOCAL_WORLD_SIZE",), ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")),
    (
        "slurm",
        "SLURM_PROCID",
        ("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"),
        (),
        ("SLURM_JOB_ID", "SLURM_STEP_ID"),
    ),
    (
        "mpi",
        "OMPI_COMM_WORLD_RANK",
        ("OMPI_COMM_WORLD_SIZE",),
        ("OMPI_COMM_WORLD_LOCAL_SIZE",),
        ("OMPI_MCA_ess_base_jobid",),
    ),
)
RESTARTS = "TORCHELASTIC_RESTART_COUNT"


class Declared(NamedTuple):
    """One rank of `world`, `local` of them on this machine (0: not said). `job` is the same for all ranks of a run."""

    launcher: str
    rank: int
    world: int
    local: int
    restart: int
    job: str


def declared(environment: Mapping[str, str]) -> Declared | None:
    """What a launcher says of this process; None where it is the only one, or nothing is said."""
    for launcher, rank, worlds, locals_, names in LAUNCHERS:
        number = _whole(environment.get(rank))
        world = next((found for name in worlds if (found := _whole(environment.get(name))) is not None), None)
        if number is None or world is None or world < 2 or number >= world:
            continue
        local = next((found for name in locals_ if (found := _whole(environment.get(name))) is not None), 0)
        restart = _whole(environment.get(RESTARTS)) or 0
        job = " ".join([launcher, *(environment.get(name, "") for name in names), str(restart)])
        return Declared(launcher, number, world, local, restart, job)
    return None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else None
