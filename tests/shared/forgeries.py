"""Forgeries of artefacts, whose records a forger makes fit them again."""

import json
import shutil

import numpy as np
import pandas as pd
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from gud.provenance import read_record, record_digest, record_path, sha256

A, B = "a_scan_isotropic", "a_scan_matching"
POINT = "nll/a=1_r=0.npz"
MODEL = "model.safetensors"


def seal(path, **changes):
    """Make a record fit its file again, as a forger would."""
    record = read_record(path) | {"sha256": sha256(path)} | changes
    record["record_sha256"] = record_digest(record)
    record_path(path).write_text(json.dumps(record))


def rewrite(path, **changes):
    """Change tensors of a safetensors file, or arrays of an npz file."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            np.savez(path, **dict(arrays) | {k: f(arrays[k]) for k, f in changes.items()})
        return
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    save_file(tensors | {k: f(tensors[k]).contiguous() for k, f in changes.items()}, path, metadata)


def scaled(factor):
    return lambda tensor: tensor * factor


def forged_table(run):
    path = run.results / "tables/figure3.csv"
    table = pd.read_csv(path)
    table.loc[0, "nll_bits_per_dim"] -= 0.5
    table.to_csv(path, index=False)
    return path


def empty_table(run):
    path = run.results / "tables/figure3.csv"
    table = pd.read_csv(path)
    table["nll_bits_per_dim"] = np.nan
    table.to_csv(path, index=False)
    return path


def skewed_rotation(run):
    path = run.results / "data/natural16.pca-mirrored.safetensors"
    rewrite(path, rotation=lambda rotation: rotation * (1 + 1e-8 * torch.arange(64)[:, None]))
    return path


def other_variance(run):
    path = run.results / "data/natural16.pca-mirrored.safetensors"
    rewrite(path, variance=scaled(1.001))
    return path


def other_mean(run):
    path = run.results / "data/natural16.mean.npy"
    np.save(path, np.load(path) + 1e-6)
    return path


def other_pixel(run):
    path = run.results / "data/natural16.npz"
    rewrite(path, test=lambda images: images ^ (np.arange(images.size).reshape(images.shape) == 0))
    return path


def nan_weight(run):
    path = run.results / A / MODEL
    with safe_open(path, "pt") as file:
        name = next(key for key in file.keys() if key.startswith("network."))  # noqa: SIM118
    rewrite(path, **{name: scaled(float("nan"))})
    return path


def better_likelihood(run):
    path = run.results / A / POINT
    rewrite(path, bits_per_dim=lambda bits: bits - 0.1)
    return path


def better_distance(run):
    path = run.results / A / "quality/a=1_r=0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fid": 0.1}))
    return path


def shorter_curve(run):
    path = run.results / A / "training.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    return path


def lighter_scale(run):
    path = run.results / A / "scale.csv"
    table = pd.read_csv(path)
    table["bits_per_dim"] += 1
    table.to_csv(path, index=False)
    return path


def same_samples(run):
    path = run.results / A / "samples/a=1_r=0.npz"
    rewrite(path, images=lambda images: np.repeat(images[:1], len(images), 0))
    return path


def other_figure(run):
    path = run.results / "figures/figure3.png"
    shutil.copy(run.results / "figures/figure5.png", path)
    return path


FORGERIES = {
    forged_table: "it aggregates its points",
    empty_table: "it aggregates its points",
    skewed_rotation: "U is orthogonal",
    other_variance: "whitened training images have variance 1",
    other_mean: "it is the mean of the training images",
    other_pixel: "the photographs give the same arrays again",
    nan_weight: "it can be read",
    better_likelihood: "it joins its shards",
    better_distance: "its fid comes out again",
    shorter_curve: "a row for every logged step",
    lighter_scale: "its numbers come out again",
    same_samples: "images are not all the same",
    other_figure: "drawn again to the same bytes",
}
