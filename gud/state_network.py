"""Networks of noised states: what they are states of, what the networks see, and their files."""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gud.config.sections.model import ModelSettings
from gud.config.sections.validation import validate
from gud.diffusion.noising import NoisingState
from gud.diffusion.preconditioning import PRECONDITIONINGS, Seen
from gud.diffusion.processes import State
from gud.diffusion.representation import Representation, Statistics
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.provenance import read_tensors, write_tensors

UNREADABLE = (OSError, KeyError, TypeError, ValueError, RecursionError)
PRECISION = torch.float32
"""Of images, components and weights. Noising states are computed in double precision."""


class StateNetwork(nn.Module, ABC):
    """Representation, schedule family and process, and a network that sees noised states.

    Args:
        settings: of the choices and the network.
        statistics: of the training set, from `gud.data.statistics.fit`.

    Attributes:
        representation: images <-> components.
        process: what happens to a component as its clock runs.
        preconditioning: what the network sees of a state.
        network: takes images and gamma.
        metadata: what else its file says of it.
    """

    network: nn.Module

    def __init__(self, settings: ModelSettings, statistics: Statistics):
        super().__init__()
        self.settings = settings
        self.metadata: dict[str, str] = {}
        self.representation = Representation(
            settings.basis.of(statistics, PRECISION),
            statistics,
            settings.prior == "variance_matching",
            PRECISION,
        )
        self.process = settings.process.build()
        self.preconditioning = PRECONDITIONINGS[settings.preconditioning](self.process)

    @property
    def channels(self) -> int:
        """Of all images that the network sees of one state."""
        return len(self.representation.statistics.mean) * self.preconditioning.images_in

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Shape (k, channels, components) of the state of one image."""
        representation = self.representation
        return self.process.k, representation.channels, len(representation.scale)

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
            InputError: the parameters are not those of the family, or lie outside what the model is
                trained for.
        """
        family = self.settings.schedule
        if what := family.outside(parameters):
            raise InputError(f"the model was asked for {what}")
        return family.build(self.representation, parameters)

    def initial(self, images: Float[Tensor, "batch channels height width"]) -> State:
        """z(0) of dequantised images in [-1, 1]."""
        return self.process.initial(self.representation.encode(images))

    def see(self, z: State, state: NoisingState) -> Seen:
        """What the network sees of a state."""
        representation, precision = self.representation, state.gamma
        diffused = representation.log_variance.to(precision).mul(0.5).exp()
        seen = torch.ones_like(diffused)
        if self.settings.network_space == "image":
            seen = representation.log_data_variance.to(precision).mul(0.5).exp()
        return self.preconditioning.see(z, state, diffused, seen)

    def output(self, seen: Seen) -> Tensor:
        """The network's output for what it sees."""
        images = self.representation.basis.inverse(seen.components).flatten(1, 2)
        return self.network(images, seen.state.gamma.to(images))

    def save(self, path: str | Path) -> None:
        """Write weights, statistics and settings to one safetensors file."""
        tensors = {f"network.{k}": v.cpu() for k, v in self.network.state_dict().items()}
        statistics = self.representation.statistics.tensors()
        tensors |= {f"statistics.{k}": v.cpu() for k, v in statistics.items()}
        settings = json.dumps(self.settings.model_dump(mode="json"))
        write_tensors(path, tensors, {"settings": settings} | self.metadata)


N = TypeVar("N", bound=StateNetwork)
Build = Callable[[ModelSettings, Statistics, Mapping[str, str]], N]
"""Makes a network of settings, statistics and the metadata of its file."""


def load_network(build: Build[N], path: str | Path, device: torch.device | str) -> N:
    """A trained network; raises `InputError` if the file is missing or not a sound one."""
    try:
        tensors, metadata = read_tensors(path)
        settings = json.loads(metadata["settings"])
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
        model = build(chosen, Statistics.from_tensors(groups["statistics"]), metadata)
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
