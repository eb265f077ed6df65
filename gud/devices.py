"""Where the networks run, and in which precision."""

from __future__ import annotations

import torch

from gud.errors import InputError


def resolve_precision(setting: str, device: torch.device) -> str:
    """`auto` is bfloat16 where the device computes in it, else float32."""
    if setting != "auto":
        return setting
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        names = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
        native = any(getattr(torch.cpu, name, bool)() for name in names)
    return "bfloat16" if native else "float32"


def resolve_device(name: str | None, local_rank: int | None = None) -> torch.device:
    """The device called `name`, by default a GPU if there is one.

    Args:
        name: "cpu", "cuda" or None.
        local_rank: number of this process among those of the machine, each with a GPU of its own:
            the GPU of that number, or the only one that the process sees.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device; use --device cpu")
    device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
    if device.type == "cuda" and local_rank is not None:
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return device
