"""The library in a few calls: from images to a trained model, without presets or files.

The defaults are the paper's (App. B), those of `config/paper.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from gud.config.jobs import TrainingJob
from gud.config.sections.bases import basis_of
from gud.config.sections.data import NaturalPatches
from gud.config.sections.model import ModelSettings, TrainingSettings
from gud.config.sections.networks import CrossAttentionSettings, NCSNppSettings
from gud.config.sections.validation import validate
from gud.data.blocks import mean_image
from gud.data.sources import natural_patches
from gud.data.statistics import fit
from gud.diffusion.schedules import Schedule
from gud.errors import InputError
from gud.model import Model
from gud.progress import progress
from gud.randomness import ImageStreams, derive
from gud.training.step import Training

Images = UInt8[Tensor, "count channels height width"]

SOFTNESS: Mapping[str, Sequence[float]] = {"a": (0.4, 1.6), "r": (0.0, 0.0)}
"""The range of Figure 3."""
CHECKED_EVERY = 50
"""Training steps after which losses that are not finite are noticed."""


def photographs(
    size: int = 16, stride: int = 6
) -> tuple[UInt8[Tensor, "train 3 size size"], UInt8[Tensor, "test 3 size size"]]:
    """Training and test patches of photographs that come with scikit-learn and scikit-image.

    Args:
        size: height and width of a patch, in pixels.
        stride: distance of neighbouring patches, in pixels.
    """
    settings = NaturalPatches(source="natural_patches", size=size, stride=stride)
    data = natural_patches(settings)
    return torch.from_numpy(data.train), torch.from_numpy(data.test)


def ncsnpp(
    *,
    width: int = 128,
    multipliers: Sequence[int] = (1, 2, 2, 2),
    blocks: int = 4,
    attention: Sequence[int] = (16,),
    dropout: float = 0.1,
    gamma_width: int = 256,
    gamma_blocks: int = 2,
    time_scale: float = 10.0,
) -> NCSNppSettings:
    """The NCSN++ of App. B.

    Args:
        width: channels at full resolution.
        multipliers: of the width, one for each resolution, each half the one before.
        blocks: residual blocks at each resolution.
        attention: image sizes that have self-attention.
        gamma_width, gamma_blocks: of the embedding of gamma; width 0 shows the network the mean of
            gamma over components alone.
        time_scale: factor of mean(gamma) before its sinusoidal embedding.
    """
    raw = dict(locals(), name="ncsnpp")
    return validate(NCSNppSettings, raw, "ncsnpp")


def cross_attention(
    *,
    width: int = 128,
    multipliers: Sequence[int] = (1, 2, 2, 2),
    blocks: int = 4,
    attention: Sequence[int] = (16,),
    gamma_attention: Sequence[int] = (16, 8, 4),
    dropout: float = 0.1,
    tokens_width: int = 64,
    mixer_layers: int = 2,
    heads: int = 4,
    time_scale: float = 10.0,
) -> CrossAttentionSettings:
    """The network of App. A, which attends to the noising state; arguments as of `ncsnpp`.

    Args:
        gamma_attention: image sizes that have cross-attention to the noising state.
        tokens_width, mixer_layers: of the tokens made from gamma and the components' labels.
        heads: of the cross-attention.
    """
    raw = dict(locals(), name="cross_attention")
    return validate(CrossAttentionSettings, raw, "cross_attention")


def build_model(
    images: Images,
    *,
    basis: str = "pca",
    prior: Literal["isotropic", "variance_matching"] = "isotropic",
    process: str | Mapping[str, object] = "ou",
    schedule: str = "soft_conditioning",
    ranges: Mapping[str, Sequence[float]] = SOFTNESS,
    gamma_denoise: float = -3.0,
    gamma_noise: float | Literal["auto", "common"] = "auto",
    time_power: float = 0.5,
    network_space: Literal["image", "whitened"] = "image",
    preconditioning: Literal["none", "gaussian"] = "none",
    network: NCSNppSettings | CrossAttentionSettings | None = None,
    flip: bool = True,
    seed: int = 0,
) -> Model:
    """A model with an untrained network, its mean, basis and variances fitted to 8-bit images.

    Args:
        images: the training set, shape (count, channels, height, width).
        basis: U: `pca`, `colour_pca`, `fourier`, `pixel`, or a wavelet with its number of levels,
            such as `haar3` or `db2-3`.
        prior: the scale S: 1, or `variance_matching`, sqrt(Sigma_i).
        process: `ou`, or a section such as `{"name": "cld", "nu": 4.0, "kappa": 0.04, "clock":
            "snr", "matching": "hybrid"}`; see `gud.config.sections.processes`.
        schedule: the family: `soft_conditioning` (18-20) with the parameters a and r, `columns`
            (21) with b, or `wavelet_columns` (22) with a and b.
        ranges: of the family's parameters, for which the network is to be trained.
        gamma_denoise, gamma_noise: ends of the log-SNR (19); -3 for Figure 3, -7 elsewhere.
        time_power: p of s(t) (App. B); 0.5 for Figure 3, 1 elsewhere.
        network_space, preconditioning: see `gud.diffusion.preconditioning`.
        network: `ncsnpp` or `cross_attention`; by default the former.
        flip: whether mean and variances are also of the mirror images, as a training with `flip`
            sees them.
        seed: of the initial weights.
    """
    raw = {
        "basis": basis_of(basis).model_dump(),
        "prior": prior,
        "process": process,
        "schedule": {
            "name": schedule,
            "gamma_denoise": gamma_denoise,
            "gamma_noise": gamma_noise,
            "time_power": time_power,
            "ranges": dict(ranges),
        },
        "network_space": network_space,
        "preconditioning": preconditioning,
        "network": (network or ncsnpp()).model_dump(),
    }
    settings = validate(ModelSettings, raw, "build_model")
    statistics = fit(images, settings.basis, mirrored=flip)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialisation"))
        return Model(settings, statistics).eval().requires_grad_(False)


def noised(
    model: Model, schedule: Schedule, images: Images, times: Sequence[float], *, seed: int = 0
) -> UInt8[Tensor, "times count channels height width"]:
    """The forward process of 8-bit images: what they are at each time, under the same noise.

    Args:
        schedule: of the model, such as `model.schedule(a=1.0, r=0.0)`.
        times: in [0, 1].
        seed: of the dequantisation and the noise.
    """
    start = model.process.initial(model.encode(images.to(model.device), seed))
    streams = ImageStreams(model.device, seed, "forward", range(len(images)))
    noise = streams.normal(start.shape[1:])
    frames = []
    for time in times:
        state = schedule(torch.full((len(images),), time, dtype=torch.float64, device=model.device))
        frames.append(model.decode(model.process.perturb(start, state, noise)[:, 0]))
    return torch.stack(frames)


def train(
    model: Model,
    images: Images,
    *,
    steps: int = 300_000,
    batch_size: int = 128,
    micro_batch: int | None = None,
    learning_rate: float = 5e-4,
    warmup_steps: int = 5000,
    gradient_clip: float | None = 1.0,
    ema: float = 0.999,
    flip: bool = True,
    precision: Literal["auto", "bfloat16", "tf32", "float32"] = "auto",
    seed: int = 0,
    label: str = "training",
) -> tuple[Model, Float[Tensor, " steps"]]:
    """Train a model's network for all schedules of its range; `model` itself stays as it is.

    There are no checkpoints: `gud train` is for trainings that may be interrupted.

    Args:
        images: the training set.
        micro_batch: images of a batch that the device holds at once; by default all.
        ema: decay of the moving average of the weights, which are those returned.
        flip: mirror images at random.
        label: of the progress bar.

    Returns:
        The trained model, on the device of `model`, and the loss of every step.

    Raises:
        InputError: if a loss is not finite, or the model was built for the other `flip`.
    """
    settings = dict(
        steps=steps,
        batch_size=batch_size,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        gradient_clip=gradient_clip,
        ema=ema,
        flip=flip,
        precision=precision,
        checkpoint_every=steps,
        log_every=steps,
    )
    course = validate(TrainingSettings, settings, "train")
    job = TrainingJob(experiment="model", model=model.settings, training=course, seed=seed)
    statistics = model.representation.statistics
    if images.shape[1:] != statistics.mean.shape:
        raise InputError(
            f"the images have shape {tuple(images.shape[1:])}, "
            f"those of the model {tuple(statistics.mean.shape)}"
        )
    if _symmetric(statistics.mean) != (flip or _symmetric(mean_image(images))):
        raise InputError(
            f"flip = {flip}, but the model was built with flip = {not flip}: its mean and "
            f"variances are {'not ' if flip else ''}of the mirror images as well"
        )
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        training = Training(job, images, statistics, model.device)
        training.network.load_state_dict(model.network.state_dict())
        for step in progress(range(steps), unit="step", label=label):
            training.update(step)
            if (step + 1) % CHECKED_EVERY == 0 or step + 1 == steps:
                training.check_losses(step + 1)
    losses = torch.stack(training.history.losses).cpu()
    return training.averaged_model().eval().requires_grad_(False), losses


def _symmetric(mean: Float[Tensor, "channels height width"]) -> bool:
    """Whether a mean image is its own mirror image, as that of mirrored images is."""
    return mean.equal(mean.flip(-1))
