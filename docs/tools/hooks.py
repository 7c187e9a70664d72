"""What MkDocs needs beside the pages of ``docs/``: the documents that lie elsewhere.

README.md is the first page, benchmarks/README.md and CHANGELOG.md are pages too. They are written
for readers of the repository, so their links are turned to where the pages are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
FROM_ELSEWHERE = {
    "index.md": "README.md",
    "benchmarks.md": "benchmarks/README.md",
    "changelog.md": "CHANGELOG.md",
}
"""Page of the site to file of the repository."""
_NAMED_BY_FILE = re.compile(r"\[(?P<text>[\w/]+\.md)\]\((?P<file>[\w/]+\.md)(?P<anchor>[#\w-]*)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents that are not in ``docs/``."""
    for page, source in FROM_ELSEWHERE.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, page, content=_for_site(text)))
    return files


def on_page_markdown(markdown: str, config: MkDocsConfig, **_context: Any) -> str:
    """Let links to those documents lead to their pages, and name pages by their titles."""
    for name, source in FROM_ELSEWHERE.items():
        markdown = markdown.replace(f"](../{source}", f"]({name}")
    titles = dict(_titles(config.nav))
    return _NAMED_BY_FILE.sub(lambda link: _named(link, titles), markdown)


def _titles(nav: Any) -> Iterator[tuple[str, str]]:
    """File and title of each page of a navigation as ``mkdocs.yml`` has it."""
    for entry in nav:
        for title, value in entry.items():
            if isinstance(value, str):
                yield value, title
            else:
                yield from _titles(value)


def _named(link: re.Match[str], titles: Mapping[str, str]) -> str:
    """The link with the title of its page, if it has one, in place of the file's name."""
    file = link["file"]
    return f"[{titles.get(file, link['text'])}]({file}{link['anchor']})"


def _for_site(text: str) -> str:
    """Links of a document outside ``docs/`` as they are within."""
    text = re.sub(r"\]\((?:\.\./)?docs/", "](", text)
    text = text.replace("](benchmarks/README.md", "](benchmarks.md")
    return re.sub(r"\[(\w+)\]\(\1\)", r"\1", text)  # the licence is no page
