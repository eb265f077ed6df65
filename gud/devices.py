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


def resolve_device(name: str | None) -> torch.device:
    """The device called `name`, by default a GPU if there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: this machine has no CUDA device; use --device cpu")
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
