"""`make docs` takes what is right, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.release.conftest import MakeOnce

ROOT = Path(__file__).parents[2]

FAULTS = {
    "docs/timers.md": (
        "# Timers",
        "# Timers\n\n[gone](gone.md) [nowhere](signals.md#nowhere) [back](../ARCHITECTURE.md#gone)\n",
    ),
    "docs/index.md": ("| [Workers]", "| [New](new.md) | takes one line |\n| [Gone too](gone-too.md) | |\n| [Workers]"),
    "docs/new.md": ("", "# New\n"),
    "docs/unlisted.md": ("", "# Unlisted\n"),
    "docs/reference/clients.md": (".. autoclass:: Handle\n", ""),
    "docs/reference/workers.md": ("{eval-rst}", "{eval-rst}\n.. autoclass:: perdure.Gone\n"),
}
"""By file, what is replaced by what."""


def build(source: Path, site: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "--keep-going",
        "-c",
        source / "docs",
        *options,
        source,
        site,
    ]
    return subprocess.run([*map(str, command)], capture_output=True, text=True)


@pytest.fixture(scope="session")
def site(make_once: MakeOnce) -> Path:
    """The site, as `make docs` makes it."""

    def make(folder: Path) -> None:
        done = build(ROOT, folder / "site", "-d", str(folder / "doctrees"))
        assert done.returncode == 0, done.stderr

    return make_once("site", make) / "site"


@pytest.fixture(scope="session")
def complaints(make_once: MakeOnce) -> str:
    """What is said of a copy with faults."""

    def make(folder: Path) -> None:
        shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__"))
        for page in (*ROOT.glob("*.md"), ROOT / "LICENSE", ROOT / "src" / "perdure" / "errors.py"):
            (folder / page.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, folder / page.relative_to(ROOT))
        for name, (old, new) in FAULTS.items():
            page = folder / name
            text = page.read_text() if page.exists() else ""
            assert old in text
            page.write_text(text.replace(old, new, 1))
        done = build(folder, folder / "site", "-b", "dummy")
        assert done.returncode == 1, done.stderr
        (folder / "complaints.txt").write_text(done.stderr)

    return (make_once("faulty-site", make) / "complaints.txt").read_text()


def test_the_site_begins_with_the_guide(site: Path) -> None:
    assert "url=docs/index.html" in (site / "index.html").read_text()
    assert "First steps" in (site / "docs" / "index.html").read_text()


def test_every_section_of_the_index_is_in_the_navigation(site: Path) -> None:
    shown = re.findall(r'class="caption-text">([^<]*)<', (site / "docs" / "timers.html").read_text())
    sections = re.findall(
        r"^## (.*)\n(?:(?!## ).*\n)*?.*\]\([^)]*\.md\)", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE
    )

    assert shown == sections
    assert {"Guide", "Running it", "Reference"} <= set(shown)


def test_a_page_asks_nobody_else_for_anything(site: Path) -> None:
    loaded = re.compile(
        r"""<(?:script|img|iframe)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?(?:https?:)?//"""
    )
    loaded_by_style = re.compile(r"""(?:@import\s*|url\(\s*)["']?(?:https?:)?//""")

    assert not [page for page in site.rglob("*.html") if loaded.search(page.read_text())]
    assert not [style for style in site.rglob("*.css") if loaded_by_style.search(style.read_text())]


def test_types_in_signatures_are_links(site: Path) -> None:
    page = (site / "docs" / "reference" / "clients.html").read_text()

    assert re.search(
        r'<a class="reference internal" href="running.html#perdure.Context" title="perdure.Context">', page
    )


@pytest.mark.parametrize(
    "complaint",
    [
        "timers.md:3: WARNING: 'myst' cross-reference target not found: 'gone.md'",
        "local id not found in doc 'docs/signals': 'nowhere'",
        "local id not found in doc 'ARCHITECTURE': 'gone'",
        "toctree contains reference to nonexisting document 'docs/gone-too'",
        "docs/unlisted.md: WARNING: document isn't included in any toctree",
        "docs/reference has no perdure.Handle",
        "failed to import 'Gone' from module 'perdure'",
    ],
)
def test_a_fault_is_told(complaints: str, complaint: str) -> None:
    assert complaint in complaints


def test_a_new_page_takes_one_line(complaints: str) -> None:
    assert "docs/new" not in complaints
