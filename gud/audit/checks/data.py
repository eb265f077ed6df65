"""Checks of data sets and of what is fitted to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pydantic import TypeAdapter

from gud.audit.checks.check import Artefact, Check, Run, kind, near, prescribed, same_file
from gud.config import paths
from gud.config.images import check_images, images_needed
from gud.config.sections.bases import BASIS_NAME, basis_of
from gud.config.sections.data import Data
from gud.data import blocks, centring, datasets, statistics
from gud.data.blocks import mean_image
from gud.data.sources import SOURCES
from gud.diffusion.bases import Basis
from gud.errors import InputError
from gud.figures.pictures import centring as centring_picture
from gud.figures.pictures import spectrum as spectrum_picture

DATA = rf"data/(?P<data>{paths.NAME})"
BASIS = rf"{DATA}\.(?P<basis>{BASIS_NAME})(?P<mirrored>-mirrored)?"
EXACT = 1024
"""Components up to which U U^T is formed; above, random vectors are taken there and back."""


@kind("data set", rf"{DATA}\.npz")
def data_set(artefact: Artefact) -> Iterator[Check]:
    path, settings = artefact.path, artefact.settings
    counts = {}
    for split in ("train", "test"):
        images = artefact.run.images(path, split)
        counts[split] = len(images)
        low, high = int(images.min()), int(images.max())
        yield Check(
            f"{split} images have several grey levels", low < high, f"levels {low} to {high}"
        )
        regions = datasets.load_regions(path, split, len(images))
        yield Check(f"{split} images have a region each", len(regions) == len(images))
        if "size" in settings:
            size = settings["size"]
            square = tuple(images.shape[2:]) == (size, size)
            yield Check(f"{split} images have {size} pixels a side", square)
    stated = artefact.record.get("images")
    yield Check("counts are those of the record", counts == stated, f"{counts}")
    asked = artefact.run.preset.data.get(artefact.names["data"])
    yield prescribed(settings, asked)
    if asked:
        try:
            check_images(images_needed(artefact.run.preset, artefact.names["data"]), counts, path)
        except InputError as error:
            yield Check("there are the images that the preset needs", False, str(error), stale=True)
    if all(name.startswith("package:") for name in artefact.record["inputs"]):
        section = TypeAdapter(Data).validate_json(json.dumps(settings))
        again = SOURCES[settings["source"]](section, [], artefact.run.scratch).arrays()
        with np.load(path, allow_pickle=False) as arrays:
            same = arrays.keys() == again.keys() and all(
                np.array_equal(arrays[name], again[name]) for name in again
            )
        yield Check("the photographs give the same arrays again", same)


def centred_again(run: Run, data: Path) -> Path:
    """The folder with what `gud centre` makes of a data set now."""
    names = ("mean.npy", "levels.csv", "checks.csv", "picture.png")
    # The data set's name is in the picture.
    return run.again(f"centred {data.stem}", centring_picture.main, names, data=data)


@kind("mean image", rf"{DATA}\.mean\.npy")
def mean(artefact: Artefact) -> Iterator[Check]:
    images = artefact.run.images(artefact.input(".npz"), "train")
    found = blocks.load_mean(artefact.path, images)
    yield Check("all values are finite", bool(found.isfinite().all()))
    yield near("it is the mean of the training images", found, mean_image(images), atol=1e-12)


@kind("grey levels", rf"{DATA}\.levels\.csv")
def levels(artefact: Artefact) -> Iterator[Check]:
    again = centred_again(artefact.run, artefact.input(".npz")) / "levels.csv"
    yield same_file("it counts the grey levels of the data", artefact, again)


@kind("dequantisation", rf"{DATA}\.dequantisation\.csv")
def dequantisation(artefact: Artefact) -> Iterator[Check]:
    again = pd.read_csv(centred_again(artefact.run, artefact.input(".npz")) / "checks.csv")
    found = pd.read_csv(artefact.path)
    yield Check("it names the checks", list(found.check) == list(again.check))
    numbers = ["value", "expected", "p_value", "values"]
    yield near("its values come out again", found[numbers], again[numbers], rtol=1e-6)
    chance = found.p_value.dropna()
    likely = bool((chance >= centring.IMPOSSIBLE).all() and len(chance))
    least = f"least probability {chance.min():.2g}" if len(chance) else ""
    yield Check("dequantised values are uniform in their bins", likely, least)


@kind("picture of a data set", rf"{DATA}\.png")
def picture(artefact: Artefact) -> Iterator[Check]:
    again = centred_again(artefact.run, artefact.input(".npz")) / "picture.png"
    yield same_file("it is drawn again to the same bytes", artefact, again)


@kind("statistics", rf"{BASIS}\.safetensors")
def fitted(artefact: Artefact) -> Iterator[Check]:
    settings = artefact.settings
    asked = basis_of(artefact.names["basis"])
    found = statistics.load(artefact.path, asked)
    mirrored = bool(artefact.names["mirrored"])
    stated = {"basis": settings["basis"], "mirrored": settings["mirrored"]}
    yield prescribed(stated, {"basis": asked, "mirrored": mirrored}, "file's name")
    basis = asked.of(found)
    yield orthogonal(basis)
    images = artefact.run.images(artefact.input(".npz"), "train")
    mean = mean_image(images)
    mean = (mean + mean.flip(-1)) / 2 if mirrored else mean
    yield near("its mean is that of the training images", found.mean, mean, atol=1e-12)
    variance = statistics.component_variance(images, basis, mean, mirrored)
    whitened = (variance / found.variance).numpy()
    yield near(
        "whitened training images have variance 1 in every component",
        whitened,
        np.ones_like(whitened),
        atol=1e-6,
    )


def orthogonal(basis: Basis) -> Check:
    """Whether U U^T = 1."""
    size = basis.image_size
    values = basis.mixed * size * size
    if values <= EXACT:
        vectors = torch.eye(values, dtype=torch.float64)
    else:
        generator = torch.Generator().manual_seed(0)
        vectors = torch.randn(64, values, dtype=torch.float64, generator=generator)
    components = basis.forward(vectors.view(-1, basis.mixed, size, size)).flatten(1)
    products = components @ components.T
    return near("U is orthogonal", products, vectors @ vectors.T, rtol=1e-9, atol=1e-9)


@kind("spectrum", rf"{BASIS}\.(?P<form>csv|png)")
def spectrum(artefact: Artefact) -> Iterator[Check]:
    source, name = artefact.input(".safetensors"), artefact.names["basis"]
    names, given = ("table.csv", "picture.png"), {"basis": name, "statistics": source}
    folder = artefact.run.again(f"spectrum {source.stem}", spectrum_picture.main, names, **given)
    again = folder / names[artefact.names["form"] == "png"]
    yield same_file("it shows the statistics", artefact, again)
