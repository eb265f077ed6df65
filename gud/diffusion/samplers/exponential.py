"""Exponential integrators in each component's own signal-to-noise ratio, exact for Gaussian data.

With s_i^2 = alpha_i^2 V_i + sigma_i^2, u_i = z_i / s_i and tan theta_i = sigma_i / (alpha_i sqrt
V_i), write the predicted noise as eps_i = sin theta_i u_i + cos theta_i F_i: independent Gaussian
components of the variances V_i have F = 0. Then the probability-flow ODE (25) and the reverse SDE
(9) of the variance-preserving process are

    du_i = F_i dtheta_i,
    du_i = (2 F_i + tan theta_i u_i) dtheta_i + sqrt(2 tan theta_i |dtheta_i|) noise,

dtheta_i < 0. Here all is solved exactly but for F, which is extrapolated by a polynomial through
its last values: for F constant over a step from theta to theta',

    u' = u - (theta - theta') F,
    u' = rho u - 2 (sin theta - sin theta') / cos theta' F + sqrt(1 - rho^2) noise,

rho = cos theta / cos theta'. Each component may follow either, whatever the others do: with the
exact score both give it the same distribution. By few steps the SDE of a component that is nearly
noise errs most: a mixed method follows the flow down to an angle, and the SDE below.

The families are those of DEIS (Zhang and Chen 2023), DPM-Solver++ (Lu et al. 2022), SEEDS (Gonzalez
et al. 2023) and SA-Solver (Xue et al. 2023), for a vector of gamma and corrected for the Gaussian
part. The polynomial is one in the mean angle, in which a component that is at rest is no exception,
and no kink of a schedule needs a point of its own: what a component does with F counts by the exact
increments of its own angle. As F is 0 in pure noise, where theta = pi / 2, a schedule that starts a
step or so from there knows two values at once.

On a mixture of Gaussians one value of F gives the first order, two the second (of the SDE, the weak
second), and three a much smaller error of the second, which the start and the kinks leave; two, and
three for the corrector, as in UniPC (Zhao et al. 2023), give the third. States of several variables
are moved in what `Process.project` takes of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gud.diffusion.processes import Reduced
from gud.diffusion.samplers.projected import Projected
from gud.diffusion.samplers.sampler import Noise
from gud.diffusion.samplers.stepwise import Memory, Stretch

PARTS = 16
"""Of a step, on each of which the polynomial in the integral takes its value in the middle."""

FARTHEST = 2.0
"""Of an extrapolation, in distances of the values that it is made from."""

Angles = Float[Tensor, "points components"]


@dataclass(frozen=True)
class Exponential(Projected):
    """Multistep exponential integrators of the flow, of the SDE, or of one after the other.

    A step that is to add no noise follows the flow, and so keeps the variances of Gaussian data;
    the step to clean data takes F as constant.

    Args:
        order: how many values of F the polynomial of a step goes through.
        stochastic_below: the angle at the beginning of a step below which a component follows the
            SDE, and from which on the flow: 0 for the flow alone, infinity for the SDE alone.
        corrector: how many values of F the polynomial goes through by which a step is taken again
            as soon as F is known at its end (PEC mode: F is not evaluated again); 0 for none.
    """

    order: int
    stochastic_below: float = 0.0
    corrector: int = 0

    def move(
        self, stretch: Stretch, z: Reduced, noise: Noise | None, memory: Memory
    ) -> tuple[Reduced, Memory]:
        variance = stretch.reverse.variance
        path = stretch.path(PARTS)
        theta, s = path.angle(variance), path.variance(variance).sqrt()
        sine, cosine = theta.sin(), theta.cos()

        eps = stretch.reverse.denoiser(z, stretch.now(z))
        deviation = (eps - (sine[0] / s[0]).to(z) * z) / cosine[0].to(z)
        known = (deviation, *(memory or (torch.zeros_like(z),)))
        if self.corrector and stretch.number:
            z = z + s[0].to(z) * self._correction(stretch.before, known)

        stochastic = theta[0] < (self.stochastic_below if noise else 0.0)
        rho = torch.where(stochastic, cosine[0] / cosine[-1], 1.0)
        u = (rho / s[0]).to(z) * z
        values = known[: 1 if stretch.clean else self.order]
        for change in changes(stretch, values, stretch.number, stochastic):
            u = u - change
        if noise and self.stochastic_below:
            # 1 - rho^2, without its cancellation.
            fresh = (theta[0] - theta[-1]).sin() * (theta[0] + theta[-1]).sin()
            u = u + torch.where(stochastic, fresh.sqrt() / cosine[-1], 0.0).to(z) * noise(z)
        kept = max(self.order, self.corrector - 1) if self.corrector else self.order - 1
        return s[-1].to(z) * u, known[:kept]

    def _correction(self, before: Stretch, known: Memory) -> Reduced:
        """Of u at the end of a stretch, where the first of the values of F was found."""
        predicted, corrected = known[1:][: self.order], known[: self.corrector]
        stochastic = before.path(1).angle(before.reverse.variance)[0] < self.stochastic_below
        correction = torch.zeros_like(known[0])
        for change in changes(before, predicted, before.number, stochastic):
            correction = correction + change
        for change in changes(before, corrected, before.number + 1, stochastic):
            correction = correction - change
        return correction


def changes(
    stretch: Stretch, values: Memory, newest: int, stochastic: Bool[Tensor, " components"]
) -> Iterator[Reduced]:
    """The integral of F over a stretch, term by term of Newton's polynomial through its values.

    Args:
        values: at times[newest], times[newest - 1], ...; one that is left was in pure noise.
        stochastic: the components that follow the SDE, not the flow.
    """
    variance = stretch.reverse.variance
    theta = stretch.path(PARTS).angle(variance)
    measure = torch.where(stochastic, 2 * theta.sin() / theta[-1].cos(), theta)
    passed = stretch.times[: newest + 1].flip(0)[: len(values)]
    nodes = stretch.reverse.schedule(passed).angle(variance).mean(1)
    nodes = torch.cat([nodes, nodes.new_full((len(values) - len(nodes),), torch.pi / 2)])
    length = (theta[0] - theta[-1]).mean()
    differences = divided_differences(values, nodes, length)
    for weight, difference in zip(integrals(theta, measure, nodes), differences, strict=True):
        yield weight.to(difference) * difference


def integrals(
    theta: Angles, measure: Angles, nodes: Float[Tensor, " order"]
) -> list[Float[Tensor, " components"]]:
    """Of Newton's polynomials 1, x - x_0, (x - x_0) (x - x_1), ... along a path of angles.

    x is the mean angle; the integral of 1 is exact.

    Args:
        theta: along the path.
        measure: what is integrated over, for each component.
        nodes: x_0, x_1, ...
    """
    x = theta.mean(1, keepdim=True)
    middle, increment = (x[1:] + x[:-1]) / 2, measure[:-1] - measure[1:]
    found = []
    for node in nodes:
        found.append(increment.sum(0))
        increment = increment * (middle - node)
    return found


def divided_differences(
    values: Memory, nodes: Float[Tensor, " order"], length: Float[Tensor, ""]
) -> list[Reduced]:
    """Newton's f[x_0], f[x_0, x_1], ..., for a step of this length.

    Where the step is `FARTHEST` times what lies between two nodes, their values are taken as equal:
    errors of a network would be extrapolated too far.
    """
    found, row = [], list(values)
    for level in range(1, len(values) + 1):
        found.append(row[0])
        gaps = nodes[:-level] - nodes[level:]
        too_far = length.abs() >= FARTHEST * gaps.abs()
        slopes = torch.where(too_far, 0.0, 1 / gaps).to(row[0])
        row = [slope * (a - b) for slope, a, b in zip(slopes, row, row[1:], strict=False)]
    return found
