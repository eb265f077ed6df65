"""Endless strips of image by a sliding window over the column-wise schedule (App. C).

The front of the columns being denoised moves by one column in a time dt = b / (L - 1). Denoising a
window from t to t - k dt therefore leaves column i in the state that column i - k had at t: once
the first k columns are cut off and k columns of prior noise are appended, the window is at time t
again. App. C prints t + k dt, but denoising lowers t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Process, State
from gud.diffusion.samplers import (
    Denoiser,
    EulerMaruyama,
    Progress,
    Stepwise,
    sample_sde,
)
from gud.diffusion.schedules.sequential import Sequential
from gud.errors import InputError
from gud.randomness import ImageStreams

EULER_MARUYAMA = EulerMaruyama()
ROUNDING = 1e-9
"""Times that differ by less are taken as equal."""


@dataclass(frozen=True)
class SlidingWindow:
    """A window of L columns that is denoised from `time` to `end` and then moves by `shift`.

    Args:
        schedule: of equation 21 over the L columns.
        columns: L.
        shift: k, how many columns leave and enter at once.
        time: t, when the last k columns are still pure noise.
    """

    schedule: Sequential
    columns: int
    shift: int
    time: float

    @property
    def end(self) -> float:
        """t - k dt, when the first k columns leave."""
        return max(0.0, self.time - self.shift * (1 - self.schedule.width) / (self.columns - 1))

    def evaluations(self, windows: int, steps_per_unit: float) -> int:
        """Network evaluations of a strip by `generate_strips`, but for those of `clean`."""
        times = [(1.0, self.time)] if self.time < 1 else []
        times += [(self.time, self.end)] * (windows - 1) + [(self.time, 0.0)]
        return sum(steps_between(start, end, steps_per_unit) for start, end in times)

    def positions(self, windows: int) -> Int64[Tensor, " windows"]:
        """Columns of the strip at which the windows begin; each but the first is a seam."""
        return self.shift * torch.arange(windows)


def steps_between(start: float, end: float, per_unit: float) -> int:
    """Steps from one time down to another, at least one."""
    return max(1, math.ceil((start - end) * per_unit - ROUNDING))


def sliding_window(
    schedule: Sequential, columns: int, shift: int, time: float | None, residual: float
) -> SlidingWindow:
    """A window that returns to the state of time t; `InputError` if there is none.

    The last k columns are pure noise at t from 1 - b + (k - 1) dt on. The first k columns are clean
    at t - k dt up to t = L dt; so k <= L + 1 - (1 - b) / dt, or b >= (L - 1) / (2 L - k). Where
    sigma <= residual counts as clean, the latest t is later.

    Args:
        time: t, by default the middle of the times at which both hold exactly or, if there is none,
            the one that leaves least noise.
        residual: largest sigma of a column that is cut off; 0 accepts the end of its ramp alone.
    """
    b = 1 - schedule.width
    if not 1 <= shift < columns:
        raise InputError(
            f"strip.shift = {shift} must lie in [1, {columns - 1}] for {columns} columns"
        )
    if not b > 0:
        raise InputError("strips need parameter b > 0: at b = 0 all columns are noised at once")
    dt = b / (columns - 1)
    limit = math.log(residual**2 / (1 - residual**2)) if residual else -math.inf
    slope = (schedule.gamma_max - schedule.gamma_min) / schedule.width
    slack = max(0.0, limit - schedule.gamma_min) / slope
    first = max(schedule.width + (shift - 1) * dt, shift * dt)
    exact = min(1.0, columns * dt)
    last = min(1.0, columns * dt + slack)
    if first > last + ROUNDING:
        raise InputError(
            f"strip.shift = {shift} at b = {b:g} on {columns} columns leaves noise in the columns "
            f"that are cut off; it needs b >= {(columns - 1) / (2 * columns - shift):.4g}, a shift "
            f"of at most {math.floor(columns + 1 - schedule.width / dt + ROUNDING)}, or a larger "
            f"strip.residual than {residual:g}"
        )
    if time is None:
        time = (first + max(first, exact)) / 2
    if not first - ROUNDING <= time <= last + ROUNDING:
        raise InputError(
            f"strip.time = {time:g} must lie in [{first:.6g}, {last:.6g}] for shift {shift} at "
            f"b = {b:g} on {columns} columns"
        )
    return SlidingWindow(schedule, columns, shift, min(time, 1.0))


@dataclass(frozen=True)
class Strips:
    """Strips, and a look into their making.

    Args:
        images: phi, not clipped.
        snapshot: z + mean of window number windows // 2 at its time t.
    """

    images: Float[Tensor, "batch channels height width"]
    snapshot: Float[Tensor, "batch channels height columns"]


@torch.no_grad()
def generate_strips(
    denoiser: Denoiser,
    window: SlidingWindow,
    process: Process,
    mean: Float[Tensor, "channels height columns"],
    z: State,
    steps: ImageStreams,
    fresh: ImageStreams,
    *,
    windows: int,
    steps_per_unit: float,
    method: Stepwise = EULER_MARUYAMA,
    progress: Progress = iter,
) -> Strips:
    """Draw strips L + (windows - 1) k columns wide; one window is an ordinary image.

    Args:
        mean: mean image of the training set; components are pixels of images less that mean.
        z: draws from the prior, components in the order of `mean`.
        steps: noise of the sampler's steps.
        fresh: noise of the columns that are appended.
        steps_per_unit: network evaluations for a unit of time.
        method: of the steps.
    """
    schedule, shift, grid = window.schedule, window.shift, tuple(mean.shape[1:])
    mean = mean.to(z)

    def denoise(z: State, start: float, end: float, last: bool = False) -> State:
        return sample_sde(
            denoiser,
            schedule,
            process,
            z,
            steps,
            method=method,
            steps=steps_between(start, end, steps_per_unit),
            start=start,
            end=end,
            noise_free_last_step=last,
        )

    def phi(z: State) -> Float[Tensor, "batch channels height columns"]:
        return z[:, 0].unflatten(-1, grid) + mean

    if window.time < 1:
        z = denoise(z, 1.0, window.time)
    parts, snapshot = [], phi(z)
    for number in progress(range(1, windows)):
        z = denoise(z, window.time, window.end)
        parts.append(phi(clean(denoiser, window, process, z))[..., :shift])
        noise = fresh.normal((*z.shape[1:3], grid[0] * shift))
        z = slide(window, process, mean, z, process.prior_sample(noise))
        snapshot = phi(z) if number == windows // 2 else snapshot
    parts.append(phi(denoise(z, window.time, 0.0, last=True)))
    return Strips(torch.cat(parts, -1), snapshot)


def slide(
    window: SlidingWindow,
    process: Process,
    mean: Float[Tensor, "channels height columns"],
    z: State,
    noise: Float[Tensor, "batch k channels fresh"],
) -> State:
    """Drop the first columns of a window at its end and append columns of noise: time t again.

    Components are relative to the mean image, so that a column which moves from i + k to i gains
    its old mean and loses its new one, as far as signal is left in it.
    """
    shift, grid = window.shift, tuple(mean.shape[1:])
    transition = process.transition(_state(window, z))[:, :, 0].to(z).unflatten(-1, grid)
    moved = mean[..., shift:] - mean[..., :-shift]
    kept = z.unflatten(-1, grid)[..., shift:] + transition[:, :, None, :, shift:] * moved.to(z)
    return torch.cat([kept, noise.to(z).unflatten(-1, (grid[0], shift))], -1).flatten(-2)


def clean(denoiser: Denoiser, window: SlidingWindow, process: Process, z: State) -> State:
    """z at the window's end, with E[z(0) | z] in place of noise left in the columns to be cut off.

    Costs one network evaluation where there is such noise, else none.
    """
    state = _state(window, z)
    noisy = state.gamma > window.schedule.gamma_min + 1e-6
    if not noisy.unflatten(-1, (-1, window.columns))[..., : window.shift].any():
        return z
    signal = process.transition(state)[:, :1, 0].to(z).unsqueeze(2)
    noise = process.perturb(torch.zeros_like(z), state, denoiser(z, state))
    return torch.where(noisy[:, None, None], (z - noise) / signal, z)


def _state(window: SlidingWindow, z: State) -> NoisingState:
    """The noising state of a batch of windows at their end."""
    end = torch.tensor(window.end, dtype=torch.float64, device=z.device)
    return window.schedule(end.expand(len(z)))
