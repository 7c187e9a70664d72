"""The site: current where it is generated, built without a warning, read without a network."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from hrfs.cli import schema

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "docs" / "tools"
FETCHING = {
    "link": "href",
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "image": "href",
}
"""Elements that make a browser fetch something, and the attribute that says what."""
NOT_FETCHED = {"canonical", "next", "prev", "edit"}
"""Kinds of ``link`` that only tell where something is."""


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_configuration_reference_is_current() -> None:
    reference = _tool("configuration_reference")
    written = reference.PAGE.read_text()
    assert written == reference.page(), "run python docs/tools/configuration_reference.py"
    for option in ROOT.glob("conf/*/*.yaml"):
        assert f"### {option.parent.name}={option.stem}\n" in written
    for key in ("seeds", "population.size", "trainer.threads", "cluster.allocation.<host>."):
        assert f"| `{key}" in written


def test_the_reference_needs_every_key_explained() -> None:
    reference = _tool("configuration_reference")

    @dataclasses.dataclass
    class Told:
        explained: int = 1
        """What it is."""
        silent: bool = True

    with pytest.raises(KeyError, match="silent"):
        reference._table(Told, "told.")
    (row,) = reference._table(Told, "told.", leave_out=("silent",)).splitlines()[2:]
    assert row == "| `told.explained` | whole number | `1` | What it is. |"


def test_every_field_of_the_schema_is_in_the_reference() -> None:
    tree = ast.parse(Path(schema.__file__).read_text())
    classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
    reference = _tool("configuration_reference")
    shown = {kind.__name__ for kinds in reference.GROUPS.values() for kind in kinds}
    assert set(classes) - {"HrfsConfig"} <= shown
    assert set(reference.GROUPS) <= {
        field.name for field in dataclasses.fields(schema.HrfsConfig)
    } | {"experiment"}


def _pages_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


class _Fetched(HTMLParser):
    """Collects what a browser would fetch for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if values.get("rel") not in NOT_FETCHED and FETCHING.get(tag) in values:
            self.found.append(values[FETCHING[tag]])


def test_what_a_page_fetches_is_seen() -> None:
    reader = _Fetched()
    reader.feed(
        '<link rel="preconnect" href="https://fonts.gstatic.com"><link rel="canonical" href="x">'
        '<a href="https://example.org"></a><script src="https://unpkg.com/x"></script><img src="a">'
    )
    assert reader.found == ["https://fonts.gstatic.com", "https://unpkg.com/x", "a"]


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings_handlers.python", reason='needs pip install -e ".[docs]"')
    pytest.importorskip("material", reason='needs pip install -e ".[docs]"')
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    pages = _pages_of(tmp_path / "site")
    names = {str(page.relative_to(tmp_path / "site")) for page in pages}
    documents = {f"{p.relative_to(ROOT / 'docs').with_suffix('.html')}" for p in _documents()}
    assert documents | {"index.html", "benchmarks.html", "changelog.html"} <= names
    for page in pages:
        _is_whole(page, tmp_path / "site")
    for style in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text()), style
    api = (tmp_path / "site" / "api" / "results.html").read_text()
    assert 'id="hrfs.loading.load_run"' in api
    assert ":class:" not in api


def _documents() -> list[Path]:
    return sorted((ROOT / "docs").rglob("*.md"))


def _is_whole(page: Path, site: Path) -> None:
    """All that the page fetches is a file of the site."""
    reader = _Fetched()
    reader.feed(page.read_text())
    assert reader.found
    for address in reader.found:
        if address.startswith("data:"):
            continue
        assert "//" not in address, f"{page}: {address}"
        local = address.partition("?")[0].partition("#")[0]
        where = site if local.startswith("/") else page.parent
        assert (where / local.lstrip("/")).exists(), f"{page}: {address}"
