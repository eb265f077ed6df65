"""Sections of settings from what a preset would write."""

from __future__ import annotations

from typing import Any

from gud.config.sections.model import ModelSettings
from gud.config.sections.networks import CrossAttentionSettings, NCSNppSettings
from gud.config.sections.validation import validate


def model_settings(raw: dict[str, Any] | ModelSettings, **changes: Any) -> ModelSettings:
    """Settings of a model, with some of them changed."""
    raw = raw.model_dump(mode="json") if isinstance(raw, ModelSettings) else raw
    return validate(ModelSettings, raw | changes, "settings of a test")


def network(**raw: Any) -> dict[str, Any]:
    """The arguments of a network: its settings, and the others as they are."""
    shapes = ("image_size", "in_channels", "out_channels", "labels")
    own = {key: value for key, value in raw.items() if key not in shapes}
    kind = CrossAttentionSettings if "heads" in own else NCSNppSettings
    name = "cross_attention" if "heads" in own else "ncsnpp"
    settings = validate(kind, own | {"name": name}, "settings of a test")
    return {"settings": settings} | {key: raw[key] for key in shapes if key in raw}
