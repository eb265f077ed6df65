"""Commands that write tables, comparisons, verdicts and summaries."""

from spoilt_command import DATA, MODEL, POINT, PRESET, QUALITY, SAMPLES, TABLE, Command

COMMANDS = {
    "table": Command(
        f"table --out {{root}}/new/t.csv {{root}}/{POINT} {{root}}/{QUALITY} "
        "{root}/iso/scale.csv",
        (
            POINT,
            QUALITY,
            "iso/scale.csv",
            "iso/scale.csv.json",
            f"{POINT}.json",
            f"{QUALITY}.json",
            f"{SAMPLES}.json",
        ),
        out="new/t.csv",
    ),
    "comparison": Command(
        "comparison --published {root}/published.yaml --markdown {root}/page.md "
        f"--out {{root}}/new/c.csv {{root}}/{TABLE}",
        (
            "published.yaml",
            TABLE,
            f"{TABLE}.json",
            f"{POINT}.json",
            f"{MODEL}.json",
            f"{DATA}.json",
            "iso/training.csv",
            "page.md",
        ),
        (0, 2),
        out="new/c.csv",
    ),
    "verdict": Command(
        "verdict {root}/tiny.yaml --out {root}/new/v.csv --markdown {root}/page.md "
        f"{{root}}/{TABLE} {{root}}/{SAMPLES}",
        (
            TABLE,
            f"{TABLE}.json",
            POINT,
            f"{POINT}.json",
            QUALITY,
            f"{SAMPLES}.json",
            SAMPLES,
            "page.md",
        ),
        out="new/v.csv",
    ),
    "summary": Command(
        f"summary {PRESET} --out {{root}}/new/s.md {{root}}/{TABLE} {{root}}/f.pdf",
        (TABLE,),
        out="new/s.md",
    ),
}
