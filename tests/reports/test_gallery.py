"""The gallery: what commands of the program wrote, with an index, or no index at all."""

import re

import pytest

from reports.gallery import Entry, GalleryError, make

FAILS = ("run", "signal-flood", "--target", "executor:planned")


def test_every_entry_is_a_report_that_the_index_leads_to(tmp_path):
    """Texts are escaped; the command that is shown is the one that made the report."""
    index = make(tmp_path / "gallery", [Entry("planned", "Exits <wait>", (FAILS,), 1)])
    page = index.read_text()

    (link,) = re.findall(r'href="([^"]+)"', page)
    report = (index.parent / link).read_text()
    assert "Exits &lt;wait&gt;" in page
    assert "<code>harness run signal-flood --target executor:planned</code>" in page
    assert "SF5" in report


def test_an_entry_that_comes_out_otherwise_ends_it(tmp_path):
    """A gallery of failures that passed would show nothing; it says which command, and has no index."""
    with pytest.raises(GalleryError, match=r"harness run signal-flood .*: exit code 1 instead of 0"):
        make(tmp_path / "gallery", [Entry("planned", "", (FAILS,), 0)])

    assert not (tmp_path / "gallery" / "index.html").exists()
