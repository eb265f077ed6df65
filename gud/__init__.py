"""GUD: Generation with Unified Diffusion (arXiv 2410.02667).

Symbols, as in the paper, and where they live:

| symbol | meaning | place |
|---|---|---|
| phi | dequantised images in [-1, 1] | `gud.data` |
| U, S | basis and scale, chi = S^-1 U (phi - mean) | `gud.bases`, `gud.representation` |
| Sigma_i, V_i | variance of component i: of the data; as diffused | `Representation` |
| gamma_i | log(sigma_i^2 / alpha_i^2), the noising state (17) | `gud.noising` |
| alpha_i, sigma_i | signal factor and noise level (14) | `gud.noising` |
| beta_i, tau_i | rate and clock of component i (13) | `gud.noising` |
| a, r, l_i | inverse softness, ordering parameter, ordering (18-20) | `gud.schedules` |
| eps | predicted standard noise; the score is -L^-T eps | `gud.model`, `gud.processes` |
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gud.model import load
    from gud.nll import image_bits
    from gud.sample import draw_images

__all__ = ["draw_images", "image_bits", "load"]
_HOMES = {"load": "gud.model", "image_bits": "gud.nll", "draw_images": "gud.sample"}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `gud.settings` stays cheap for the workflow.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gud' has no attribute {name!r}")
