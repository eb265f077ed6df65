"""Bounds on the density of the data, where states at t = 0 hold more than data."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from gud.diffusion.processes import Process, State, per_variable
from gud.diffusion.schedules import Schedule
from gud.errors import InputError


def noise_data(
    schedule: Schedule, process: Process, z: State, noise: State
) -> tuple[State, Float[Tensor, " batch"]]:
    """States at t = 0 with the noise that the schedule prescribes there, and a bound's correction.

    The model draws z_0 from p_0 and then the data from N(chi_0, 1 / rho^2), chi_0 + noise / rho
    being all that z_0 says of them (`Process.project`). Its density obeys log p(chi) >=
    E_noise[log p_0(z_0) + correction] with z_0 drawn by the process: the correction is the
    difference of the log-densities of chi given z_0 and of z_0 given chi. For Ornstein-Uhlenbeck
    it is sum_i log alpha_i.
    """
    state = schedule(z.new_zeros(len(z)))
    return process.perturb(z, state, noise), process.log_decoding(noise, state)


def draw_auxiliary(
    process: Process, z: State, noise: State
) -> tuple[State, Float[Tensor, " batch"]]:
    """States at t = 0 of data taken as free of noise, and the correction of their bound.

    log p(chi) >= E_m0[log p_0(chi, m_0) - log N(m_0)] for the auxiliary variables m_0 as the
    process starts them (Dockhorn et al. 2022, who average the second part). Equal for k = 1, where
    there are none.

    Raises:
        InputError: variables that start at 0 have no density.
    """
    if 0 in process.start:
        raise InputError(
            f"the process starts its auxiliary variables with the variances {list(process.start)}, "
            f"and those without any have no density: take the bound with start = noised"
        )
    spread = per_variable((0.0, *process.start), z).sqrt()
    auxiliary = noise[:, 1:].double()
    entries = z[0, 0].numel() * sum(math.log(2 * math.pi * variance) for variance in process.start)
    correction = 0.5 * (auxiliary.square().flatten(1).sum(1) + entries)
    return z + spread * noise, correction
