"""All artefacts that the commands read, made by the commands."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from archive_site import png_files, write_parquet
from commands import gud, write_preset
from PIL import Image
from presets import tiny_preset
from spoilt_command import (
    COLUMNS,
    DATA,
    FITTED,
    FREE,
    GUIDE,
    ISO,
    MODEL,
    PATHS,
    PRESET,
    QUALITY,
    SAMPLES,
    TABLE,
    A,
    B,
    filled,
)

from gud.provenance import sha256

ENDS = ("gamma_denoise", "gamma_noise", "time_power")
POINTS = (A, "a=1_r=0.2", "a=1.2_r=0", "a=1.2_r=0.2")


def preset() -> dict:
    preset = tiny_preset()
    preset["downloads"] = {
        name: {"url": f"file:///{name}.parquet", "sha256": "unpublished"}
        for name in ("train", "test")
    }
    archives = {"train": ["train"], "test": ["test"]}
    preset["data"]["faces"] = {"source": "images", "size": 8, "archives": archives}
    preset["titles"]["faces"] = "faces"
    defaults = preset["defaults"]
    defaults["basis"] = {"name": "fourier"}
    defaults["training"] |= {"steps": 2, "checkpoint_every": 2, "log_every": 1}
    defaults["nll"]["grids"] = [{"a": [1.0, 1.2], "r": [0, 0.2]}]
    defaults["schedule"]["ranges"] = {"a": [0.4, 1.6], "r": [0, 1]}
    columns = {"name": "columns", "gamma_denoise": -7.0, "gamma_noise": "auto"}
    columns |= {"time_power": 1.0, "ranges": {"b": [0.5, 0.5]}}
    nothing = {"grids": []}
    preset["experiments"] = {
        "iso": {"title": "isotropic"},
        "columns": {
            "title": "columns",
            "basis": {"name": "pixel"},
            "schedule": columns,
            "nll": nothing,
            "quality": nothing,
        },
        "free": {
            "title": "a path of its own",
            "weights_of": "iso",
            "schedule": {
                **{key: defaults["schedule"][key] for key in ENDS},
                "name": "free",
                "ranges": {"s": [0, 1]},
                "groups": 2,
                "knots": 3,
                "a": [0.4, 1.6],
                "levels": None,
            },
            "search": {"steps": 2, "batch_size": 2, "learning_rate": 0.1, "images": 2, "times": 1},
            "nll": {"grids": [{"s": [1]}]},
            "quality": nothing,
        },
    }
    strips = {"strips": 2, "batch_size": 2, "windows": 3, "shift": 2, "time": None, "residual": 0.0}
    point = {"grids": [{"b": [0.5]}]}
    sampling = defaults["quality"]["sampling"]
    preset["figures"] = {
        "figure1": {"experiments": ["free", "iso"]},
        "figure2": {"experiment": "iso", "components": 4},
        "figure3": {"experiments": ["iso"]},
        "figure4": {
            "data": "natural16",
            "split": "test",
            "image": 0,
            "times": 3,
            "seed": 0,
            "gamma_denoise": -7.0,
            "haar": {"name": "haar", "levels": 2},
            "columns_b": 0.5,
            "wavelets": {"a": 0.5, "b": 0.5},
            "process": "ou",
        },
        "figure5": {"experiments": ["iso"], "box": {"a": [0.9, 1.1], "r": [0, 0.1]}},
        "figure6": {"columns": 3, "b": [0.5], "gamma_denoise": -7.0},
        "figure7": point
        | {"experiment": "columns", "settings": strips | {"steps_per_unit": 10}, "strip": 0},
        "figure8": point
        | {
            "experiment": "columns",
            "settings": {"images": 2, "batch_size": 2, "keys": 2, "time": 0.5, "steps": 2},
        },
        "conditional": {
            "experiment": "iso",
            "grids": [{"a": [1.0], "r": [0]}],
            "settings": {
                "classifier": {"network": defaults["network"], "training": defaults["training"]},
                "guidance": {"scale": 1.0, "sampling": sampling | {"images": 2, "batch_size": 64}},
            },
        },
        "inpainting": point
        | {
            "experiment": "columns",
            "settings": {
                "known": "left",
                "keys": 2,
                "sampling": sampling | {"images": 2, "batch_size": 2},
            },
        },
        "figure9": {
            "experiment": "iso",
            "grids": [{"a": [1.0], "r": [0]}],
            "sampling": sampling,
            "image": 0,
        },
    }
    return preset


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """All artefacts that the commands read, made by the commands."""
    root = tmp_path_factory.mktemp("made")
    write_preset(root / "tiny.yaml", preset())
    request = preset()
    request["defaults"]["nll"]["settings"] |= {"images": 16, "batch_size": 16}
    write_preset(root / "request.yaml", request)
    for name in ("faces.parquet", "page.md", "published.yaml"):
        shutil.copyfile(_shared(tmp_path_factory, name), root / name)
    (root / "digest").write_text(sha256(root / "faces.parquet"))

    def do(words: str) -> None:
        assert gud(*(filled(word, root) for word in words.split())) == 0, words

    do(f"dataset {PRESET} --name natural16 --out {{root}}/{DATA}")
    for basis in ("fourier", "pixel", "pca", "haar2"):
        out = f"{{root}}/data/natural16.{basis}.safetensors"
        do(f"statistics --basis {basis} --mirrored --data {{root}}/{DATA} --out {out}")
    for name, basis in (("iso", "fourier"), ("columns", "pixel")):
        do(
            f"train {PRESET} --experiment {name} --data {{root}}/{DATA} --statistics "
            f"{{root}}/data/natural16.{basis}.safetensors --device cpu "
            f"--out {{root}}/{name}/model.safetensors"
        )
    for name in ("guide", "judge"):
        do(
            f"train {ISO} --classifier {name} --data {{root}}/{DATA} --statistics "
            f"{{root}}/{FITTED} --device cpu "
            f"--out {{root}}/iso/classifiers/{name}/model.safetensors"
        )
    for quantity in ("nll", "samples"):
        data = f" --data {{root}}/{DATA}" if quantity == "nll" else ""
        inputs = f"{{root}}/{MODEL}" + (f" {{root}}/{DATA}" if data else "")
        do(
            f"evaluate {ISO} --quantity {quantity} --job all --model {{root}}/{MODEL}{data} "
            f"--device cpu --out {{root}}/iso/{quantity}/jobs/0.json"
        )
        for point in POINTS if quantity == "nll" else POINTS[:1]:
            out = f"{{root}}/iso/{quantity}/{point}.npz"
            do(f"join {ISO} --quantity {quantity} --point {point} --out {out} {inputs}")
    do(
        f"quality {ISO} --samples {{root}}/{SAMPLES} --reference {{root}}/{DATA} "
        f"--out {{root}}/{QUALITY}"
    )
    do(
        f"scale {ISO} --data {{root}}/{DATA} --statistics {{root}}/{FITTED} "
        "--out {root}/iso/scale.csv"
    )
    points = " ".join(f"{{root}}/iso/nll/{point}.npz" for point in POINTS)
    do(f"table --out {{root}}/{TABLE} {points} {{root}}/{QUALITY}")
    free = f"{PRESET} --experiment free"
    do(
        f"search {free} --model {{root}}/{MODEL} --data {{root}}/{DATA} --device cpu "
        f"--out {{root}}/{FREE}"
    )
    do(
        f"evaluate {free} --quantity nll --job all --model {{root}}/{FREE} --data {{root}}/{DATA} "
        "--device cpu --out {root}/free/nll/jobs/0.json"
    )
    inputs = f"{{root}}/{FREE} {{root}}/{DATA}"
    do(f"join {free} --quantity nll --point s=1 --out {{root}}/free/nll/s=1.npz {inputs}")
    do(f"table --out {{root}}/{PATHS} --reference free=iso {{root}}/free/nll/s=1.npz {points}")
    end = f"--point {B} --data {{root}}/{DATA} --device cpu"
    do(f"extend {COLUMNS} {end} --out {{root}}/columns/strips/{B}.npz")
    do(f"reconstruct {COLUMNS} {end} --out {{root}}/columns/reconstructions/{B}.npz")
    do(f"inpaint {COLUMNS} {end} --out {{root}}/columns/inpainted/{B}.npz")
    judge = GUIDE.replace("guide", "judge")
    do(
        f"guide {ISO} --point {A} --model {{root}}/{MODEL} --guide {{root}}/{GUIDE} --judge "
        f"{{root}}/{judge} --data {{root}}/{DATA} --device cpu --out {{root}}/iso/guided/{A}.npz"
    )
    few(root, root / "few")
    shutil.copytree(root / "few", root / "again", symlinks=True)
    (root / "logs/iso").mkdir(parents=True)
    (root / "logs/iso/train.log").write_text("12:00:00 iso\n")
    return root


def _shared(tmp_path_factory, name: str) -> Path:
    folder = tmp_path_factory.mktemp("sources")
    if name == "faces.parquet":
        pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
        write_parquet(folder / name, png_files(pixels))
        return folder / name
    text = {
        "page.md": "# Page\n<!-- comparison -->\n<!-- end of comparison -->\n"
        "<!-- verdicts -->\n<!-- end of verdicts -->\n",
        "published.yaml": "measures:\n  bits_per_dim: {title: b, column: nll_bits_per_dim, stderr: "
        "nll_stderr, images: images, evaluations: network_evaluations, seconds: seconds, device: "
        "device}\nquantities:\n- {quantity: q, place: p, experiment: iso, point: null, data: d, "
        "settings: {source: natural_patches}, value: 3.0}\n",
    }
    (folder / name).write_text(text[name])
    return folder / name


def few(root: Path, folder: Path) -> None:
    """Results with all that a table was made from, of which a few are no links."""
    (folder / "iso/nll").mkdir(parents=True)
    (folder / "tables").mkdir()
    (folder / "data").symlink_to("../data")
    for name in ("quality", "samples"):
        (folder / "iso" / name).symlink_to(f"../../iso/{name}")
    artefacts = ["iso/training.csv", MODEL, TABLE, *(f"iso/nll/{point}.npz" for point in POINTS)]
    for artefact in artefacts:
        for name in (artefact, f"{artefact}.json"):
            shutil.copyfile(root / name, folder / name)
    Image.new("RGB", (2, 2)).save(folder / "iso/picture.png")


@pytest.fixture(scope="session")
def spare(tmp_path_factory):
    """Where the copy of all artefacts lies between tests."""
    return tmp_path_factory.mktemp("spare")


@pytest.fixture
def root(made, spare, tmp_path, monkeypatch):
    """A copy of all artefacts, and a folder to work in, by a name of its own for each test."""
    mirror(made, spare)
    # At the same depth, as records name photographs outside by the way there.
    spare.rename(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    tmp_path.rename(spare)


def mirror(source: Path | os.DirEntry[str], copy: Path) -> None:
    """Make a folder a copy of another again: what was written, altered or removed there since."""
    wanted = {entry.name: entry for entry in os.scandir(source)}
    for entry in [*os.scandir(copy)]:
        if entry.name not in wanted or not unchanged(entry, wanted[entry.name]):
            folder = entry.is_dir(follow_symlinks=False)
            shutil.rmtree(entry) if folder else os.unlink(entry)
    for name, entry in wanted.items():
        path = copy / name
        if entry.is_dir(follow_symlinks=False):
            path.mkdir(exist_ok=True)
            mirror(entry, path)
        elif not os.path.lexists(path):
            shutil.copy2(entry, path, follow_symlinks=False)


def unchanged(entry: os.DirEntry[str], original: os.DirEntry[str]) -> bool:
    now, then = (one.stat(follow_symlinks=False) for one in (entry, original))
    same = now.st_mode == then.st_mode
    if stat.S_ISDIR(now.st_mode):
        return same
    return same and (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns)
