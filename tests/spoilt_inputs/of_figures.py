"""The drawing of each figure."""

from spoilt_command import (
    DATA,
    FITTED,
    FREE,
    MODEL,
    PATHS,
    POINT,
    PRESET,
    SAMPLES,
    TABLE,
    A,
    B,
    Command,
)

COMMANDS = {
    "figure2": Command(
        f"figure figure2 {PRESET} --out {{root}}/new/f.pdf {{root}}/{FITTED}",
        (FITTED,),
        out="new/f.pdf",
    ),
    "figure3": Command(
        f"figure figure3 {PRESET} --out {{root}}/new/f.pdf {{root}}/{TABLE}",
        (TABLE,),
        out="new/f.pdf",
    ),
    "figure4": Command(
        f"figure figure4 {PRESET} --out {{root}}/new/f.pdf {{root}}/{DATA} "
        "{root}/data/natural16.pca.safetensors {root}/data/natural16.pixel.safetensors "
        "{root}/data/natural16.haar2.safetensors",
        (DATA, "data/natural16.pca.safetensors"),
        out="new/f.pdf",
    ),
    "figure5": Command(
        f"figure figure5 {PRESET} --out {{root}}/new/f.png {{root}}/{TABLE}",
        (TABLE,),
        out="new/f.png",
    ),
    "figure6": Command(
        f"figure figure6 {PRESET} --out {{root}}/new/f.png", ("tiny.yaml",), out="new/f.png"
    ),
    "figure7": Command(
        f"figure figure7 {PRESET} --out {{root}}/new/f.pdf {{root}}/columns/strips/{B}.npz",
        (f"columns/strips/{B}.npz",),
        out="new/f.pdf",
    ),
    "figure8": Command(
        f"figure figure8 {PRESET} --out {{root}}/new/f.pdf "
        f"{{root}}/columns/reconstructions/{B}.npz",
        (f"columns/reconstructions/{B}.npz",),
        out="new/f.pdf",
    ),
    "figure9": Command(
        f"figure figure9 {PRESET} --out {{root}}/new/f.pdf {{root}}/{SAMPLES}",
        (SAMPLES, f"{SAMPLES}.json"),
        out="new/f.pdf",
    ),
    "figure1": Command(
        f"figure figure1 {PRESET} --out {{root}}/new/f.pdf {{root}}/{FREE} {{root}}/{PATHS}",
        (FREE, PATHS),
        out="new/f.pdf",
    ),
    "inpainting": Command(
        f"figure inpainting {PRESET} --out {{root}}/new/f.pdf {{root}}/columns/inpainted/{B}.npz",
        (f"columns/inpainted/{B}.npz",),
        out="new/f.pdf",
    ),
    "conditional": Command(
        f"figure conditional {PRESET} --out {{root}}/new/f.pdf {{root}}/{DATA} "
        f"{{root}}/iso/guided/{A}.npz",
        (f"iso/guided/{A}.npz", DATA),
        out="new/f.pdf",
    ),
    "course": Command(
        f"course {PRESET} --experiment iso --table {{root}}/iso/training.csv "
        "--picture {root}/new/t.png",
        ("iso/training.csv",),
        out="new/t.png",
    ),
    "likelihoods": Command(
        f"likelihoods {PRESET} --experiment iso --picture {{root}}/new/n.png {{root}}/{POINT}",
        (POINT, f"{POINT}.json"),
        out="new/n.png",
    ),
    "samples": Command(
        f"samples {PRESET} --experiment iso --picture {{root}}/new/s.png {{root}}/{SAMPLES}",
        (SAMPLES, f"{SAMPLES}.json"),
        out="new/s.png",
    ),
    "steps": Command(
        f"steps {PRESET} --experiment iso --model {{root}}/{MODEL} --data {{root}}/{DATA} "
        "--picture {root}/new/s.png",
        (MODEL, DATA),
        out="new/s.png",
    ),
}
