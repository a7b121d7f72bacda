"""The page as text: self-contained, within its budget, and with everything on it that a reviewer needs."""

import base64
import dataclasses
import hashlib
import re

import pytest

import reports
from harness.verdict import NOT_REPRODUCIBLE, RunResult, Session, Verdict
from tests.reports import hostile, synthetic


def page_of(session: Session) -> str:
    """Return the session's page."""
    return reports.FORMATS["html"].render(reports.build(session, synthetic.histories(session)))


@pytest.fixture(scope="module")
def failed() -> str:
    """The page of a session that failed."""
    return page_of(synthetic.sessions()["fail"])


def test_policy_names_the_one_style_and_the_one_script(failed: str) -> None:
    """The hashes in the policy are those of what is on the page, and there is one of each."""
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', failed)
    assert policy.startswith("default-src &#39;none&#39;;")
    for tag in ("style", "script"):
        [source] = re.findall(rf"<{tag}>(.*?)</{tag}>", failed, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{tag}-src &#39;sha256-{digest}&#39;" in policy
    [script] = re.findall(r"<script>(.*?)</script>", failed, re.DOTALL)
    assert len(script) < 10_000


def test_nothing_is_fetched_and_nothing_styled_inline(failed: str) -> None:
    """No address, no style attribute, no handler attribute: the page needs nothing but itself."""
    assert re.findall(r"(?:src|href|action|data)=\"(?!#)[^\"]*\"", failed) == []
    assert re.findall(r"<[^>]+\s(?:style|on\w+)=", failed) == []
    assert re.findall(r"url\((?!#)", failed) == []
    assert "@import" not in failed


def test_ids_are_unique_and_links_arrive(failed: str) -> None:
    """Every link of the page leads to exactly one element of it."""
    ids = re.findall(r'\sid="([^"]+)"', failed)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', failed)) <= set(ids)


def test_cell_of_the_matrix_links_to_its_finding(failed: str) -> None:
    """The violated cell says so in words and leads to the finding that explains it."""
    [anchor] = re.findall(r'<article id="([^"]+)" class="fail"', failed)
    assert f'<a href="#{anchor}"><span class="v v-violated">✕ violated</span></a>' in failed


@pytest.mark.parametrize(("case", "word"), [("pass", "READY"), ("fail", "NOT READY"), ("interrupted", "INTERRUPTED")])
def test_verdict_in_words(case: str, word: str) -> None:
    """The verdict is a word in the heading and in the title, not a colour."""
    page = page_of(synthetic.sessions()[case])
    assert re.search(rf"<h1>. {word}</h1>", page)
    assert f"<title>{word}: " in page


def test_every_section_is_there_even_with_nothing_to_show() -> None:
    """An empty session has all nine sections, each saying why it is empty."""
    page = page_of(synthetic.sessions()["empty"])
    for name in ("matrix", "content", "charts", "recovery", "baseline", "bite", "not-covered", "events"):
        assert f'<section id="{name}"' in page
    assert "INCONCLUSIVE" in page
    assert "Nothing ran" in page


def test_limits_are_drawn_and_bands_run_through_every_chart(failed: str) -> None:
    """The limit of an invariant is a labelled line of its chart; each fault is a labelled band of each chart."""
    charts = re.findall(r"<svg[^>]*class=\"chart\".*?</svg>", failed, re.DOTALL)
    assert len(charts) == 3 * 6
    for chart in charts:
        assert "<title>" in chart
        assert 'fill="url(#fault0)"' in chart
        assert ">F1 redis.outage hang</text>" in chart
    latency = [chart for chart in charts if "Latency of publish" in chart]
    assert len(latency) == 3
    assert all('class="limit"' in chart and ">limit EB5: 250</text>" in chart for chart in latency)


def test_an_unhealed_fault_is_hatched_to_the_edge() -> None:
    """A fault that was never healed says so and reaches the right edge of every chart."""
    session = synthetic.session(synthetic.run())
    histories = {session.runs[0].history or "": synthetic.history(heal=False)}
    page = reports.FORMATS["html"].render(reports.build(session, histories))
    bands = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*fill="url\(#unhealed\)"', page)
    assert len(bands) >= 3
    assert {round(float(x) + float(width)) for x, width in bands} == {816}
    assert "never healed" in page


def test_a_limit_far_above_is_named_and_does_not_flatten_the_chart() -> None:
    """A capacity of 100,000 rows over a peak of 3,000 is told in the chart, whose axis stays with the data."""
    run = synthetic.run()
    capacity = dataclasses.replace(run.invariants[0], id="EB7", name="capacity", limit=100_000, unit="rows")
    page = page_of(synthetic.session(dataclasses.replace(run, invariants=(capacity,))))
    assert "limit EB7: 100,000, above this chart" in page
    [chart] = re.findall(r"<svg[^>]*>(?:(?!</svg>).)*Buffers and counters.*?</svg>", page, re.DOTALL)
    assert ">3,000</text>" in chart


def test_unknown_is_not_measured() -> None:
    """What nobody measured is said to be not measured, never shown as 0."""
    session = synthetic.session(synthetic.run(world="real"), environment={})
    page = page_of(session)
    assert "<dt>simulated time</dt><dd>not measured</dd>" in page
    assert "<dt>target commit</dt><dd>not measured</dd>" in page
    assert re.search(r'<th scope="row">lost</th><td>not measured</td>', page)


def test_what_did_not_run_is_not_claimed() -> None:
    """Without flawed variants the page does not say that they were caught."""
    assert "every flawed variant was caught" in page_of(synthetic.sessions()["pass"])
    page = page_of(synthetic.sessions()["single"])
    assert "every flawed variant was caught" not in page
    assert "No flawed variant was run" in page


def many(count: int, verdict: Verdict) -> tuple[RunResult, ...]:
    """Return that many scenarios, each with a run."""
    return tuple(synthetic.run(verdict, scenario=f"scenario-{at}") for at in range(count))


def test_a_scenario_keeps_to_60_kb(failed: str) -> None:
    """The charts and tables of one run stay below 60 kB."""
    blocks = re.findall(r'<div class="charts".*?(?=<div class="charts"|</section>)', failed, re.DOTALL)
    assert len(blocks) == 3
    assert max(len(block.encode()) for block in blocks) <= 60_000


@pytest.mark.parametrize("count", [36, 41])
def test_a_large_session_stays_below_a_megabyte(count: int) -> None:
    """With many failing scenarios charts give way, with a note; each finding and its replay command stay."""
    session = synthetic.session(*many(count, Verdict.FAIL))
    page = page_of(session)
    assert len(page.encode()) < 1_000_000
    assert "left out for the size of this page" in page
    told = re.findall(r'<article id="[^"]+" class="fail"', page)
    assert len(told) == min(count, 40)
    assert ("more findings are in report.json" in page) == (count > 40)


def test_a_campaign_draws_one_run_and_names_the_others() -> None:
    """Of 500 seeds one is drawn; the others are named by verdict and seed, and metrics show their spread."""
    page = page_of(synthetic.sessions()["campaign"])
    assert page.count('<div class="charts"') == 1
    assert "Drawn: seed 49" in page
    assert "9 fail (seeds 99, 149, 199, 249, 299, 349, 399, 449, 499)" in page
    assert "490 pass (seeds 0 to 48" in page
    assert "500 of 500" in page


def test_hostile_megabytes_do_not_reach_the_page() -> None:
    """A megabyte in every field gives a page of a reasonable size that says what was cut."""
    text = "x" * 1_000_000
    page = reports.FORMATS["html"].render(reports.build(hostile.session(text), hostile.histories(text)))
    assert len(page.encode()) < 300_000
    assert "more characters]" in page


def test_what_was_attempted_inside_each_fault(failed: str) -> None:
    """Beside what a fault hit stands what was tried while it held, so that one bite of one is not taken for much."""
    [row] = re.findall(r"<tr><td>redis-flap · sim, ci</td><td>redis.outage hang</td><td>redis</td>.*?</tr>", failed)
    assert row.endswith('<td class="text">2,950 publish</td></tr>')


def test_a_replay_that_differs_is_not_reproducible() -> None:
    """A run that came out otherwise when it was made again is told by that name, in the page and in the matrix."""
    error = f"{NOT_REPRODUCIBLE}: seed 7 gave trace aa, then bb"
    page = page_of(synthetic.session(dataclasses.replace(synthetic.run(Verdict.ERROR), errors=(error,))))
    assert "</span> Not reproducible</h3>" in page
    assert error in page


@pytest.mark.parametrize(("scenarios", "invariants"), [(500, 20), (10_000, 1)])
def test_ten_thousand_findings(scenarios: int, invariants: int) -> None:
    """However they are spread, the page keeps to its size, starts with findings, and says how many it leaves out."""
    run = synthetic.run(Verdict.FAIL)
    violated = tuple(dataclasses.replace(run.invariants[0], id=f"X{at}") for at in range(invariants))
    runs = (dataclasses.replace(run, scenario=f"s-{at}", invariants=violated) for at in range(scenarios))
    page = reports.FORMATS["html"].render(reports.build(synthetic.session(*runs), {}))
    assert len(page.encode()) < 1_000_000
    assert f"<b>{10_000:,}</b> findings" in page
    told = len(re.findall(r'<article id="[^"]+" class="fail"', page))
    assert told >= 8
    assert f"{10_000 - told:,} more findings are in report.json" in page
    blocks = page.count('<div class="charts"')
    assert f"{scenarios - blocks:,} more are in report.json" in page
    assert re.search(r"[\d,]+ more rows, those that passed before others, are in report.json", page)
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_what_passed_gives_way_first() -> None:
    """The one failing row among thousands is in the matrix, and its charts are on the page."""
    runs = [synthetic.run(scenario=f"s-{at:04}") for at in range(2000)]
    runs[1500] = synthetic.run(Verdict.FAIL, scenario="s-1500")
    page = reports.FORMATS["html"].render(reports.build(synthetic.session(*runs), {}))
    assert '">s-1500</a></th>' in page
    assert '">s-1999</a></th>' not in page


def test_room_for_charts_is_shared() -> None:
    """Of a gate's 54 passing runs each has its fault lanes and a chart; the failing one among them has them all."""
    runs = [synthetic.run(scenario=f"s-{at:02}") for at in range(54)]
    runs[30] = synthetic.run(Verdict.FAIL, scenario="s-30")
    page = page_of(synthetic.session(*runs))
    assert 800_000 < len(page.encode()) < 1_000_000
    blocks = re.findall(r'<div class="charts".*?(?=<div class="charts"|</section>)', page, re.DOTALL)
    figures = [block.count("<figure>") for block in blocks]
    assert figures[0] == 7
    assert "left out" not in blocks[0]
    assert min(figures) >= 2
    assert max(figures[1:]) - min(figures[1:]) <= 1
    assert all(f"{7 - count} charts left out" in block for count, block in zip(figures[1:], blocks[1:], strict=True))


def test_metrics_say_once_what_is_the_same_in_every_row() -> None:
    """A campaign's metrics name the seeds once, and those that are 0 in every run in one line."""
    runs = [
        dataclasses.replace(synthetic.run(seed=seed), metrics={"a": seed, "b": 2.5, "publish_fail": 0})
        for seed in range(20)
    ]
    page = page_of(synthetic.session(*runs))
    assert "each measured in 20 of 20 runs; p99: too few seeds" in page
    assert "0 in every run: publish_fail." in page
    assert '<th scope="row">publish_fail</th>' not in page
    assert '<th scope="col">median</th><th scope="col">p90</th><th scope="col">greatest</th></tr>' in page


def test_every_target_is_named_or_counted() -> None:
    """A gate has ten ports; of more than there is room for, it is said how many are left out."""
    session = synthetic.sessions()["fail"]
    [first, *_] = session.runs
    many = {f"port{number:02}": f"own.module:make{number}" for number in range(15)}
    page = page_of(dataclasses.replace(session, runs=(dataclasses.replace(first, target=many),)))

    assert "port11 = own.module:make11, and 3 more" in page
