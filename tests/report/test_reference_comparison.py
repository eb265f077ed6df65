"""The comparison in the README is that of the reference results."""

from pathlib import Path

import pandas as pd
from presets import ROOT

from gud.provenance import read_record, sha256
from gud.report.comparison import MARKERS, as_markdown
from gud.report.published import load_published

REFERENCE = ROOT / "docs" / "reference"


def test_the_readme_shows_the_reference_comparison():
    text = (ROOT / "README.md").read_text()
    shown = text.partition(MARKERS[0] + "\n")[2].partition(MARKERS[1])[0]
    numbers = load_published(REFERENCE / "published.yaml")
    assert shown == as_markdown(pd.read_csv(REFERENCE / "comparison.csv"), numbers)


def test_the_reference_comparison_is_of_the_reference_tables():
    record = read_record(REFERENCE / "comparison.csv")
    made_from = {Path(path).name: digest for path, digest in record["inputs"].items()}
    for name in ("figure3.csv", "figure5.csv", "columns.csv", "wavelets.csv"):
        assert made_from[name] == sha256(REFERENCE / name)
    assert record["sha256"] == sha256(REFERENCE / "comparison.csv")
    made = pd.read_csv(REFERENCE / "comparison.csv")
    rows = made[made.measure == "bits_per_dim"].set_index("place")
    columns = pd.read_csv(REFERENCE / "columns.csv").nll_bits_per_dim
    assert rows.loc["section 5.2", "other_data_bits_per_dim"].tolist() == columns.tolist()
    assert rows.loc["section 5.2", "published_bits_per_dim"].tolist() == [3.90, 3.94]
    assert rows.loc["section 5.3", "published_bits_per_dim"] == 3.17
    numbers = load_published(REFERENCE / "published.yaml").quantities
    published = {n.quantity: n.value for n in numbers if n.measure == "bits_per_dim"}
    printed = rows.set_index("quantity").published_bits_per_dim
    assert {name: None if pd.isna(value) else value for name, value in printed.items()} == published
