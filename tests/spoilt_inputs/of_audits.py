"""Commands that hold something against artefacts, or tell how they came about."""

from spoilt_command import MODEL, POINT, TABLE, Command

COMMANDS = {
    "audit": Command(
        f"audit {{root}}/{TABLE}",
        (f"{TABLE}.json", TABLE, f"{POINT}.json", MODEL),
        (0, 2),
    ),
    "trace": Command(
        f"trace {{root}}/{TABLE} a=1 r=0",
        (TABLE, f"{TABLE}.json", f"{POINT}.json", POINT, f"{MODEL}.json"),
        (0, 2),
    ),
    "verify": Command(
        "verify {root}/tiny.yaml --results {root}/few",
        ("few/iso/training.csv", "few/iso/training.csv.json", f"few/{POINT}", "tiny.yaml"),
        (0, 1, 2),
        judges=True,
    ),
    "publish": Command(
        f"publish --out {{root}}/new {{root}}/iso/scale.csv {{root}}/{TABLE}",
        (TABLE, f"{TABLE}.json", f"{POINT}.json", MODEL),
        (0, 2),
    ),
    "compare": Command(
        "compare {root}/few {root}/again",
        ("again/iso/training.csv", f"few/{MODEL}", f"few/{POINT}", f"again/{TABLE}.json"),
        (0, 2),
        judges=True,
    ),
    "report": Command(
        "report {root}/tiny.yaml --results {root}/few --out {root}/new/page.html",
        (f"few/{TABLE}", f"few/{TABLE}.json", "few/iso/picture.png", "tiny.yaml"),
        (0, 2),
        out="new/page.html",
    ),
    "crate": Command(
        "crate {root}/tiny.yaml --results {root}/few --out {root}/new/crate.zip",
        (f"few/{TABLE}.json", f"few/{TABLE}", f"few/{MODEL}.json", "tiny.yaml"),
        (0, 2),
    ),
}
