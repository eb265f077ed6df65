"""A device that only pretends to be a GPU: real numbers, on the CPU, that report `cuda:0`.

It refuses what CUDA refuses (operands on several devices, a generator of another device) and counts
the copies between the devices. Underneath, PyTorch takes its tensors for those of the device meta,
whose device guard does nothing and whose gradients are computed in the thread that asks for them.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map_only

aten = torch.ops.aten
GPU = torch.device("cuda:0")
CPU = torch.device("cpu")
TENSOR = torch.tensor
BOOKED = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default}
"""Operations that CUDA lets have indices on the host, which it copies."""


class Pretended(torch.Tensor):
    """A tensor on the pretended GPU; `held` are its numbers."""

    held: torch.Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Pretended:
        self = torch.Tensor._make_wrapper_subclass(
            cls,
            held.shape,
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="meta",
        )
        self.held = held
        return self

    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    def new_tensor(self, data: Any, *, dtype: torch.dtype | None = None) -> torch.Tensor:
        return TENSOR(data, dtype=dtype or self.dtype).to(GPU)

    def __getitem__(self, index: Any) -> torch.Tensor:
        return super().__getitem__(TENSOR(index).to(GPU) if isinstance(index, list) else index)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:
        return f"Pretended({self.held!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        copy = self.detach().clone().requires_grad_(self.requires_grad)
        if isinstance(self, torch.nn.Parameter):
            copy = torch.nn.Parameter(copy, self.requires_grad)
        memo[id(self)] = copy
        return copy

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} outside of `pretending()`")


class Generator(torch.Generator):
    """A generator that may be the pretended GPU's."""

    pretended: dict[int, Generator] = {}
    """Those of the pretended GPU, by the address of what an operation is given in their place."""

    def __new__(cls, device: Any = "cpu") -> Generator:
        self = super().__new__(cls, "cpu")
        if torch.device(device).type == "cuda":
            cls.pretended[self._cdata] = self
        return self

    @property
    def device(self) -> torch.device:
        return GPU if self._cdata in self.pretended else CPU


def tensor(data: Any, *, device: Any = None, **options: Any) -> torch.Tensor:
    """`torch.tensor` and `torch.as_tensor`, whose copies no dispatch mode sees."""
    if isinstance(data, torch.Tensor):
        return data.to(device=device, **options)
    made = TENSOR(data, **options)
    return made if device is None else made.to(device)


def pin_memory(self: torch.Tensor) -> torch.Tensor:
    pinned = self.clone()
    pinned.pinned = True  # type: ignore[attr-defined]
    return pinned


class Pretence(TorchDispatchMode):
    """Computes on the CPU what is asked of the GPU; `copies` counts those between the two.

    A copy waits for the GPU, unless it is from pinned memory and need not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.copies: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)]
        there = [t for t in tensors if isinstance(t, Pretended)]
        assert not any(t.is_meta for t in tensors), f"{func} was given a tensor without numbers"
        asked = kwargs.get("device")
        if asked is not None:
            target = CPU if torch.device(asked).type == "cpu" else GPU
            kwargs["device"] = CPU
        else:
            target = GPU if there else CPU
        if func is aten._local_scalar_dense.default and there:
            self.copies["to host"] += 1
            target = CPU
        elif func in (aten._to_copy.default, aten.copy_.default):
            source = args[1] if func is aten.copy_.default else args[0]
            if func is aten.copy_.default:
                target = GPU if isinstance(args[0], Pretended) else CPU
            if isinstance(source, Pretended) != (target == GPU):
                way = "to device" if target == GPU else "to host"
                waits = not (kwargs.get("non_blocking") and getattr(source, "pinned", False))
                self.copies[way if waits else f"{way}, no waiting"] += 1
        elif there:
            self._check(func, tensors)
        stream = kwargs.get("generator")
        if stream is not None and (stream._cdata in Generator.pretended) != (target == GPU):
            raise RuntimeError(f"the generator given to {func} is not one of {target}")
        held = tree_map_only(Pretended, lambda t: t.held, (args, kwargs))
        result = func(*held[0], **held[1])
        if target == CPU:
            return result
        # What an operation in place returns is its argument.
        same = {id(t.held): t for t in there}
        return tree_map_only(
            torch.Tensor, lambda t: same.get(id(t)) if id(t) in same else Pretended(t), result
        )

    def _check(self, func: Any, tensors: list[torch.Tensor]) -> None:
        for tensor in tensors:
            if not isinstance(tensor, Pretended) and tensor.dim():
                if func in BOOKED and not tensor.dtype.is_floating_point:
                    self.copies["to device"] += 1
                    continue
                raise RuntimeError(
                    f"Expected all tensors to be on the same device, but found at least two "
                    f"devices, cuda:0 and cpu! ({func})"
                )


def stub_device_guard() -> None:
    """Give CUDA the guard that does nothing, as PyTorch does where CUDA counts no devices.

    Where PyTorch was built without CUDA there is no guard to ask: one that says 0 to everything.
    """
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib/libc10.so"))
    guards = (ctypes.c_void_p * 2).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    nothing = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 0)
    methods = (ctypes.c_void_p * 64)(*[ctypes.cast(nothing, ctypes.c_void_p)] * 64)
    guard = (ctypes.c_void_p * 1)(ctypes.addressof(methods))
    if not guards[1]:  # c10::DeviceType::CUDA
        guards[1] = ctypes.addressof(guard)
    torch._C._ensureCUDADeviceGuardSet()
    assert guards[1] != ctypes.addressof(guard)


@contextlib.contextmanager
def pretending() -> Iterator[Pretence]:
    """Pretend that there is one GPU, `cuda:0`, as long as the block runs."""
    before = {
        (torch.cuda, "_lazy_init"): lambda: None,
        (torch.cuda, "is_available"): lambda: True,
        (torch.cuda, "device_count"): lambda: 1,
        (torch.cuda, "get_device_name"): lambda: "pretended GPU",
        (torch.cuda, "manual_seed_all"): lambda seed: None,
        (torch.Tensor, "pin_memory"): pin_memory,
        (torch, "Generator"): Generator,
        (torch, "tensor"): tensor,
        (torch, "as_tensor"): tensor,
    }
    saved = {key: getattr(*key) for key in before}
    for (module, name), value in before.items():
        setattr(module, name, value)
    stub_device_guard()
    # Otherwise modules would keep their parameters' class when they move.
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with Pretence() as pretence:
            yield pretence
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        for (module, name), value in saved.items():
            setattr(module, name, value)
        Generator.pretended.clear()
