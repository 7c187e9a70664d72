"""docs/policy.md tells the settings as they are."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from hrfs.core.fusion_settings import FusionSettings

TEXT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def test_every_setting_is_listed_with_its_default() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|$", TEXT, re.M))
    assert told == {field.name: f"{field.default:g}" for field in fields(FusionSettings)}


def test_every_setting_is_explained_where_it_acts() -> None:
    before = TEXT.partition("## Settings")[0]
    assert [f.name for f in fields(FusionSettings) if f"`{f.name}`" not in before] == []
