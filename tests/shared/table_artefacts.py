"""Likelihoods and qualities of known numbers, with real records, and what tables say of them."""

import json
import time

import numpy as np
import pytest
from presets import made_by

from gud.config.sections.points import point_name
from gud.errors import InputError
from gud.provenance import write_record
from gud.report import tables

METHOD = {"method": "tsit5", "probes": 2, "coordinates": "standardised", "batch_size": 2}
METRIC = "FD, random features"


def settings(experiment, parameters, prior, **made):
    trained = made_by(prior=prior, **{"group": experiment} | made)
    return {"experiment": experiment, "trained": trained, "parameters": parameters, "seed": 0}


def likelihood(root, a, bits, *, r=0, **options):
    return likelihood_at(root, {"a": float(a), "r": float(r)}, bits, **options)


def likelihood_at(
    root,
    parameters,
    bits,
    *,
    index=None,
    region=None,
    experiment="scan",
    prior="isotropic",
    evaluations=(90, 96),
    others=(),
    asked=(),
    **made,
):
    bits = np.array(bits, dtype=np.float64)
    path = root / experiment / "nll" / f"{point_name(parameters)}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    index = np.arange(len(bits)) if index is None else np.array(index)
    regions = {} if region is None else {"region": region}
    arrays = dict(others) | regions
    np.savez(path, bits_per_dim=bits, index=index, evaluations=np.array(evaluations), **arrays)
    also = [name.removesuffix("_bits_per_dim") for name in dict(others)]
    likelihood = METHOD | {"images": len(bits), "also": also} | dict(asked)
    write_record(
        path,
        settings=settings(experiment, parameters, prior, **made) | {"likelihood": likelihood},
        device="gpu",
        started=time.time(),
    )
    return path


def quality(root, a, fid, *, r=0, experiment="scan", prior="isotropic", stderr=None, images=8):
    parameters = {"a": float(a), "r": float(r)}
    name = point_name(parameters)
    samples = root / experiment / "samples" / f"{name}.npz"
    path = root / experiment / "quality" / f"{name}.json"
    for folder in (samples.parent, path.parent):
        folder.mkdir(parents=True, exist_ok=True)
    np.savez(samples, images=np.zeros((images, 3, 2, 2), dtype=np.uint8))
    sampling = {"method": "euler_maruyama", "steps": 50}
    write_record(
        samples,
        settings=settings(experiment, parameters, prior) | {"sampling": sampling},
        evaluations=51,
        started=0.0,
    )
    reference = root / "data.npz"
    np.savez(reference, train=np.zeros((2, 3, 2, 2), dtype=np.uint8))
    write_record(reference, settings={"source": "natural_patches"})
    measured = {
        "metric": METRIC,
        "fid": fid,
        "fid_stderr": stderr,
        "images": images,
        "reference": "train",
        "reference_images": 2,
        "extractor": "random",
        "seconds": 1.0,
        "device": "cpu",
    }
    path.write_text(json.dumps(measured))
    write_record(path, inputs=[samples, reference])
    return path


BITS = {0.5: [[4.0, 4.2], [5.0, 5.4], [6.0, 6.0]], 1.0: [[4.0, 4.0], [5.0, 5.0], [5.7, 5.9]]}


def refused(points):
    with pytest.raises(InputError) as caught:
        tables.tabulate(points)
    return str(caught.value)
