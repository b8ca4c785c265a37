"""Several accelerators: on how many machines, started how, and a script for Slurm that goes on until training is done.

In: a recipe whose hardware.count is above 1, and the words that name it. Out: the torchrun line for each machine, and
the script. Machines have up to 8 accelerators. A script asks for a day at most and stops itself in time: many clusters
give no more at once, training loses nothing by it, and the script asks for the next day while final.json is not there.
"""

from __future__ import annotations

import math
import shlex

from lhama.plan.bill import Bill
from lhama.plan.layout import Recipe
from lhama.plan.memory import NODE

DAY, MARGIN_MINUTES = 24, 20  # hours of one job, and what it needs to begin and to save
SLACK = 1.2  # over the planned hours

SCRIPT = """\
#!/bin/bash
# Trains {name} on {count} accelerators: {nodes} machine(s) of {each}. Expected: {tokens:,.0f} tokens a second together,
# {hours:,.1f} hours, {efficiency:.0%} of what as many would do alone. Add your cluster's own lines, such as --partition
# and --account, and make the tokens first, on one machine: lhama tokens {what}
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={each}
#SBATCH --time={limit}
#SBATCH --output={name}-%j.log
#SBATCH --open-mode=append

# All machines must see this folder and the runs in it.
cd "$SLURM_SUBMIT_DIR" || exit 1
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
srun torchrun --nnodes "$SLURM_NNODES" --nproc-per-node {each} --max-restarts 3 \\
  --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:29500" \\
  -m lhama.cli train {words} --max-time {time} || exit 1
# Training that stopped in time has no final.json yet: ask for the next job.
[ -f {final} ] || sbatch "$0"
"""


def machines(count: int) -> tuple[int, int]:
    """Return how many machines, and how many accelerators each: as many as evenly fit into one."""
    each = next(each for each in range(min(count, NODE), 0, -1) if count % each == 0)
    return count // each, each


def torchrun_line(recipe: Recipe, what: str) -> str | None:
    """Return the line that starts training, on every machine alike; None where one process does it."""
    nodes, each = machines(recipe.hardware.count)
    if nodes * each == 1:
        return None
    words = shlex.quote(what)
    if nodes == 1:
        return f"torchrun --standalone --nproc-per-node {each} -m lhama.cli train {words}"
    return (
        f"torchrun --nnodes {nodes} --nproc-per-node {each} --max-restarts 3 --rdzv-backend c10d "
        f"--rdzv-id {recipe.name} --rdzv-endpoint FIRST_MACHINE:29500 -m lhama.cli train {words}"
    )


def slurm_script(recipe: Recipe, what: str, changes: list[str], runs: str, asked: Bill) -> str:
    """Return a script for `sbatch` that trains the recipe, a day at a time."""
    nodes, each = machines(recipe.hardware.count)
    hours = min(DAY, max(1, math.ceil(asked.hours * SLACK)))
    words = [what, *(word for change in changes for word in ("--set", change)), "--runs", runs]
    return SCRIPT.format(
        name=recipe.name,
        count=recipe.hardware.count,
        nodes=nodes,
        each=each,
        tokens=asked.tokens_per_second,
        hours=asked.hours,
        efficiency=asked.efficiency,
        what=shlex.quote(what),
        limit=f"{hours:02d}:00:00",
        words=shlex.join(words),
        time=f"{hours - 1}h{60 - MARGIN_MINUTES}m" if hours > 1 else f"{60 - MARGIN_MINUTES}m",
        final=shlex.quote(f"{runs}/{recipe.name}/train/final.json"),
    )
