"""Snakemake that asks SLURM for the states of its jobs every second, where it would wait longer."""

import asyncio
import sys

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor


async def one_second(_executor):
    await asyncio.sleep(1)


Executor.sleep = one_second

if __name__ == "__main__":
    sys.exit(main())
