"""Points, tables and qualities of known effects, and the verdicts on them."""

import json

import numpy as np
from presets import made_by

from gud.config.sections.points import point_name
from gud.provenance import write_record
from gud.report.tables import tabulate
from gud.verdict.run import verdicts

IMAGES = 60
CURVE = {0.4: 0.3, 0.8: 0.01, 1.0: 0.0, 1.2: 0.02, 1.6: 0.2}


def settings(group, seed, parameters, **model):
    made = made_by(group=group, seed=seed, **model)
    name = group if seed == 0 else f"{group}_seed{seed}"
    return name, {"experiment": name, "trained": made, "parameters": parameters, "seed": 0}


def likelihood(root, group, seed, a, level, region=None, **model):
    """A point whose bits/dim are those of its images, a level and a little of its own."""
    parameters = {"a": float(a), "r": 0.0}
    name, made = settings(group, seed, parameters, **model)
    own = np.random.default_rng([seed, int(100 * a), len(group)]).normal(0, 0.01, (IMAGES, 1))
    images = np.random.default_rng(1).normal(4, 0.5, (IMAGES, 1))
    path = root / name / "nll" / f"{point_name(parameters)}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"bits_per_dim": images + own + level, "index": np.arange(IMAGES)}
    np.savez(
        path,
        evaluations=np.array([9]),
        **arrays | ({"region": region} if region is not None else {}),
    )
    method = {"method": "tsit5", "probes": 1, "coordinates": "standardised", "batch_size": 60}
    write_record(path, settings=made | {"likelihood": method | {"images": IMAGES}}, started=0.0)
    return path


def table(root, name, points):
    path = root / "tables" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    tabulate(points).to_csv(path, index=False)
    write_record(path, inputs=points)
    return path


def scans(root, seeds=(0, 1, 2), lower="isotropic", shift=0.1, curve=CURVE):
    """Both scans of a, of which that of one prior lies lower; seeds differ by 0.01."""
    points = [
        likelihood(
            root,
            f"a_scan_{'matching' if prior == 'variance_matching' else prior}",
            seed,
            a,
            bits + 0.01 * seed + (0 if prior == lower else shift),
            prior=prior,
        )
        for prior in ("isotropic", "variance_matching")
        for seed in seeds
        for a, bits in curve.items()
    ]
    return table(root, "figure3", points)


def qualities(root, group, replicates, seed=0, **model):
    """A sample quality that is the mean of its groups' numbers, and its jackknife replicates."""
    parameters = {"a": 1.0, "r": 0.0}
    name, made = settings(group, seed, parameters, **model)
    folder = root / name
    for part in ("samples", "quality"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    samples, path = folder / "samples" / "a=1_r=0.npz", folder / "quality" / "a=1_r=0.json"
    np.savez(samples, images=np.zeros((8, 3, 2, 2), dtype=np.uint8))
    sampling = {"method": "ode", "steps": 60}
    write_record(samples, settings=made | {"sampling": sampling}, evaluations=51, started=0.0)
    values = np.array(replicates)
    left_out = (values.sum() - values) / (len(values) - 1)
    measured = {
        "metric": "FD, random features",
        "fid": values.mean(),
        "fid_stderr": values.std(ddof=1) / np.sqrt(len(values)),
        "fid_replicates": {"samples": left_out.tolist(), "reference": []},
        "images": 8,
        "reference": "train",
        "reference_images": 2,
        "extractor": "random",
        "seconds": 1.0,
        "device": "cpu",
    }
    path.write_text(json.dumps(measured))
    write_record(path, inputs=[samples], settings={"stderr_groups": len(values)})
    return path


def found(*tables):
    return verdicts(list(tables), True).set_index("claim")
