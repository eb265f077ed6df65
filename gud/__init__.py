"""GUD: Generation with Unified Diffusion (arXiv 2410.02667).

Symbols, as in the paper, and where they live:

| symbol | meaning | place |
|---|---|---|
| phi | dequantised images in [-1, 1] | `gud.data.datasets` |
| U, S | basis and scale, chi = S^-1 U (phi - mean) | `gud.diffusion.bases` |
| Sigma_i, V_i | variance of component i: of the data; as diffused | `Representation` |
| gamma_i | log(sigma_i^2 / alpha_i^2), the noising state (17) | `gud.diffusion.noising` |
| alpha_i, sigma_i | signal factor and noise level (14) | `gud.diffusion.noising` |
| beta_i, tau_i | rate and clock of component i (13) | `gud.diffusion.noising` |
| a, r, l_i | inverse softness, ordering parameter, ordering (18-20) | `gud.diffusion.schedules` |
| eps | predicted standard noise; the score is -L^-T eps | `gud.model`, `gud.diffusion.processes` |

What users call can be imported from here, e.g. `gud.build_model`; `gud.api` says how the calls fit
together.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# ruff: noqa: F401
if TYPE_CHECKING:
    from gud.api import build_model, cross_attention, ncsnpp, noised, photographs, train
    from gud.data.datasets import load as load_images
    from gud.data.statistics import fit
    from gud.diffusion.bases import PCA, Basis, Fourier, Pixel
    from gud.diffusion.bases.wavelets import Wavelet
    from gud.diffusion.likelihood import bits_per_dim, log_likelihood
    from gud.diffusion.noising import NoisingState
    from gud.diffusion.processes import (
        CriticallyDampedLangevin,
        OrnsteinUhlenbeck,
        PhaseSpaceLangevin,
        Process,
        Recipe,
    )
    from gud.diffusion.representation import Representation, Statistics
    from gud.diffusion.samplers import SAMPLERS, Inpainting, guided, sample_ode, sample_sde
    from gud.diffusion.schedules import Reparametrised, Schedule, SoftConditioning
    from gud.diffusion.schedules.sequential import Sequential, column_schedule, wavelet_schedule
    from gud.errors import InputError
    from gud.evaluate.likelihood import image_bits, image_bound
    from gud.evaluate.samples import draw_images
    from gud.model import Model, load

_HOMES = {
    "gud.api": ["build_model", "cross_attention", "ncsnpp", "noised", "photographs", "train"],
    "gud.data.datasets": ["load_images"],
    "gud.data.statistics": ["fit"],
    "gud.diffusion.bases": ["PCA", "Basis", "Fourier", "Pixel"],
    "gud.diffusion.likelihood": ["bits_per_dim", "log_likelihood"],
    "gud.diffusion.noising": ["NoisingState"],
    "gud.diffusion.processes": [
        "CriticallyDampedLangevin",
        "OrnsteinUhlenbeck",
        "PhaseSpaceLangevin",
        "Process",
        "Recipe",
    ],
    "gud.diffusion.representation": ["Representation", "Statistics"],
    "gud.diffusion.samplers": ["SAMPLERS", "Inpainting", "guided", "sample_ode", "sample_sde"],
    "gud.diffusion.schedules": ["Reparametrised", "Schedule", "SoftConditioning"],
    "gud.diffusion.schedules.sequential": ["Sequential", "column_schedule", "wavelet_schedule"],
    "gud.diffusion.bases.wavelets": ["Wavelet"],
    "gud.errors": ["InputError"],
    "gud.evaluate.likelihood": ["image_bits", "image_bound"],
    "gud.evaluate.samples": ["draw_images"],
    "gud.model": ["Model", "load"],
}
_NAMES_THERE = {"load_images": "load"}

__all__ = sorted(name for names in _HOMES.values() for name in names)


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `gud.config` stays cheap for the workflow.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(home), _NAMES_THERE.get(name, name))
    raise AttributeError(f"module 'gud' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
