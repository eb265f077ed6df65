"""A clock for each component, along a place on the path that all components share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float64
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.schedules import Schedule
from gud.diffusion.schedules.places import Places, even_times

CELLS = 1024
"""Of the table that maps places to times."""
SOFTENING = 0.05
"""kappa of `AngleClock`."""


@dataclass(frozen=True)
class AngleClock:
    """The angle between signal and noise in each component, tan theta_i = e^(gamma_i / 2) / w_i.

    With w_i = sqrt(V_i), s_i^2 = alpha_i^2 V_i + sigma_i^2 and u = z / s, cos theta_i = alpha_i w_i
    / s_i and sin theta_i = sigma_i / s_i, and the flow of equation 25 is

        du_i / d theta_i = F_i,    F_i = (eps_i - sin theta_i u_i) / cos theta_i:

    it stands still where eps is that of a Gaussian of the variances V_i. The angle is softened to
    x_i = theta_i + kappa psi_i with d psi_i = d theta_i / cos theta_i, psi_i = asinh tan theta_i,

        du_i / dx_i = (eps_i - sin theta_i u_i) / (cos theta_i + kappa),

    so that an eps that does not tend to its Gaussian value at high noise is divided by no zero.

    The place on the path is the arc length of the readings' own scale, (cos theta_i + kappa)
    gamma_i / 2: log tan(theta_i / 2) if kappa = 0, in which networks vary evenly from the smallest
    details to the largest. It is the fourth root of the mean fourth power over the components, so
    that the few coarse ones which an ordering leaves for the end have steps enough.

    Args:
        schedule: whose path is followed from t = 0 to 1.
        variance: V_i of the components as they are diffused, shape (components,).
    """

    schedule: Schedule
    variance: Float64[Tensor, " components"]

    @cached_property
    def _places(self) -> Places:
        path = self.schedule.path
        times = even_times(path, CELLS, self.variance.device)
        gamma = path.gamma(times)
        cosine = NoisingState.at_rest((gamma[1:] + gamma[:-1]) / 2).cosine(self.variance)
        steps = (gamma.diff(dim=0) / 2 * (cosine + SOFTENING)).pow(4).mean(1).pow(1 / 4)
        return Places.after(times, steps)

    @property
    def length(self) -> float:
        """The place of t = 1; that of t = 0 is 0."""
        return float(self._places.reached[-1])

    def time(self, place: Float64[Tensor, "*rows"]) -> Float64[Tensor, "*rows"]:
        return self._places.time(place)

    def state(self, place: Float64[Tensor, " rows"]) -> NoisingState:
        return self.schedule.path(self.time(place))

    def readings(self, place: Float64[Tensor, "*rows"]) -> Float64[Tensor, "*rows components"]:
        """x_i, up to a constant."""
        tangent = self.state(place.flatten()).tangent(self.variance)
        x = tangent.atan() + SOFTENING * tangent.asinh()
        return x.unflatten(0, place.shape)
