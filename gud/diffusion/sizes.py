"""Which sizes of images a transform takes; without torch, so that a preset is refused early."""

from __future__ import annotations

from gud.errors import InputError


def check_levels(image_size: int, levels: int) -> None:
    """`InputError` unless images can be halved `levels` times, as a wavelet transform does."""
    if levels < 1 or image_size % 2**levels:
        raise InputError(
            f"wavelets with levels = {levels} need an image size divisible by 2^levels, "
            f"not {image_size}"
        )
