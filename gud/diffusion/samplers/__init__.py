"""Samplers of the reverse process: the abstract `Sampler`, then one file a method; their grids."""

import math

from gud.diffusion.samplers.ancestral import Ancestral as Ancestral
from gud.diffusion.samplers.conditional import Inpainting as Inpainting
from gud.diffusion.samplers.conditional import LogLikelihood as LogLikelihood
from gud.diffusion.samplers.conditional import guided as guided
from gud.diffusion.samplers.euler_maruyama import EulerMaruyama as EulerMaruyama
from gud.diffusion.samplers.exponential import Exponential as Exponential
from gud.diffusion.samplers.grids import GRIDS as GRIDS
from gud.diffusion.samplers.ode import FlowODE as FlowODE
from gud.diffusion.samplers.ode import sample_ode as sample_ode
from gud.diffusion.samplers.sampler import Denoiser as Denoiser
from gud.diffusion.samplers.sampler import Noise as Noise
from gud.diffusion.samplers.sampler import Options as Options
from gud.diffusion.samplers.sampler import Progress as Progress
from gud.diffusion.samplers.sampler import ReverseProcess as ReverseProcess
from gud.diffusion.samplers.sampler import Sampler as Sampler
from gud.diffusion.samplers.splitting import SymmetricSplitting as SymmetricSplitting
from gud.diffusion.samplers.stepwise import Stepwise as Stepwise
from gud.diffusion.samplers.stepwise import noise_of as noise_of
from gud.diffusion.samplers.stepwise import sample_sde as sample_sde

SAMPLERS: dict[str, Sampler] = {
    "euler_maruyama": EulerMaruyama(),
    "ancestral": Ancestral(),
    "exponential_ode1": Exponential(order=1),
    "exponential_ode2": Exponential(order=2),
    "exponential_ode3": Exponential(order=3),
    "exponential_sde1": Exponential(order=1, stochastic_below=math.inf),
    "exponential_sde2": Exponential(order=2, stochastic_below=math.inf),
    "exponential_sde3": Exponential(order=3, stochastic_below=math.inf),
    "exponential_mixed2": Exponential(order=2, stochastic_below=1.2),
    "corrected_ode3": Exponential(order=2, corrector=3),
    "sscs": SymmetricSplitting(order=1),
    "sscs2": SymmetricSplitting(order=2),
    "ode": FlowODE(),
}
"""By the name that presets give."""
