"""Commands that train networks and evaluate them."""

from spoilt_command import COLUMNS, DATA, FITTED, GUIDE, ISO, MODEL, PRESET, SAMPLES, A, B, Command

COMMANDS = {
    "train": Command(
        f"train {ISO} --data {{root}}/{DATA} --statistics {{root}}/{FITTED} --device cpu "
        "--out {root}/new/model.safetensors",
        (DATA, FITTED),
        out="new/model.safetensors",
    ),
    "search": Command(
        f"search {PRESET} --experiment free --model {{root}}/{MODEL} --data {{root}}/{DATA} "
        "--device cpu --out {root}/new/path.safetensors",
        (MODEL, DATA),
        out="new/path.safetensors",
    ),
    "evaluate": Command(
        f"evaluate {ISO} --quantity nll --job all --model {{root}}/{MODEL} --data {{root}}/{DATA} "
        "--device cpu --out {root}/new/jobs/all.json",
        (MODEL, DATA),
        out="new/jobs/all.json",
    ),
    "evaluate samples": Command(
        f"evaluate {ISO} --quantity samples --job all --model {{root}}/{MODEL} --device cpu "
        "--out {root}/new/jobs/all.json",
        (MODEL,),
        out="new/jobs/all.json",
    ),
    "evaluate-to": Command(
        f"evaluate-to --preset {{root}}/request.yaml --experiment iso --stderr 1 "
        f"--model {{root}}/{MODEL} --data {{root}}/{DATA} --device cpu --out {{root}}/new/e.csv",
        (MODEL,),
        out="new/e.csv",
    ),
    "join": Command(
        f"join {ISO} --quantity nll --point {A} --out {{root}}/iso/nll/{A}.npz {{root}}/{MODEL} "
        f"{{root}}/{DATA}",
        (MODEL, DATA, f"iso/nll/shards/{A}/000000.npz", f"iso/nll/shards/{A}/000002.npz"),
        out=f"iso/nll/{A}.npz",
    ),
    "quality": Command(
        f"quality {ISO} --samples {{root}}/{SAMPLES} --reference {{root}}/{DATA} "
        "--out {root}/new/q.json",
        (SAMPLES, DATA),
        out="new/q.json",
    ),
    "scale": Command(
        f"scale {ISO} --data {{root}}/{DATA} --statistics {{root}}/{FITTED} "
        "--out {root}/new/s.csv",
        (DATA, FITTED),
        out="new/s.csv",
    ),
    "extend": Command(
        f"extend {COLUMNS} --point {B} --data {{root}}/{DATA} --device cpu "
        "--out {root}/new/strips.npz",
        ("columns/model.safetensors", DATA),
        out="new/strips.npz",
    ),
    "reconstruct": Command(
        f"reconstruct {COLUMNS} --point {B} --data {{root}}/{DATA} --device cpu "
        "--out {root}/new/r.npz",
        ("columns/model.safetensors", DATA),
        out="new/r.npz",
    ),
    "train a classifier": Command(
        f"train {ISO} --classifier guide --data {{root}}/{DATA} --statistics {{root}}/{FITTED} "
        "--device cpu --out {root}/new/model.safetensors",
        (DATA, FITTED),
        out="new/model.safetensors",
    ),
    "guide": Command(
        f"guide {ISO} --point {A} --model {{root}}/{MODEL} --guide {{root}}/{GUIDE} --judge "
        f"{{root}}/iso/classifiers/judge/model.safetensors --data {{root}}/{DATA} --device cpu "
        "--out {root}/new/g.npz",
        (GUIDE, DATA, MODEL),
        out="new/g.npz",
    ),
    "inpaint": Command(
        f"inpaint {COLUMNS} --point {B} --data {{root}}/{DATA} --device cpu "
        "--out {root}/new/i.npz",
        ("columns/model.safetensors", DATA),
        out="new/i.npz",
    ),
}
