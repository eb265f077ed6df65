"""A clock that gives every process the same meaning of gamma: equal signal-to-noise ratios.

What the state z = m chi + L eps of a component says of its data is said by one number, the best
linear combination of its k variables, m^T (L L^T)^-1 z, whose signal-to-noise ratio for data of
unit variance is

    exp(-gamma) = m^T (L L^T)^-1 m,    d exp(-gamma) / dtau = -|B^T (L L^T)^-1 m|^2 <= 0.

It falls with the clock for every process, since noise takes information away, and goes from
infinity to 0: each gamma has its tau. For Ornstein-Uhlenbeck it is alpha^2 / sigma^2.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes.matrices import apply, cholesky, inverse_lower, linear
from gud.diffusion.processes.moments import moments, with_start
from gud.errors import InputError

if TYPE_CHECKING:
    from gud.diffusion.processes.recipe import Recipe

POINTS = 4096
EARLIEST = 30.0
"""-gamma at about the first clock of the table; before it, gamma is linear in log tau."""
LONGEST = 60.0
"""Slowest decay times the last clock of the table."""

Gamma = Float[Tensor, "batch components"]


class MatchedClock:
    """tau(gamma) of a process: log tau by cubic Hermite interpolation, to about 1e-11.

    Raises:
        InputError: gamma stands still while the process runs.
    """

    def __init__(self, process: Recipe) -> None:
        self.process = process
        slowest = -float(np.linalg.eigvals(np.array(process.drift)).real.max())
        # exp(-gamma) begins as tau^-1 if the data have noise of their own, as tau^-3 if it has to
        # pass through one auxiliary variable, and so on.
        first = -EARLIEST / (2 * process.silent + 1)
        self.ends = first, math.log(LONGEST / slowest)
        self._table = functools.lru_cache(self._compute_table)
        if not (self._table(torch.device("cpu"))[2] < 1e3).all():
            raise InputError(
                "clock: snr needs a process whose signal-to-noise ratio never stands still, as it "
                "does for some that swing; take clock: own"
            )

    def tau(self, gamma: Gamma) -> Gamma:
        """The clock at which the signal-to-noise ratio is exp(-gamma); 0 for gamma = -inf."""
        return self._log_tau(gamma)[0].exp()

    def d_tau_d_gamma(self, gamma: Gamma) -> Gamma:
        """Its derivative."""
        log_tau, slope = self._log_tau(gamma)
        return log_tau.exp() * slope

    def _log_tau(self, gamma: Gamma) -> tuple[Gamma, Gamma]:
        """log tau and its derivative with respect to gamma."""
        gammas, log_tau, slopes = self._table(gamma.device)
        inside = gamma.clamp(gammas[0], gammas[-1])
        right = torch.searchsorted(gammas, inside.contiguous()).clamp(1, POINTS - 1)
        left = right - 1
        width = gammas[right] - gammas[left]
        x = (inside - gammas[left]) / width
        rise = log_tau[right] - log_tau[left]
        start, end = slopes[left] * width, slopes[right] * width
        bend = start + end - 2 * rise
        value = log_tau[left] + x * (start + x * (rise - start - bend + x * bend))
        slope = (start + x * (2 * (rise - start - bend) + 3 * x * bend)) / width
        return value + (gamma - inside) * slope, slope

    def _compute_table(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """gamma, log tau and its derivative with respect to gamma, at equal steps of log tau."""
        log_tau = torch.linspace(*self.ends, POINTS, dtype=torch.float64, device=device)
        gamma, tau_loss = self.noise_level(log_tau.exp()[None])
        return gamma[0], log_tau, 1 / (log_tau.exp() * tau_loss[0])

    def noise_level(self, tau: Gamma) -> tuple[Gamma, Gamma]:
        """gamma(tau) and its derivative."""
        process = self.process
        transition, noise = moments(process.drift, process.power, tau)
        inverse = inverse_lower(cholesky(with_start(transition, noise, process.start)))
        # The signal as seen beside white noise, L^-1 m, and (L L^T)^-1 m.
        signal = apply(inverse, transition[:, :, 0, None])
        dual = apply(inverse.transpose(1, 2), signal)
        snr = signal.square().sum((1, 2))
        loss = (dual * linear(process.power, dual)).sum((1, 2))
        return -snr.log(), loss / snr
