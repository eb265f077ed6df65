"""A diffusion model: representation, schedule family, process and network, in one file on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gud.config.sections.model import ModelSettings
from gud.config.sections.validation import validate
from gud.diffusion.dequantisation import dequantise, quantise
from gud.diffusion.noising import NoisingState
from gud.diffusion.processes import Draws, State, per_component
from gud.diffusion.representation import Representation, Statistics
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.networks import build_network
from gud.provenance import atomic
from gud.randomness import Stream

UNREADABLE = (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError)
PRECISION = torch.float32
"""Of images, components and weights. Noising states are computed in double precision."""


class Model(nn.Module):
    """Four independent choices and a trained network.

    Args:
        settings: of the choices and the network.
        statistics: of the training set, from `gud.data.statistics.fit`.

    Attributes:
        representation: images <-> components.
        process: what happens to a component as its clock runs.
        network: predicts the noise in image space (App. B).
    """

    def __init__(self, settings: ModelSettings, statistics: Statistics):
        super().__init__()
        self.settings = settings
        channels, image_size, _ = statistics.mean.shape
        self.representation = Representation(
            settings.basis.of(statistics, PRECISION),
            statistics,
            settings.prior == "variance_matching",
            PRECISION,
        )
        self.process = settings.process.build()
        projected = settings.preconditioning == "gaussian"
        self.network = build_network(
            settings.network,
            image_size=image_size,
            in_channels=channels * (1 if projected else self.process.k),
            out_channels=channels * (1 if projected else self.process.k - self.process.silent),
            labels=self.representation.labels,
        )

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Shape (k, channels, components) of the state of one image."""
        statistics = self.representation.statistics
        return self.process.k, len(statistics.mean), len(statistics.variance)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of the images that the model is of."""
        channels, height, width = self.representation.statistics.mean.shape
        return channels, height, width

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def draws_shape(self) -> tuple[int, int, int]:
        """Shape (draws, channels, components) of the noise of one training example."""
        return self.process.draws, *self.state_shape[1:]

    def schedule(self, **parameters: float) -> Schedule:
        """The schedule of the model's family at the given parameters, e.g. a=1.0, r=0.0.

        Raises:
            InputError: the parameters are no such, or outside what the model is trained for.
        """
        family = self.settings.schedule
        if what := family.outside(parameters):
            raise InputError(f"the model was asked for {what}")
        return family.build(self.representation, parameters)

    def eps(self, z: State, state: NoisingState) -> State:
        """Predicted noise of a noised state, shape (batch, k, channels, components).

        The network F sees an image and gives one: locality and shifts are those of images (App. B).
        `network_space` says where, whatever the prior: there the data have the standard deviations
        w_i, sqrt(Sigma_i) for `image` and 1 for `whitened`, which are sqrt(V_i) as they are
        diffused. With `preconditioning: none`

            x = U^T w z / sqrt(V),    eps_i = sqrt(V_i) / w_i (U F(x))_i,

        that is x = U^T S z for `image`, the noised original image, and x = U^T Sigma^-1/2 S z for
        `whitened`; one of the two is U^T z. F gives the noise of the image that it sees. Of a state
        of k numbers F sees k images, all scaled alike, and gives the noise of those numbers that
        have some of their own; that of the others is left at 0.

        With `gaussian`, the preconditioning of Karras et al. 2022 component by component, the
        network adds to the prediction of independent Gaussian components of the variances V_i.
        Below, z and its noise are for k > 1 those of `Process.project`, the one combination of the
        k numbers that says something of the data: F solves the problem of Ornstein-Uhlenbeck for
        every process. With s_i^2 = alpha_i^2 V_i + sigma_i^2, cos theta_i = alpha_i sqrt(V_i) / s_i
        and sin theta_i = sigma_i / s_i,

            x = U^T w cos theta z / (s c),
            eps_i = sin theta_i z_i / s_i + cos theta_i (U F(x))_i,

        where c^2 is the mean of w_i^2 cos^2 theta_i: the network sees the data that a Gaussian
        expects, at unit variance, and predicts cos theta_i eps_i - sin theta_i chi_i / sqrt(V_i),
        of unit variance in every component (the v of Salimans and Ho 2022 if V_i = 1). The prior
        enters through theta_i alone, that is through the signal-to-noise ratio tan^-2 theta_i, and
        through gamma, which F is told.
        """
        representation = self.representation
        diffused = representation.log_variance.to(state.gamma).mul(0.5).exp()
        seen = torch.ones_like(diffused)
        if self.settings.network_space == "image":
            seen = representation.log_sigma.to(state.gamma).mul(0.5).exp()
        if self.settings.preconditioning == "none":
            scale = (seen / diffused).to(z)
            driven = self._output(scale * z, state) / scale
            return torch.cat([torch.zeros_like(z[:, : self.process.silent]), driven], 1)
        reduced, reduced_state = self.process.project(z, state)
        eps = self._eps_beyond_gaussian(reduced, reduced_state, seen, diffused)
        return self.process.lift(eps, z, state)

    def predicted(self, noise: State, state: NoisingState) -> Draws:
        """What of the noise of a state the network predicts, in components."""
        if self.settings.preconditioning == "none":
            return noise[:, self.process.silent :]
        return self.process.project_noise(noise, state)

    def _eps_beyond_gaussian(
        self, z: State, state: NoisingState, seen: Tensor, diffused: Tensor
    ) -> State:
        """`eps` of k = 1 with the preconditioning `gaussian`, from w and sqrt(V)."""
        s = state.variance(diffused.square()).sqrt()
        cosine, sine = state.alpha * diffused / s, state.sigma / s
        expected = seen * cosine
        scale = expected.square().mean(1, keepdim=True).sqrt() * s
        output = self._output(per_component(expected / scale, z) * z, state)
        return per_component(sine / s, z) * z + per_component(cosine, z) * output

    def _output(self, components: State, state: NoisingState) -> Draws:
        """The components U F(U^T components) of the network's output."""
        basis = self.representation.basis
        images = basis.inverse(components).flatten(1, 2)
        output = self.network(images, state.gamma.to(images))
        return basis.forward(output.unflatten(1, (-1, components.shape[2])))

    def encode(
        self, images: UInt8[Tensor, "batch channels height width"], seed: int = 0
    ) -> Float[Tensor, "batch channels components"]:
        """Components of 8-bit images, dequantised with noise from `seed` (App. B)."""
        draws = Stream(images.device, seed, "encode")
        return self.representation.encode(dequantise(images, draws))

    def decode(
        self, components: Float[Tensor, "batch channels components"]
    ) -> UInt8[Tensor, "batch channels height width"]:
        """8-bit images of components.

        `encode` leaves a value anywhere in the interval of its grey level: rounding in single
        precision takes about one in 50,000 across its edge, to the neighbouring level.
        """
        return quantise(self.representation.decode(components))

    def save(self, path: str | Path, **metadata: str) -> None:
        """Write weights, statistics and settings to one safetensors file."""
        tensors = {f"network.{k}": v.cpu() for k, v in self.network.state_dict().items()}
        statistics = self.representation.statistics.tensors()
        tensors |= {f"statistics.{k}": v.cpu() for k, v in statistics.items()}
        settings = json.dumps(self.settings.model_dump(mode="json"))
        with atomic(path) as temporary:
            save_file(tensors, temporary, {"settings": settings} | metadata)


