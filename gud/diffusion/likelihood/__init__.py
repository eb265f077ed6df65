"""Likelihoods: the probability-flow ODE, bounds, and bits/dim of images (App. B)."""

from gud.diffusion.likelihood.bits import bits_per_dim as bits_per_dim
from gud.diffusion.likelihood.bits import prior_log_prob as prior_log_prob
from gud.diffusion.likelihood.bound import draw_auxiliary as draw_auxiliary
from gud.diffusion.likelihood.bound import noise_data as noise_data
from gud.diffusion.likelihood.flow import LikelihoodEstimates as LikelihoodEstimates
from gud.diffusion.likelihood.flow import log_likelihood as log_likelihood
from gud.diffusion.likelihood.probes import Probes as Probes
from gud.diffusion.likelihood.probes import basis_probes as basis_probes
from gud.diffusion.likelihood.probes import orthogonal_probes as orthogonal_probes
from gud.diffusion.likelihood.variational import variational_bound as variational_bound
