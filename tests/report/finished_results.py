"""Results of one experiment with real records: data, a training, likelihoods and their table."""

import json

import numpy as np
from commands import gud
from presets import made_by

from gud.config.sections.points import point_name
from gud.provenance import write_record

METHOD = {"method": "tsit5", "probes": 1, "coordinates": "standardised"}
BITS = {0.4: [3.0, 3.2], 0.8: [2.0, 2.4], 1.0: [2.5, 2.5]}
PHOTOGRAPHS = {"source": "natural_patches", "size": 16, "stride": 6}


def results(root, data=PHOTOGRAPHS, experiment="scan", steps=300):
    """Data, a training of 2 hours, points of 90 seconds each and their table, with real records."""
    folder, images = root / experiment, root / "data" / "images.npz"
    (folder / "nll").mkdir(parents=True)
    images.parent.mkdir(exist_ok=True)
    images.write_bytes(json.dumps(data).encode())
    write_record(images, settings=data)
    model, history = folder / "model.safetensors", folder / "training.csv"
    model.write_bytes(b"weights")
    history.write_text("step,loss,images_per_second,seconds\n150,1,1,3600\n300,0.5,1,7200\n")
    training = {"experiment": experiment, "training": {"steps": steps}, "seed": 0}
    for artefact in (model, history):
        write_record(artefact, inputs=[images], settings=training, training_seconds=7200.0)
    points = []
    for a, bits in BITS.items():
        parameters = {"a": a, "r": 0.0}
        points.append(folder / "nll" / f"{point_name(parameters)}.npz")
        array = np.array(bits)[:, None]
        np.savez(points[-1], bits_per_dim=array, index=np.arange(2), evaluations=np.array([60]))
        settings = {"experiment": experiment, "parameters": parameters}
        settings |= {"trained": made_by(group=experiment)}
        write_record(
            points[-1],
            inputs=[model, images],
            settings=settings | {"likelihood": METHOD},
            seconds=90.0,
        )
    table = root / "tables" / f"{experiment}.csv"
    assert gud("table", "--out", table, *points) == 0
    return table
