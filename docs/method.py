"""Draw docs/method.png, one photograph through basis, schedule, network and likelihood.

python docs/method.py docs/method.png

A small network is trained for it, in a few minutes on a CPU, on patches of photographs. One machine
draws the same picture every time.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from PIL import Image
from skimage import data
from torch import Tensor

import gud
from gud.diffusion.processes import per_component
from gud.figures.drawing.images import show
from gud.figures.drawing.style import BLUE, VERMILION, WIDTH, style
from gud.randomness import ImageStreams

SIZE, SEED, A = 32, 0, 0.6
FACE = (96, 20, 352, 276)
"""What is cut out of the photograph, in pixels, before it is made smaller."""
TIMES = (0.0, 0.15, 0.25, 0.4, 1.0)
SHOWN = 0.25
"""The time at which the network is shown at work."""
SOFTNESS = (0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6)
FREQUENCIES = (1, 2, 4, 8, 16)
"""Cycles per image, |k|, whose schedules are drawn."""


def photograph() -> Tensor:
    """A cat of 32x32 pixels, shape (1, 3, 32, 32)."""
    face = Image.fromarray(data.chelsea()).crop(FACE).resize((SIZE, SIZE), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(face).copy()).permute(2, 0, 1)[None]


def trained() -> gud.Model:
    """A small model of patches of photographs in the Fourier basis."""
    patches, _ = gud.photographs(size=SIZE, stride=12)
    network = gud.ncsnpp(
        width=16, multipliers=(1, 2, 2), blocks=1, attention=(8,), dropout=0.0, gamma_width=32
    )
    model = gud.build_model(
        patches,
        basis="fourier",
        preconditioning="gaussian",
        time_power=1.0,
        network=network,
        seed=SEED,
    )
    options: dict[str, Any] = {"batch_size": 16, "learning_rate": 1e-3, "warmup_steps": 50}
    return gud.train(model, patches, steps=800, ema=0.99, seed=SEED, **options)[0]


def compute(model: gud.Model, image: Tensor) -> dict[str, np.ndarray]:
    """Everything that the picture shows."""
    schedule = model.schedule(a=A, r=0.0)
    chi = model.encode(image, SEED)
    t = torch.linspace(0, 1, 101, dtype=torch.float64)
    frequency = model.representation.basis.frequency
    chosen = [int((frequency - k).abs().argmin()) for k in FREQUENCIES]

    noise = ImageStreams("cpu", SEED, "forward", range(1)).normal((1, *chi.shape[1:]))
    state = schedule(torch.tensor([SHOWN], dtype=torch.float64))
    z = model.process.perturb(chi[:, None], state, noise)
    eps = model.eps(z, state)
    clean = (z - per_component(state.sigma, z) * eps) / per_component(state.alpha, z)

    options: dict[str, Any] = {"rtol": 1e-3, "atol": 1e-3, "coordinates": "standardised"}
    bits = [
        gud.image_bits(model, model.schedule(a=a, r=0.0), image, seed=SEED, **options)[0].mean()
        for a in SOFTNESS
    ]
    return {
        "image": image[0].numpy(),
        "components": torch.fft.fftshift(chi[0].norm(dim=0).view(SIZE, SIZE)).numpy(),
        "t": t.numpy(),
        "gamma": schedule(t).gamma[:, chosen].numpy(),
        "frames": gud.noised(model, schedule, image, TIMES, seed=SEED)[:, 0].numpy(),
        "noise": model.representation.basis.inverse(eps[:, 0])[0].clip(-2.5, 2.5).numpy() / 2.5,
        "clean": model.decode(clean[:, 0])[0].numpy(),
        "bits": np.array(bits),
        "samples": gud.draw_images(model, schedule, range(3), steps=300, seed=SEED)[0].numpy(),
    }


@style()
def draw(shown: dict[str, np.ndarray]) -> Figure:
    """Four panels above, of one image; a strip below, of the process, the network and samples."""
    figure = Figure(figsize=(WIDTH, 2.95), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[2, 1])
    image, spectrum, schedule, likelihood = above.subplots(1, 4)
    show(image, shown["image"])
    image.set_title("1  image $\\phi$", loc="left")
    spectrum.imshow(np.log(shown["components"]), cmap="Greys_r", interpolation="nearest")
    spectrum.set(xticks=[], yticks=[])
    spectrum.spines[:].set(visible=False)
    spectrum.set_title("2  components $\\chi = S^{-1} U \\phi$", loc="left")
    colors = colormaps["viridis"](np.linspace(0, 0.88, len(FREQUENCIES)))
    for k, color, gamma in zip(FREQUENCIES, colors, shown["gamma"].T, strict=True):
        schedule.plot(shown["t"], gamma, color=color, label=f"{k}")
    schedule.set(xlabel="diffusion time $t$", ylabel=r"$\gamma_i = \log\,\sigma_i^2 / \alpha_i^2$")
    schedule.set_title(f"3  schedules $\\gamma_i(t)$, $a = {A:g}$", loc="left")
    schedule.legend(title="$|k_i|$", loc="lower right", handlelength=1, labelspacing=0.1)
    likelihood.plot(SOFTNESS, shown["bits"], "o-", color=BLUE)
    likelihood.plot(A, shown["bits"][SOFTNESS.index(A)], "o", color=VERMILION)
    likelihood.set(xlabel="inverse softness $a$", ylabel="bits/dim of the image")
    likelihood.set_title("6  likelihood", loc="left")
    for axis in (schedule, likelihood):
        axis.set_box_aspect(1)

    network = [shown["frames"][TIMES.index(SHOWN)], shown["noise"], shown["clean"]]
    parts = {
        "4  forward process": (shown["frames"], [f"$t = {time:g}$" for time in TIMES]),
        "5  network $\\epsilon_\\theta(\\phi, \\gamma)$": (
            network,
            [f"$t = {SHOWN:g}$", "noise", "image"],
        ),
        "7  samples": (shown["samples"], ["", "", ""]),
    }
    strips = below.subfigures(1, 3, width_ratios=[len(images) for images, _ in parts.values()])
    for strip, (title, (images, names)) in zip(strips, parts.items(), strict=True):
        axes = strip.subplots(1, len(images))
        axes[0].set_title(title, loc="left")
        for axis, picture, name in zip(axes, images, names, strict=True):
            show(axis, picture)
            axis.set_xlabel(name, fontsize=6.5)
    return figure


if __name__ == "__main__":
    picture = draw(compute(trained(), photograph()))
    with style():
        picture.savefig(Path(sys.argv[1]), dpi=200)
