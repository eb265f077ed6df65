"""Image features for the Frechet distance: a seeded random network, or Inception v3.

Both are torch-fidelity feature extractors. The random network needs no download; the distance on
its features is "FD, random features". Only the distance on the 2048 pooling features of the
Inception v3 whose weights are pinned here is the FID.
"""

from __future__ import annotations

import functools
import importlib
import io
import logging
import sys
from pathlib import Path
from types import ModuleType

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.utils.data import Subset

from gud.config.sections.evaluation import Quality
from gud.errors import InputError
from gud.provenance import sha256

Features = Float[Tensor, "images features"]

METRICS = {"random": "FD, random features", "inception": "FID"}

INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)
# Published with the file by several users of torch-fidelity; its start is part of the file's name.
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"

RANDOM_EXTRACTOR = "gud-random-features"
RANDOM_LAYER = "moments"
INCEPTION_EXTRACTOR = "inception-v3-compat"
INCEPTION_LAYER = "2048"

MISSING_SCHEMAS = ("nms", "qnms")

log = logging.getLogger(__name__)


class RandomFeatures(nn.Module):
    """Channel moments of a random orthogonal convolutional network at three scales.

    Each stage is a 3x3 convolution, the second and third with stride 2, followed by |.|. Half of
    the first stage's filters sum to zero, so that they see edges and noise but not brightness.
    The features of a stage are the mean and the log standard deviation over space of each
    channel; the logarithm gives faint fine detail the same weight as strong contrast.
    """

    widths = (16, 16, 16)
    features = 2 * sum(widths)
    smallest_side = 3
    variance_floor = 1e-3

    def __init__(self, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.stages = nn.ModuleList()
        for stage, (inputs, outputs) in enumerate(
            zip((3, *self.widths), self.widths, strict=False)
        ):
            conv = nn.utils.skip_init(
                nn.Conv2d,
                inputs,
                outputs,
                3,
                stride=1 if stage == 0 else 2,
                padding=1,
                padding_mode="reflect",
            )
            nn.init.orthogonal_(conv.weight, generator=generator)
            nn.init.normal_(conv.bias, std=0.1, generator=generator)
            self.stages.append(conv)
        with torch.no_grad():
            centred = self.stages[0].get_parameter("weight")[: self.widths[0] // 2]
            centred -= centred.mean(dim=(2, 3), keepdim=True)
        self.requires_grad_(False)

    def forward(self, images: UInt8[Tensor, "n 3 height width"]) -> Float[Tensor, "n features"]:
        """Features in double precision; the sides are at least `smallest_side` pixels."""
        x = images.float() / 127.5 - 1
        moments = []
        for stage in self.stages:
            x = stage(x).abs()
            variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
            moments += [mean, torch.log(variance + self.variance_floor) / 2]
        return torch.cat(moments, dim=1).double()


def load_torch_fidelity(module: str = "torch_fidelity") -> ModuleType:
    """Import a module of torch-fidelity, with a torchvision built for another torch if need be.

    A torchvision built for CUDA has no operators in a CPU-only torch, and its import stops at the
    first one it names. None of them is used here: declaring their schemas lets the import pass.

    Raises:
        InputError: torch-fidelity or torchvision is not installed.
    """
    try:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            for name in MISSING_SCHEMAS:
                torch.library.define(
                    f"torchvision::{name}",
                    "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
                )
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"sample quality needs the package torch-fidelity, but {error.name!r} cannot be "
            "imported here: install torch-fidelity or run this step where it is installed"
        ) from error


@functools.cache
def register() -> str:
    """Make `RandomFeatures` known to torch-fidelity, once; returns its registered name.

    The network's seed is torch-fidelity's option `rng_seed`.
    """
    fidelity = load_torch_fidelity()

    class RandomExtractor(fidelity.FeatureExtractorBase):
        def __init__(self, name: str, features_list: list[str], *, rng_seed: int, **_) -> None:
            super().__init__(name, features_list)
            self.network = RandomFeatures(rng_seed)

        def forward(self, images: Tensor) -> tuple[Tensor]:
            return (self.network(images),)

        @staticmethod
        def get_provided_features_list() -> tuple[str]:
            return (RANDOM_LAYER,)

        @staticmethod
        def get_default_feature_layer_for_metric(metric: str) -> str:
            return RANDOM_LAYER

        @staticmethod
        def can_be_compiled() -> bool:
            return False

    fidelity.register_feature_extractor(RANDOM_EXTRACTOR, RandomExtractor)
    return RANDOM_EXTRACTOR


def inception_weights(path: str | Path | None) -> io.BytesIO:
    """The Inception weights as a buffer that holds tensors and nothing else.

    torch-fidelity unpickles its weights without restriction, so the file is checked against
    `INCEPTION_SHA256`, read by torch's restricted loader and written again before it gets there.

    Raises:
        InputError: no path, no such file, or another file than the pinned one.
    """
    remedy = f"expected the file of {INCEPTION_URL}, which the workflow's download rule fetches"
    if path is None:
        raise InputError(f"extractor 'inception' needs --weights FILE, none given; {remedy}")
    if not Path(path).is_file():
        raise InputError(f"no Inception weights at --weights {path}; {remedy}")
    if (found := sha256(path)) != INCEPTION_SHA256:
        raise InputError(
            f"--weights {path} has sha256 {found}, not {INCEPTION_SHA256}; {remedy}: "
            "distances on other weights are not FID"
        )
    buffer = io.BytesIO()
    torch.save(torch.load(path, map_location="cpu", weights_only=True), buffer)
    buffer.seek(0)
    return buffer


def make_extractor(
    extractor: str, seed: int, weights: str | Path | None = None
) -> tuple[nn.Module, str]:
    """The torch-fidelity extractor of that name, on the GPU if there is one, and its layer.

    Args:
        extractor: "random" or "inception".
        seed: of the random network's weights.
        weights: file of the Inception weights; unused by "random".

    Raises:
        InputError: torch-fidelity or the weights are missing, or the extractor is unknown.
    """
    if extractor not in METRICS:
        raise InputError(f"extractor {extractor!r} in the settings is not one of {list(METRICS)}")
    register()
    create = load_torch_fidelity("torch_fidelity.utils").create_feature_extractor
    options = {"cuda": torch.cuda.is_available(), "verbose": False}
    if extractor == "random":
        return create(RANDOM_EXTRACTOR, [RANDOM_LAYER], rng_seed=seed, **options), RANDOM_LAYER
    buffer = inception_weights(weights)
    network = create(
        INCEPTION_EXTRACTOR, [INCEPTION_LAYER], feature_extractor_weights_path=buffer, **options
    )
    return network, INCEPTION_LAYER


def extract_features(
    images: UInt8[Tensor, "n 3 height width"],
    settings: Quality,
    weights: str | Path | None = None,
) -> Features:
    """Features of each image, shape (n, features)."""
    extractor, layer = make_extractor(settings.extractor, settings.extractor_seed, weights)
    extract = load_torch_fidelity("torch_fidelity.utils").get_featuresdict_from_dataset
    with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False):
        found = extract(
            Subset(images, range(len(images))),  # type: ignore[arg-type]
            extractor,
            settings.batch_size,
            cuda=torch.cuda.is_available(),
            save_cpu_ram=True,
            verbose=sys.stderr.isatty(),
        )
    if len(images) <= found[layer].shape[1]:
        log.warning(
            "%d images for %d features: the covariance is singular and the distance biased",
            *found[layer].shape,
        )
    return found[layer]
