"""A tiny training run: its settings, its data, and how to start it."""

from __future__ import annotations

import csv
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from commands import preset_of
from presets import as_yaml
from safetensors.torch import load_file

from gud.cli import main
from gud.config.sections.bases import PlainBasis
from gud.data.statistics import fit, save

RUN: dict[str, Any] = {
    "experiment": "tiny",
    "seed": 3,
    "model": {
        "basis": {"name": "fourier"},
        "prior": "isotropic",
        "process": "ou",
        "schedule": {
            "name": "soft_conditioning",
            "gamma_denoise": -5.0,
            "gamma_noise": "auto",
            "time_power": 0.5,
            "ranges": {"a": [0.5, 1.5], "r": [0.0, 1.0]},
        },
        "network_space": "image",
        "preconditioning": "none",
        "network": {
            "name": "ncsnpp",
            "width": 8,
            "multipliers": [1],
            "blocks": 1,
            "attention": [],
            "dropout": 0.1,
            "gamma_width": 8,
            "gamma_blocks": 1,
            "time_scale": 10.0,
        },
    },
    "training": {
        "steps": 120,
        "batch_size": 16,
        "micro_batch": None,
        "learning_rate": 5e-3,
        "warmup_steps": 10,
        "gradient_clip": 1.0,
        "ema": 0.9,
        "flip": True,
        "precision": "auto",
        "checkpoint_every": 5,
        "log_every": 7,
    },
}


def run_settings(**changes) -> dict:
    """RUN with other values; those of `training` by their own names."""
    training = {key: changes.pop(key) for key in list(changes) if key in RUN["training"]}
    return RUN | changes | {"training": RUN["training"] | training}


def make_files(folder: Path) -> tuple[Path, Path]:
    """A data set of smooth images, dark and light ones, and its statistics."""
    random_numbers = np.random.default_rng(0)
    coarse = random_numbers.normal(128, 45, (200, 3, 2, 2)).repeat(4, 2).repeat(4, 3)
    images = (coarse + random_numbers.normal(0, 5, coarse.shape)).clip(0, 255).astype(np.uint8)
    light = (images.mean((1, 2, 3)) > 128).astype(np.int64)
    labels = {"train_label": light[:150], "test_label": light[150:]}
    classes = np.array(["dark", "light"])
    np.savez(folder / "data.npz", train=images[:150], test=images[150:], classes=classes, **labels)
    statistics = fit(torch.from_numpy(images[:150]), PlainBasis(name="fourier"))
    save(folder / "statistics.safetensors", statistics, PlainBasis(name="fourier"))
    return folder / "data.npz", folder / "statistics.safetensors"


def arguments(files, out: Path, settings: dict) -> list[str]:
    data, statistics = map(str, files)
    name = settings["experiment"]
    made = settings["model"], settings["training"], settings["seed"]
    preset = preset_of(name, *made, **settings.get("figures", {}))
    text = as_yaml(preset)
    file = out.parent / f"preset-{hashlib.sha256(text.encode()).hexdigest()[:8]}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    inputs = ["--data", data, "--statistics", statistics]
    asked = ["--preset", str(file), "--experiment", name]
    return ["train", *asked, *inputs, "--out", str(out), "--device", "cpu"]


def environment(**variables: str) -> dict[str, str]:
    """This process's environment as it is outside of SLURM and torchrun, with `variables`."""
    outside = ("SLURM_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_")
    own = {key: value for key, value in os.environ.items() if not key.startswith(outside)}
    return own | {"OMP_NUM_THREADS": "1"} | variables


def start(
    files,
    folder: Path,
    *more: str,
    launcher: tuple[str, ...] = (),
    variables: dict[str, str] | None = None,
    changes: dict[str, Any] | None = None,
    **options: Any,
) -> subprocess.Popen:
    """The real program, in a process of its own."""
    command = [sys.executable, "-m", *launcher, *("-m",) * bool(launcher), "gud"]
    settings = run_settings(**changes or {})
    return subprocess.Popen(
        [*command, *arguments(files, folder / "model.safetensors", settings), *more],
        env=environment(**variables or {}),
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def complete(files, folder: Path, *more: str, **options: Any) -> None:
    """Run the real program to its end."""
    process = start(files, folder, *more, **options)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill(files, folder: Path, times: int, *more: str, changes: dict[str, Any]) -> None:
    """Start the real program and end it by SIGKILL at random moments, time and again."""
    moments, killed = random.Random(0), 0
    for _ in range(times):
        process = start(files, folder, *more, changes=changes)
        wait_for_checkpoints(process, folder, moments.randint(0, 2))
        time.sleep(moments.uniform(0, 0.05))
        process.kill()
        process.communicate()
        killed += process.returncode == -signal.SIGKILL
    assert killed > times // 2


def run(files, folder: Path, **changes) -> int:
    return main(arguments(files, folder / "model.safetensors", run_settings(**changes)))


def weights(folder: Path) -> dict[str, bytes]:
    tensors = load_file(folder / "model.safetensors")
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def losses(folder: Path) -> list[tuple[str, str]]:
    with open(folder / "training.csv") as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


def steps_saved(folder: Path) -> list[int]:
    return sorted(int(path.stem[5:]) for path in (folder / "checkpoints").glob("step-*"))


def forget(folder: Path, step: int) -> None:
    """Put a run back to a checkpoint, as if it had been killed before the next."""
    (folder / "model.safetensors").unlink()
    for later in steps_saved(folder):
        if later > step:
            (folder / "checkpoints" / f"step-{later:08d}.safetensors").unlink()
    assert steps_saved(folder)[-1:] == [step]


def wait_for_checkpoints(process: subprocess.Popen, folder: Path, count: int) -> None:
    before = max(steps_saved(folder), default=0)
    enough = before + count * RUN["training"]["checkpoint_every"]
    while process.poll() is None and max(steps_saved(folder), default=0) < enough:
        time.sleep(1e-3)
