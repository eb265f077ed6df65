"""A diffusion model: representation, schedule family, process and network, in one file on disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gud import data
from gud.errors import InputError
from gud.families import schedule_from_settings
from gud.networks import NETWORKS
from gud.noising import NoisingState
from gud.processes import PROCESSES, State, per_component
from gud.provenance import atomic
from gud.representation import Representation, Statistics, basis_from_settings
from gud.schedules import Schedule
from gud.settings import ModelSettings, validate


class Model(nn.Module):
    """Four independent choices and a trained network.

    Args:
        settings: a `ModelSettings` section as JSON values.
        statistics: of the training set, from `gud.representation.fit`.

    Attributes:
        representation: images <-> components.
        process: what happens to a component as its clock runs.
        network: predicts the noise in image space (App. B).
    """

    def __init__(self, settings: dict[str, Any], statistics: Statistics):
        super().__init__()
        self.settings = validate(ModelSettings, settings, "model settings").model_dump(mode="json")
        channels, image_size, _ = statistics.mean.shape
        basis = basis_from_settings(settings["basis"], image_size, statistics.rotation)
        self.representation = Representation(
            basis, statistics, whitened=settings["prior"] == "variance_matching"
        )
        self.process = PROCESSES[settings["process"]]()
        network = dict(settings["network"])
        self.network = NETWORKS[network.pop("name")](
            image_size=image_size,
            in_channels=channels * self.process.k,
            out_channels=channels * self.process.k,
            labels=self.representation.labels,
            **network,
        )

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Shape (k, channels, components) of the state of one image."""
        statistics = self.representation.statistics
        return self.process.k, len(statistics.mean), len(statistics.variance)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def schedule(self, **parameters: float) -> Schedule:
        """The schedule of the model's family at the given parameters, e.g. a=1.0, r=0.0."""
        return schedule_from_settings(self.settings["schedule"], self.representation, parameters)

    def eps(self, z: State, state: NoisingState) -> State:
        """Predicted noise of a noised state, shape (batch, k, channels, components).

        With `preconditioning: none` it is the network's output. With `gaussian`, that of Karras et
        al. 2022 component by component, the network adds to the prediction of independent Gaussian
        components of the data's variances V_i (k = 1). With s_i^2 = alpha_i^2 V_i + sigma_i^2,
        cos theta_i = alpha_i sqrt(V_i) / s_i and sin theta_i = sigma_i / s_i,

            eps_i = sin theta_i z_i / s_i + cos theta_i F_i(sqrt(V_i) cos theta_i z_i / (s_i c)),

        where c^2 is the mean of V_i cos^2 theta_i: the network F sees the data that a Gaussian
        expects, at unit variance, and predicts cos theta_i eps_i - sin theta_i chi_i / sqrt(V_i),
        of unit variance (the v of Salimans and Ho 2022 if V_i = 1).
        """
        if self.settings["preconditioning"] == "none":
            return self._output(z, state)
        variance = self.representation.log_variance.to(state.gamma).exp()
        s = state.variance(variance).sqrt()
        cosine, sine = state.alpha * variance.sqrt() / s, state.sigma / s
        signal = variance.sqrt() * cosine
        scale = signal.square().mean(1, keepdim=True).sqrt() * s
        output = self._output(per_component(signal / scale, z) * z, state)
        return per_component(sine / s, z) * z + per_component(cosine, z) * output

    def _output(self, z: State, state: NoisingState) -> State:
        """The network's output in components.

        It sees and predicts images U^T chi; U takes its prediction to components (App. B, equation
        23).
        """
        basis = self.representation.basis
        images = basis.inverse(z).flatten(1, 2)
        output = self.network(images, state.gamma.to(images))
        return basis.forward(output.unflatten(1, z.shape[1:3]))

    def encode(
        self, images: UInt8[Tensor, "batch channels height width"], seed: int = 0
    ) -> Float[Tensor, "batch channels components"]:
        """Components of 8-bit images, dequantised with noise from `seed` (App. B)."""
        noise = torch.Generator(images.device).manual_seed(seed)
        return self.representation.encode(data.dequantise(images, noise))

    def decode(
        self, components: Float[Tensor, "batch channels components"]
    ) -> UInt8[Tensor, "batch channels height width"]:
        """8-bit images of components."""
        return data.quantise(self.representation.decode(components))

    def save(self, path: str | Path, **metadata: str) -> None:
        """Write weights, statistics and settings to one safetensors file."""
        tensors = {f"network.{k}": v.cpu() for k, v in self.network.state_dict().items()}
        statistics = self.representation.statistics.tensors()
        tensors |= {f"statistics.{k}": v.cpu() for k, v in statistics.items()}
        with atomic(path) as temporary:
            save_file(tensors, temporary, {"settings": json.dumps(self.settings)} | metadata)


def load(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Load a trained model; raises `InputError` if the file is missing or not a model."""
    try:
        with safe_open(path, "pt") as file:
            settings = json.loads(file.metadata()["settings"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"model {path} does not exist") from None
    except (SafetensorError, KeyError, TypeError) as error:
        raise InputError(f"model {path} is not a safetensors file with settings: {error}") from None
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "statistics": {}}
    for key, tensor in tensors.items():
        group, name = key.split(".", 1)
        groups[group][name] = tensor
    model = Model(settings, Statistics(**groups["statistics"]))
    model.network.load_state_dict(groups["network"])
    return model.to(device).eval().requires_grad_(False)