def load(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Load a trained model; raises `InputError` if the file is missing or not a sound model."""
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads(file.metadata()["settings"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"model {path} does not exist") from None
    except UNREADABLE as error:
        raise InputError(f"model {path} is not a safetensors file with settings: {error}") from None
    chosen = validate(ModelSettings, settings, f"model {path}: settings")
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "statistics": {}}
    for key, tensor in tensors.items():
        group, _, name = key.partition(".")
        if group not in groups:
            raise InputError(f"model {path} holds {key}, which belongs to none of {[*groups]}")
        groups[group][name] = tensor
    try:
        model = Model(chosen, Statistics.from_tensors(groups["statistics"]))
        _fill(model.network, groups["network"])
    except (ValueError, RuntimeError) as error:
        raise InputError(f"model {path}: {error}") from None
    return model.to(device).eval().requires_grad_(False)


def _fill(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a network weights, all of them of its own names, shapes and dtype, and finite."""
    own = network.state_dict()
    if own.keys() != weights.keys():
        lacking, other = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
        raise InputError(
            f"the weights do not belong to the network of the settings: {len(lacking)} lacking "
            f"{lacking[:1]}, {len(other)} of other names {other[:1]}"
        )
    for name, weight in weights.items():
        if (weight.shape, weight.dtype) != (own[name].shape, own[name].dtype):
            raise InputError(
                f"the weight {name} is {weight.dtype} of shape {tuple(weight.shape)}, expected "
                f"{own[name].dtype} of shape {tuple(own[name].shape)}"
            )
        if not weight.isfinite().all():
            raise InputError(f"the weight {name} holds values that are not finite")
    network.load_state_dict(dict(weights))
