"""Presets for tests of the whole workflow."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def as_yaml(raw):
    """YAML by libyaml, many times as fast as by Python."""
    return yaml.dump(raw, Dumper=yaml.CSafeDumper)


def whole_preset():
    """All that the demo makes, of as few networks and as small ones as its figures allow."""
    preset = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    preset["stand_in"] = "test-sized run"
    preset["compute"]["job_batches"] = {"nll": 3, "samples": 2}
    preset["quick"] = ["figure2"]
    del preset["data"]["natural64"], preset["titles"]["natural64"]
    for name, data in preset["data"].items():
        data |= {"size": 8, "stride": 24}
        preset["titles"][name] = "8x8 patches"
    _shrink(preset["defaults"])
    preset["defaults"]["nll"]["grids"] = [{"a": [0.6, 1.0], "r": [0]}]
    preset["defaults"]["nll"]["settings"] |= {"steps": None, "renewals": 0, "also": []}
    preset["defaults"]["quality"]["metric"] |= {"stderr_groups": 4}
    experiments, figures = preset["experiments"], preset["figures"]
    for name in ("whitened_isotropic", "whitened_matching", "without_preconditioning"):
        del experiments[name]
        figures["prior_and_input"]["experiments"].remove(name)
    del experiments["columns_b03"], experiments["large"]
    figures["columns"]["experiments"].remove("columns_b03")
    for experiment in experiments.values():
        experiment.pop("seeds", None)
        experiment.pop("training", None)
        _shrink(experiment)
    experiments["ordering_scan"]["nll"] = {
        "grids": [{"a": [1.0, 1.2], "r": [0, 0.3]}],
        "settings": {
            **{"images": 4, "steps": 2, "finer": {"steps": 4, "images": 2}},
            **{"also": ["noised", "bound"], "bound_times": 2},
        },
    }
    experiments["free_path"]["nll"]["settings"] = experiments["ordering_scan"]["nll"]["settings"]
    experiments["wavelets"]["nll"]["grids"] = [{"a": [0.3, 0.4], "b": [0.3]}]
    experiments["wavelets"]["nll"]["settings"] |= {"steps": 20, "renewals": 20}
    experiments["free_path"]["search"] |= {"steps": 2, "batch_size": 2, "images": 2, "times": 2}
    figures["figure4"] |= {"image": 0, "times": 3}
    few = {"batch_size": 2, "steps": 2, "images": 2}
    figures["figure7"]["settings"] |= {"strips": 2, "batch_size": 2, "windows": 2}
    figures["figure8"]["settings"] |= {**few, "keys": 2}
    figures["figure9"] |= {"experiment": "a_scan_matching"}
    figures["figure9"]["sampling"] |= few
    figures["figure9"]["grids"] = [{"a": [0.7, 1.4], "r": [0]}]
    figures["sampler_bias"] |= {"a": [1.0], "steps": [4, 8]}
    return preset


def _shrink(section):
    """Make an experiment, or the defaults, as small as can be, in what it states."""
    if network := section.get("network"):
        network |= {"width": 8, "multipliers": [1]}
        network["attention"] = [8] if network.get("attention") else []
        network |= {key: 8 for key in ("gamma_width", "tokens_width") if key in network}
    if training := section.get("training"):
        training |= {"steps": 6, "batch_size": 8, "checkpoint_every": 3, "log_every": 2}
    if nll := section.get("nll"):
        ends = [
            {name: values[:: len(values) - 1 or 1] for name, values in grid.items()}
            for grid in nll["grids"]
        ]
        nll["grids"] = ends
        few = {"images": 4, "batch_size": 2, "rtol": 0.1, "atol": 0.1}
        if "settings" in nll:
            nll["settings"] |= few
    if quality := section.get("quality"):
        quality["grids"] = quality["grids"] and [{"a": [1.0], "r": [0]}]
        if "sampling" in quality:
            few = {"images": 8, "batch_size": 4, "method": "ancestral", "steps": 2}
            quality["sampling"] |= few


def tiny_preset():
    """Figures 2, 3, 5 and 6 at that scale, which take three networks."""
    preset = whole_preset()
    experiments, figures = preset["experiments"], preset["figures"]
    del preset["data"]["tissue16"], preset["titles"]["tissue16"]
    for name in set(experiments) - {"a_scan_isotropic", "a_scan_matching", "ordering_scan"}:
        del experiments[name]
    for name in set(figures) - {"figure2", "figure3", "figure5", "figure6", "sampler_bias"}:
        del figures[name]
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
