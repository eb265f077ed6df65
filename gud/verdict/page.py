"""Findings as a table, as a page, and as the short table that the README shows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

import pandas as pd

from gud.report.markdown import markdown_table
from gud.verdict.findings import Finding, Verdict

MARKERS = ("<!-- verdicts -->", "<!-- end of verdicts -->")
VERDICTS = get_args(Verdict)
ERRORS = ("images", "samples", "seeds")
COLUMNS = (
    *("claim", "paper", "place", "statement", "measure", "unit", "statistic", "holds", "published"),
    *("effect", "low", "high", "stderr", *(f"stderr_{name}" for name in ERRORS)),
    *("minus_published", "verdict", "reason", "detectable", "searched", "at", "seeds", "points"),
    "effect_of_each_seed",
    *("data", "stand_in", "tables", "decided_by"),
)
NOTE = (
    "Each effect stands with its 95 % interval, which covers the test images, those of one region "
    "taken together, or samples and reference images, and the training seeds; where points were "
    "searched, it holds for all of them at once. A claim is confirmed if the interval lies within "
    "what it says, refuted if it lies outside, else undecided. One training seed decides nothing. "
    "An undecided claim tells which size of effect would have been seen in four of five repeats."
)


def as_table(findings: Sequence[Finding], stand_in: bool) -> pd.DataFrame:
    """One row for each claim; what there is no number for is empty.

    `stderr_images`, `stderr_samples` and `stderr_seeds` are the parts of `stderr`.
    """
    return pd.DataFrame([_row(finding, stand_in) for finding in findings], columns=COLUMNS)


def _row(finding: Finding, stand_in: bool) -> dict[str, object]:
    claim, effect = finding.claim, finding.effect
    row: dict[str, object] = {
        "claim": finding.name,
        "unit": claim.unit,
        "holds": claim.holds.text,
        "verdict": finding.verdict,
        "reason": finding.reason,
        "at": finding.at,
        "data": finding.data,
        "tables": " ".join(finding.tables),
    }
    row |= {
        key: getattr(claim, key)
        for key in ("paper", "place", "statement", "measure", "statistic", "decided_by")
    }
    row["published"] = claim.published
    if effect is None:
        return row
    row |= {key: getattr(effect, key) for key in ("low", "high", "stderr", "searched")}
    row |= {"effect": effect.value, "seeds": len(finding.of_seeds), "points": finding.points}
    row["effect_of_each_seed"] = " ".join(f"{value:.4g}" for value in finding.of_seeds)
    row |= {f"stderr_{name}": effect.parts.get(name, math.nan) for name in ERRORS}
    if claim.published is not None:
        row["minus_published"] = effect.value - claim.published
    if finding.verdict == "undecided":
        row["detectable"] = effect.detectable
    return row | {"stand_in": stand_in}


def tally(table: pd.DataFrame) -> str:
    """How many claims have each verdict, in words."""
    counts = Counter(table.verdict)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)


def as_page(table: pd.DataFrame, title: str, stand_in: str) -> str:
    """Markdown: all that the table says, in which the claims that were tested come first."""
    lines = [f"# Verdicts of {title}", ""]
    lines += [f"Stand-in: {stand_in}", ""] if stand_in else []
    lines += [f"{tally(table)}. {NOTE}", ""]
    tested, missing = table[table.effect.notna()], table[table.effect.isna()]
    if len(tested):
        header = (
            "claim",
            "true if",
            "paper",
            "effect",
            "95 %",
            "standard errors",
            "each seed",
            "verdict",
            "on",
        )
        lines.append(markdown_table(header, (_cells(row) for _, row in tested.iterrows())))
    if len(missing):
        head = ("not tested", "why", "what would decide it")
        cells = ([_claim(row), row.reason, row.decided_by] for _, row in missing.iterrows())
        lines.append(markdown_table(head, cells))
    return "\n".join(lines).rstrip() + "\n"


SUMMARY = ("claim", "paper", "effect, with its 95 % interval", "verdict", "data")


def as_summary(table: pd.DataFrame) -> str:
    """Markdown: the columns `SUMMARY` of every claim."""
    return markdown_table(SUMMARY, summary_cells(table))


def summary_cells(table: pd.DataFrame) -> Iterator[list[str]]:
    """The cells of `SUMMARY` for every claim, in the order of `VERDICTS`."""
    order = table.verdict.map(VERDICTS.index).sort_values(kind="stable").index
    for _, row in table.loc[order].iterrows():
        cells = [_claim(row), _published(row)]
        if pd.isna(row.effect):
            cells += ["", "no data", f"needs {row.decided_by}"]
        else:
            effect = f"{_number(row.effect)} ({_interval(row)}) {row.unit}, claimed {row.holds}"
            data = f"{row['data']}{' (stand-in)' if row.stand_in else ''}"
            cells += [effect, _with_reason(row), data]
        yield cells


def _cells(row: pd.Series) -> list[str]:
    errors = [
        f"{name} {_number(row[f'stderr_{name}'])}"
        for name in ERRORS
        if not pd.isna(row[f"stderr_{name}"])
    ]
    at = f" at {row['at']}" if isinstance(row["at"], str) and row["at"] else ""
    return [
        _claim(row),
        f"{row.statistic.replace('_', ' ')} {row.holds} {row.unit}",
        _published(row),
        f"{_number(row.effect)}{at}",
        _interval(row),
        ", ".join(errors) or "not known",
        ", ".join(_number(float(value)) for value in row.effect_of_each_seed.split()),
        _with_reason(row),
        f"{row['data']}: {row.tables.replace(' ', ', ')}; {row.points:.0f} points, "
        f"{row.seeds:.0f} seed{'s' if row.seeds > 1 else ''}",
    ]


def _claim(row: pd.Series) -> str:
    return f"{row.statement} ({row.paper}, {row.place})"


def _published(row: pd.Series) -> str:
    return "" if pd.isna(row.published) else _number(row.published)


def _with_reason(row: pd.Series) -> str:
    return (
        f"{row.verdict}: {row.reason}"
        if isinstance(row.reason, str) and row.reason
        else row.verdict
    )


def _interval(row: pd.Series) -> str:
    return f"{_number(row.low)} to {_number(row.high)}"


def _number(value: float) -> str:
    """Three digits after the point, more for what would vanish."""
    return f"{value:.3f}" if abs(value) >= 0.005 or value == 0 else f"{value:.2g}"
