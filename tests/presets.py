"""Presets for tests of the whole workflow."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def tiny_preset():
    """The demo preset at the smallest scale that still trains and evaluates everything."""
    preset = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    preset["stand_in"] = "test-sized run"
    preset["data"] = {"natural16": {"source": "natural_patches", "size": 8, "stride": 24}}
    preset["titles"] = {"natural16": "8x8 patches"}
    preset["compute"]["job_batches"] = {"nll": 3, "samples": 1}
    defaults = preset["defaults"]
    defaults["network"] |= {"width": 8, "multipliers": [1], "attention": [8], "gamma_width": 8}
    defaults["training"] |= {"steps": 6, "batch_size": 8, "checkpoint_every": 3, "log_every": 2}
    defaults["nll"]["grids"] = [{"a": [0.6, 1.0], "r": [0]}]
    defaults["nll"]["settings"] |= {"images": 4, "batch_size": 2, "rtol": 0.1, "atol": 0.1}
    defaults["nll"]["settings"] |= {"steps": None, "also": []}
    defaults["quality"]["grids"] = [{"a": [1.0], "r": [0]}]
    defaults["quality"]["sampling"] |= {"images": 8, "batch_size": 4}
    defaults["quality"]["sampling"] |= {"method": "ancestral", "steps": 2}
    defaults["quality"]["metric"] |= {"stderr_groups": 4}
    experiments, figures = preset["experiments"], preset["figures"]
    for name in ("columns_b03", "columns_b05", "wavelets", "large", "without_preconditioning"):
        del experiments[name]
    for name in ("whitened_isotropic", "whitened_matching", "free_path"):
        del experiments[name]
    for name in ("a_scan_isotropic", "a_scan_matching"):
        del experiments[name]["seeds"]
    for name in ("figure1", "figure4", "figure7", "figure8", "figure9", "wavelets", "columns"):
        del figures[name]
    del figures["prior_and_input"]
    figures["sampler_bias"] |= {"a": [1.0], "steps": [4, 8]}
    preset["quick"] = ["figure2"]
    ordering = experiments["ordering_scan"]
    ordering["network"] |= {"width": 8, "multipliers": [1], "tokens_width": 8}
    ordering["nll"] = {
        "grids": [{"a": [1.0, 1.2], "r": [0, 0.3]}],
        "settings": {
            **{"images": 4, "steps": 2, "finer": {"steps": 4, "images": 2}},
            **{"also": ["noised", "bound"], "bound_times": 2},
        },
    }
    return preset


def made_by(*, group="scan", seed=0, data="natural16", steps=6, gamma_noise="auto", **model):
    """What a record says of the training that made a model."""
    chosen = {"prior": "isotropic", "network_space": "image", "preconditioning": "none"} | model
    return {
        "group": group,
        "seed": seed,
        "data": data,
        "model": chosen | {"schedule": {"gamma_noise": gamma_noise}},
        "training": {"steps": steps},
    }
