"""Commands that make data sets and what is fitted to them."""

from spoilt_command import DATA, FITTED, PRESET, Command

COMMANDS = {
    "download": Command(
        "download --url file://{root}/faces.parquet --sha256 {digest} "
        "--out {root}/new/faces.parquet",
        ("faces.parquet",),
        out="new/faces.parquet",
    ),
    "dataset": Command(
        f"dataset {PRESET} --name faces --out {{root}}/new/faces.npz {{root}}/faces.parquet "
        "{root}/faces.parquet",
        ("faces.parquet", "tiny.yaml"),
        out="new/faces.npz",
    ),
    "statistics": Command(
        f"statistics --basis fourier --data {{root}}/{DATA} --out {{root}}/new/s.safetensors",
        (DATA,),
        out="new/s.safetensors",
    ),
    "centre": Command(
        f"centre --data {{root}}/{DATA} --mean {{root}}/new/m.npy --levels {{root}}/new/l.csv "
        "--checks {root}/new/c.csv --picture {root}/new/p.png",
        (DATA,),
        out="new/l.csv",
    ),
    "spectrum": Command(
        f"spectrum --basis fourier --statistics {{root}}/{FITTED} --table {{root}}/new/s.csv "
        "--picture {root}/new/s.png",
        (FITTED,),
        out="new/s.csv",
    ),
}
