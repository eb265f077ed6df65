"""Where the networks run, and in which precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gud.errors import InputError


def resolve_precision(setting: str, device: torch.device) -> str:
    """`auto` is bfloat16 where the device computes in it, else float32; so is `tf32` on a CPU."""
    if setting == "tf32" and device.type != "cuda":
        return "float32"
    if setting != "auto":
        return setting
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = any(getattr(torch.cpu, name, bool)() for name in names)
    return "bfloat16" if native else "float32"


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on a device; to a GPU from pinned memory, asynchronously."""
    if device.type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


@contextmanager
def float32_precision(precision: str) -> Iterator[None]:
    """How a GPU multiplies float32 numbers as long as the block runs.

    PyTorch's default rounds the factors of convolutions to the 10 bits after the point of TF32,
    which moves likelihoods by some 0.005 bits/dim.

    Args:
        precision: "tf32"; any other leaves all 23 bits.
    """
    products: tuple[Any, ...] = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [product.allow_tf32 for product in products]
    try:
        for product in products:
            product.allow_tf32 = precision == "tf32"
        yield
    finally:
        for product, allowed in zip(products, before, strict=True):
            product.allow_tf32 = allowed


class InBfloat16(nn.Module):
    """A network that computes in bfloat16 where autocast does; its weights stay float32."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, *told: Tensor) -> Tensor:
        with torch.autocast(images.device.type, torch.bfloat16):
            return self.network(images, *told)


def resolve_device(name: str | None, local_rank: int | None = None) -> torch.device:
    """The device called `name`, by default a GPU if there is one.

    Args:
        name: "cpu", "cuda" or None.
        local_rank: number of this process among those of the machine, each with a GPU of its own:
            the GPU of that number, or the only one that the process sees.

    Raises:
        InputError: if there is none of that name, or too few for the processes.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device; use --device cpu")
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type != "cuda" or local_rank is None:
        return device
    gpus = torch.cuda.device_count()
    if local_rank >= gpus > 1:
        raise InputError(
            f"process {local_rank} of this machine, counted from 0, has no GPU of its own among "
            f"the {gpus} GPUs that it sees; expected at most one process for each GPU"
        )
    return torch.device("cuda", local_rank if gpus > 1 else 0)


def check_processes(name: str | None, processes: int) -> None:
    """Refuse more processes than GPUs, where GPUs are what they would run on; see `resolve_device`.

    Raises:
        InputError: if they are more.
    """
    device = resolve_device(name)
    if device.type == "cuda" and processes > torch.cuda.device_count():
        raise InputError(
            f"--processes {processes}: this machine shows {torch.cuda.device_count()} GPU(s); "
            f"expected at most one process for each"
        )
