"""The claims of both papers, as `claims.yaml` lists them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gud.config.reading import read_yaml
from gud.config.sections.section import Name, Section, Text
from gud.config.sections.validation import validate
from gud.errors import InputError

CLAIMS = Path(__file__).with_name("claims.yaml")
UNITS = {
    "nll": "bits/dim",
    "fid": "Frechet distance",
    "kid": "kernel distance",
    "sharpness": "ln of power",
    "change": "grey levels",
}
"""What is measured, and in which unit."""
NEEDS = {
    "difference": "minus",
    "difference_of_slopes": "minus",
    "gain": "standard",
    "optimum_inside": "inside",
}
"""What some statistics of `gud.verdict.statistics` take beside rows."""

Value = str | float | int
Rows = dict[str, Value | Annotated[list[Value], Field(min_length=1)]]
"""Labels that select numbers, each with the value or values that it may have."""


class Condition(Section):
    """The region in which the effect lies if the claim holds."""

    above: float | None = None
    below: float | None = None

    @property
    def lowest(self) -> float:
        return -math.inf if self.above is None else self.above

    @property
    def highest(self) -> float:
        return math.inf if self.below is None else self.below

    @property
    def text(self) -> str:
        above = [] if self.above is None else [f"> {self.above:g}"]
        return " and ".join(above + ([] if self.below is None else [f"< {self.below:g}"]))


class Claim(Section):
    """A statement of a paper, and the test that decides it.

    Args:
        paper, place: where it stands.
        statement: in brief words of ours.
        published: the paper's value of the effect, if it prints one.
        measure: what the numbers are; see `UNITS`.
        relative: whether effects are those of the logarithm of the numbers.
        statistic: a function of `gud.verdict.statistics`.
        rows, minus: what selects the numbers, and those that they are compared with, by the labels
            of `gud.verdict.numbers`.
        over: labels that tell points apart; a slope is taken over the first.
        doublings: whether a slope is that for each doubling of the label.
        standard: the point that the others are to beat.
        inside: ranges of labels, for the location of the optimum.
        holds: where the effect lies if the claim is true.
        decided_by: what has to be run for it.
    """

    paper: Literal["GUD", "PSLD"]
    place: Text
    statement: Text
    published: float | None = None
    measure: Literal["nll", "fid", "kid", "sharpness", "change"]
    relative: bool = False
    statistic: Literal[
        "mean",
        "difference",
        "slope",
        "difference_of_slopes",
        "lowest",
        "gain",
        "spread",
        "optimum_inside",
    ]
    rows: Rows
    minus: Rows | None = None
    over: Annotated[list[str], Field(min_length=1)] = ["a", "r", "b"]
    doublings: bool = False
    standard: dict[str, Value] | None = None
    inside: dict[str, tuple[float, float]] | None = None
    holds: Condition
    decided_by: Text

    @model_validator(mode="after")
    def _has_what_its_statistic_takes(self) -> Claim:
        given = [key for key in ("minus", "standard", "inside") if getattr(self, key) is not None]
        needed = NEEDS.get(self.statistic)
        if given != ([needed] if needed else []):
            what = needed or "neither minus, standard nor inside"
            raise ValueError(f"statistic {self.statistic} takes {what}")
        if not self.holds.text:
            raise ValueError("holds must say what the effect lies above or below")
        if self.holds.lowest >= self.holds.highest:
            raise ValueError(f"holds must be a range, not {self.holds.text}")
        return self

    @property
    def unit(self) -> str:
        return f"ln of {UNITS[self.measure]}" if self.relative else UNITS[self.measure]


class Claims(Section):
    claims: dict[Name, Claim]


def load_claims(path: Path = CLAIMS) -> dict[str, Claim]:
    """The claims of a file; `InputError` names the first wrong key in one sentence."""
    claims = validate(Claims, read_yaml(path), str(path)).claims
    if not claims:
        raise InputError(f"{path}: claims must hold one")
    return claims
