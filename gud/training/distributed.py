"""One training by several processes, each with its share of every batch (data parallelism).

The processes are those of `gud.training.launcher` or of `torchrun` (RANK, WORLD_SIZE, LOCAL_RANK,
MASTER_ADDR, MASTER_PORT, which may also be set by hand) or the tasks of one `srun`. They talk
through NCCL between GPUs, else through Gloo.
"""

from __future__ import annotations

import socket
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from gud.errors import InputError, Interrupted

PATIENCE = timedelta(days=30)
"""For processes that wait while the first one waits for another writer; a dead one is noticed at
once, whatever the patience."""
PORTS = range(10000, 30000)


@dataclass(frozen=True)
class Placement:
    """Which of how many processes this one is, and where process 0 listens.

    Attributes:
        rank: from 0 up to `size` - 1.
        local_rank: likewise, among the processes of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    address: str = ""
    port: int = 0


def placement(environment: Mapping[str, str]) -> Placement:
    """The placement that `torchrun`, `srun` or a user put into the environment.

    Raises:
        InputError: if a variable is missing or no number.
    """

    def integer(name: str) -> int:
        try:
            return int(environment[name])
        except (KeyError, ValueError):
            raise InputError(
                f"{name} = {environment.get(name)!r} in the environment, beside those of its "
                f"variables that say that there are several processes; expected an integer"
            ) from None

    if "WORLD_SIZE" in environment:
        if integer("WORLD_SIZE") == 1:
            return Placement()
        local = integer("LOCAL_RANK" if "LOCAL_RANK" in environment else "RANK")
        place = Placement(
            integer("RANK"),
            integer("WORLD_SIZE"),
            local,
            environment.get("MASTER_ADDR", ""),
            integer("MASTER_PORT"),
        )
    elif environment.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        # SLURM_NTASKS also counts in a batch script, which is one process.
        job, step = integer("SLURM_JOB_ID"), integer("SLURM_STEP_ID")
        place = Placement(
            integer("SLURM_PROCID"),
            integer("SLURM_STEP_NUM_TASKS"),
            integer("SLURM_LOCALID"),
            _first_host(environment),
            PORTS[(job + 7919 * step) % len(PORTS)],
        )
    else:
        return Placement()
    if not place.address or not 0 <= place.rank < place.size:
        raise InputError(
            f"process {place.rank} of {place.size} at address {place.address!r}, according to the "
            f"environment; expected a rank below the number of processes, and MASTER_ADDR"
        )
    return place


def _first_host(environment: Mapping[str, str]) -> str:
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "")
    try:
        answer = subprocess.run(
            ["scontrol", "show", "hostnames", hosts], capture_output=True, check=True, text=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"the first host of {hosts!r} is not known, since scontrol failed ({error}); "
            f"set RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT instead"
        ) from None
    return answer.stdout.split()[0]


@dataclass(frozen=True)
class Processes:
    """The processes of one training, as one of them sees them; by default it is alone."""

    rank: int = 0
    size: int = 1
    control: distributed.ProcessGroup | None = None

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, batch: Shaped[Tensor, "batch ..."]) -> Shaped[Tensor, "share ..."]:
        """The part of a batch that is this process's: the batch / size items of its rank."""
        return batch.chunk(self.size)[self.rank]

    def maximum(self, value: int) -> int:
        """The largest of the values of all processes."""
        if self.control is None:
            return value
        result = torch.tensor(value)
        distributed.all_reduce(result, distributed.ReduceOp.MAX, self.control)
        return int(result)

    def mean(self, value: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """The mean of the values of all processes."""
        if self.control is None:
            return value
        total = value.clone()
        distributed.all_reduce(total)
        return total / self.size

    def apart(self, gpu: str) -> None:
        """Make sure that each process has a GPU of its own.

        Args:
            gpu: names that of this process, on its machine.

        Raises:
            InputError: in the first process, if any two have the same.
            SystemExit: in the others then.
        """
        places: list[tuple[str, str]] = [("", "")] * self.size
        distributed.all_gather_object(places, (socket.gethostname(), gpu), self.control)
        shared = next((place for place in places if places.count(place) > 1), None)
        if shared and not self.leads:
            raise SystemExit(2)
        if shared:
            ranks = [rank for rank, place in enumerate(places) if place == shared]
            raise InputError(
                f"processes {', '.join(map(str, ranks))} of this training would run on one GPU of "
                f"{shared[0]}; expected a GPU for each of the {self.size} processes"
            )

    def parallel(self, network: nn.Module, device: torch.device) -> nn.Module:
        """The network, so that backpropagation leaves the same mean gradient in each process."""
        if self.control is None:
            return network
        devices = [device] if device.type == "cuda" else None
        with warnings.catch_warnings():
            # Its new name, forward_sync_buffers, is not known to torch 2.11.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")
            return DistributedDataParallel(network, devices, broadcast_buffers=False)

    def alone(self, network: nn.Module) -> AbstractContextManager[None]:
        """Backpropagation through a `parallel` network adds to the gradients of this process."""
        return network.no_sync() if isinstance(network, DistributedDataParallel) else nullcontext()

    @contextmanager
    def together(self) -> Iterator[None]:
        """End all processes where the block fails in one, which alone tells why.

        Raises:
            SystemExit: in the others, with the status of that one.
        """
        status = 0
        try:
            yield
        except BaseException as error:
            kinds = {Interrupted: 75, InputError: 2, BaseException: 1}
            status = next(number for kind, number in kinds.items() if isinstance(error, kind))
            raise
        finally:
            worst = self.maximum(status)
        if worst:
            raise SystemExit(worst)


@contextmanager
def join(place: Placement, device: torch.device) -> Iterator[Processes]:
    """The processes of this training, connected as long as the block runs."""
    if place.size == 1:
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=f"tcp://{place.address}:{place.port}",
        rank=place.rank,
        world_size=place.size,
    )
    try:
        control = distributed.new_group(backend="gloo", timeout=PATIENCE)
        processes = Processes(place.rank, place.size, control)
        if device.type == "cuda":
            processes.apart(str(torch.cuda.get_device_properties(device).uuid))
        yield processes
    finally:
        distributed.destroy_process_group()
