"""The page of a report: nothing of the script becomes markup, any record gives one, and a real browser draws it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hostile import RECORD, hostile_records
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from test_report import FORBIDDEN, HOSTILE, diagnosis

import clinic
from sgdoctor.diagnosis import diagnose
from sgdoctor.record import Record
from sgdoctor.report import html, markdown

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), "")
MARKUP = ["<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "'\"><b>x", "</pre>&lt;"]


class Skeleton(HTMLParser):
    """The tags of a page in order, and its text without that of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.data: list[str] = []
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        if ("type", "application/json") in attrs:
            self._inside = "data"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data.append(data)
        elif self._inside not in ("script", "style"):
            self.text += data


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP], ids=ascii)
def test_nothing_of_the_script_becomes_markup(text: str) -> None:
    page = Skeleton(html.render(diagnosis(text)))
    assert page.tags == Skeleton(html.render(diagnosis("text"))).tags
    assert not FORBIDDEN.search(page.text)
    assert all(json.loads(block)["data"] for block in page.data)


def test_markup_is_shown_as_it_was_written() -> None:
    for text in MARKUP:
        assert text in Skeleton(html.render(diagnosis(text))).text


@pytest.mark.parametrize("text", [*HOSTILE, *MARKUP, "`` ` ```", "![x](http://e.org)", "a\n# b"], ids=ascii)
def test_nothing_of_the_script_becomes_markdown(text: str) -> None:
    page = markdown.render(diagnosis(text))
    assert not FORBIDDEN.search(page)
    outside = "".join(part for i, part in enumerate(page.split("\n```")) if i % 2 == 0)
    outside = re.sub(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)  # code in a line
    assert not re.search(r"(?<!\\)(<(?!/?(details|summary)>)|\]\()", outside)
    assert sum(row.startswith("#") for row in outside.splitlines()) == 4  # the verdict and three findings


@settings(max_examples=10, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(record=st.just(RECORD) | hostile_records())
def test_every_record_gives_a_page(record: Record) -> None:
    found = diagnose(record, strict=True)
    assert Skeleton(html.render(found)).tags[0] == "html" and markdown.render(found)


def browsed(page: Path, folder: Path, *options: str) -> tuple[str, list[str]]:
    """(the page as a browser holds it once its scripts have run, its console).

    The page's policy forbids every request, and a browser says in the console what it refused.
    """
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=8000", "--dump-dom", *options, page.as_uri(),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout, [row for row in ended.stderr.splitlines() if ":CONSOLE" in row]


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
def test_a_browser_draws_the_page_without_errors_or_requests(tmp_path: Path) -> None:
    case = clinic.cases(["unscaled-features/loan_grades/faulty"])[0]
    page = tmp_path / "report.html"
    page.write_text(html.render(diagnose(clinic.restore(case))), encoding="utf-8")
    drawn, console = browsed(page, tmp_path)
    assert console == []
    assert drawn.count("data-plot=") == drawn.count('class="figure js-plotly-plot"') >= 4
    text = page.read_text(encoding="utf-8")
    for more in ("<script>1</script>", '<img src="https://example.org/x.png">'):
        page.write_text(text.replace("</main>", more + "</main>"), encoding="utf-8")
        _, refused = browsed(page, tmp_path)
        assert any("Content Security Policy" in row for row in refused)


# A browser's own window is not made as narrow as a phone: the page stands in a frame that is.
PHONE = """<iframe src="report.html" width="390" height="800" onload="document.title =
  [...this.contentDocument.querySelectorAll('*')].filter((each) => !each.closest('pre, .wide, .figure'))
  .every((each) => each.scrollWidth <= 390) ? 'fits' : 'too wide'"></iframe>"""


@pytest.mark.skipif(not BROWSER, reason="no Chromium on this machine")
def test_the_page_fits_a_phone(tmp_path: Path) -> None:
    case = clinic.cases(["unscaled-features/loan_grades/faulty"])[0]
    (tmp_path / "report.html").write_text(html.render(diagnose(clinic.restore(case))), encoding="utf-8")
    frame = tmp_path / "phone.html"
    frame.write_text(PHONE, encoding="utf-8")
    drawn, _ = browsed(frame, tmp_path, "--allow-file-access-from-files")
    assert "<title>fits</title>" in drawn
