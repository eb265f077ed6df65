"""The variance-preserving process of the paper."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from gud.diffusion.noising import NoisingState
from gud.diffusion.processes.matrices import Matrix, Reduced, State
from gud.diffusion.processes.process import Process


class OrnsteinUhlenbeck(Process):
    """The variance-preserving process of equation 13: A = -1/2, B = 1, prior N(0, 1)."""

    k = draws = 1
    drift = ((-0.5,),)
    diffusion = ((1.0,),)
    prior = ((1.0,),)

    def transition(self, state: NoisingState) -> Matrix:
        return state.alpha[:, None, None]

    def factor(self, state: NoisingState) -> Matrix:
        return state.sigma[:, None, None]

    def inverse_factor(self, state: NoisingState) -> Matrix:
        return 1 / state.sigma[:, None, None]

    def advance(self, z: State, elapsed: Float[Tensor, "batch components"], noise: State) -> State:
        return self.perturb(z, NoisingState.at_rest(elapsed.expm1().log()), noise)

    def project(self, z: State, state: NoisingState) -> tuple[Reduced, NoisingState]:
        return z, state

    def noise_level(self, state: NoisingState) -> Float[Tensor, "batch components"]:
        return state.gamma

    def divergence_rate(
        self, error: State, state: NoisingState
    ) -> Float[Tensor, "batch components"]:
        return state.d_gamma_dt * error.square().sum((1, 2)) / 2

    def project_noise(self, noise: State, state: NoisingState) -> Reduced:
        return noise

    def lift(self, noise: Reduced, z: State, state: NoisingState) -> State:
        return noise

    def drop(self, noise: State, z: State, state: NoisingState) -> Reduced:
        return noise

    def carry(self, z: State, now: NoisingState, reduced: Reduced, after: NoisingState) -> State:
        return reduced

    def log_decoding(self, noise: State, state: NoisingState) -> Float[Tensor, " batch"]:
        return state.alpha.log().sum(1) * noise.shape[2]
