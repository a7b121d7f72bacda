"""PF1 to PF5 on histories by hand: exact, conserved, idempotent, order-free, and the same after a start."""

from copy import deepcopy

import pytest

from harness.history.events import Observation
from harness.invariants.base import judge_all
from harness.invariants.portfolio_exact import conserved, exact
from harness.invariants.portfolio_record import read_steps
from harness.invariants.portfolio_sets import idempotent, order_free, replayed
from harness.units import seconds
from harness.verdict import Outcome

ALL = (exact(), conserved(), idempotent(), order_free(), replayed())
PRICES = {"marks": {"BTCUSDT": "12"}, "rates": {"BNB": "600"}}

DEPOSIT = ["TRANSFER", 1, 0, "100", "USDT"]
FUNDING = ["FUNDING_FEE", 2, 0, "-0.5", "USDT"]
BUY = ["BTCUSDT", 3, 0, "2", "10", "0.1", "USDT"]
SELL = ["BTCUSDT", 7, 0, "-3", "11", "0.001", "BNB"]

EMPTY = {
    "positions": {},
    "fees": {},
    "deposits": {},
    "funding": {},
    "value": ["0", "0", "0", "0", "0", "0"],
}
BOUGHT = {
    "positions": {"BTCUSDT": ["2", "20", "0"]},
    "fees": {"USDT": "0.1"},
    "deposits": {"USDT": "100"},
    "funding": {},
    "value": ["100", "0", "4", "0.1", "0", "103.9"],
}
FLIPPED = {
    "positions": {"BTCUSDT": ["-1", "-11", "2"]},
    "fees": {"USDT": "0.1", "BNB": "0.001"},
    "deposits": {"USDT": "100"},
    "funding": {"USDT": "-0.5"},
    "value": ["100", "2", "-1", "0.7", "-0.5", "99.8"],
}


class Books:
    """Writes down what a keeper does."""

    def __init__(self, run):
        self.run = run
        self.time = 0

    def do(self, name, said=None, outcome="ok", book="tape", ends=True, incarnation=1, **value):
        """One operation, a second later."""
        self.time += 1
        end = self.time + 0.5 if ends else None
        value = {"book": book, **value, **PRICES}
        who = {"actor": "keeper", "incarnation": incarnation}
        self.run.call(name, self.time, end, outcome, value, deepcopy(said), **who)
        return self

    def apply(self, said, *entries, new=None, **options):
        """A batch."""
        fills = [one for one in entries if len(one) == 7]
        flows = [one for one in entries if len(one) == 5]
        said = None if said is None else {"new": len(entries) if new is None else new, "repeated": 0, **said}
        return self.do("apply", said, n=self.time, fills=fills, flows=flows, **options)

    def reload(self, said, **options):
        """A start."""
        return self.do("reload", {"method": "fifo", **said}, **options)

    def end(self):
        """The history."""
        return self.run.end(self.time + 1)


@pytest.fixture
def books(run):
    """One keeper."""
    return Books(run)


@pytest.fixture
def whole(books):
    """Bought, flipped, repeated, opened anew, and once more in another order."""
    books.reload(EMPTY).apply(BOUGHT, DEPOSIT, BUY).apply(FLIPPED, SELL, FUNDING)
    books.apply(FLIPPED, BUY, DEPOSIT, new=0).do("snapshot", FLIPPED).reload(FLIPPED)
    return books.reload(EMPTY, book="other").apply(FLIPPED, SELL, FUNDING, BUY, DEPOSIT, book="other")


def verdicts(history):
    """By id."""
    return {one.id: one.verdict for one in judge_all(history, ALL)}


def violated(history):
    """The ids of those that the history violates."""
    return {name for name, verdict in verdicts(history).items() if verdict is Outcome.VIOLATED}


def sentence(history, name):
    """What is found."""
    return next(one.finding.sentence for one in judge_all(history, ALL) if one.id == name)


def changed(said, **parts):
    """Figures with some that are others; a value is changed by its place."""
    other = deepcopy(said)
    for name, change in parts.items():
        if name == "value":
            for place, text in change.items():
                other["value"][place] = text
        else:
            other[name] = change
    return other


def test_all_hold(whole):
    """And each had something to look at."""
    results = judge_all(whole.end(), ALL)
    assert {one.verdict for one in results} == {Outcome.HOLDS}
    assert [one.checked for one in results] == [8, 8, 1, 1, 3]


def test_equal_figures_may_be_written_otherwise(books):
    """As decimals with more places, or as fractions."""
    said = changed(BOUGHT, positions={"BTCUSDT": ["2.000", "40/2", "0E-8"]}, funding={"USDT": "0"})
    assert violated(books.apply(said, DEPOSIT, BUY).end()) == set()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"positions": {"BTCUSDT": ["2", "20", "0.0000000001"]}}, "realised PnL of BTCUSDT is said to be 0.0000000001"),
        (
            {"positions": {"BTCUSDT": ["2.0000000000000004", "20", "0"]}},
            "position of BTCUSDT is said to be 2.0000000000000004, and is 2",
        ),
        ({"positions": {"BTCUSDT": ["2", "nan", "0"]}}, "cost of BTCUSDT is said to be nan, and is 20"),
        ({"positions": {}}, "cost of BTCUSDT is said to be 0, and is 20"),
        ({"fees": {"USDT": "0"}}, "fees in USDT is said to be 0, and is 0.1"),
        ({"fees": {"USDT": "0.1", "BNB": "1"}}, "fees in BNB is said to be 1, and is 0"),
        ({"deposits": {}}, "deposits in USDT is said to be 0, and is 100"),
        ({"funding": {"USDT": "1/3"}}, "funding in USDT is said to be about 0.333333333333, and is 0"),
    ],
    ids=str,
)
def test_a_figure_that_is_wrong(books, wrong, words):
    """By however little, the last digit of a float included."""
    history = books.apply(changed(BOUGHT, **wrong), DEPOSIT, BUY).end()
    assert violated(history) == {"PF1"}
    assert words in sentence(history, "PF1")


@pytest.mark.parametrize(
    ("places", "ids", "words"),
    [
        ({5: "103.90000000000001"}, {"PF2"}, "its parts come to 103.9"),
        ({2: "4.1", 5: "104"}, {"PF1", "PF2"}, "equity is said to be 104, and is 103.9"),
        ({3: "0", 5: "104"}, {"PF1", "PF2"}, "equity is said to be 104, and is 103.9"),
        ({5: "inf"}, {"PF2"}, "equity is said to be inf"),
        ({1: "nan"}, {"PF1", "PF2"}, "its parts come to realised nan"),
    ],
)
def test_money_that_does_not_add_up(books, places, ids, words):
    """Neither to its parts, nor to what trading brought."""
    history = books.apply(changed(BOUGHT, value=places), DEPOSIT, BUY).end()
    assert violated(history) == ids
    assert words in sentence(history, "PF2")


def test_average_cost_is_judged_by_its_own_oracle(books):
    """A target says which convention it follows; figures that are no decimals are fractions."""
    more = ["BTCUSDT", 4, 0, "1", "11", "0", "USDT"]
    sold = ["BTCUSDT", 9, 0, "-1", "11", "0", "USDT"]
    said = changed(BOUGHT, positions={"BTCUSDT": ["2", "62/3", "2/3"]}, value={1: "2/3", 2: "10/3"})
    history = books.do("reload", {"method": "average", **EMPTY}).apply(said, DEPOSIT, BUY, more, sold).end()
    # 3 for 31; a third of that is sold at 11
    assert violated(history) == set()
    assert verdicts(history)["PF1"] is Outcome.HOLDS


def test_a_repetition_that_changes_something(books):
    """Or is called new."""
    books.apply(BOUGHT, DEPOSIT, BUY)
    twice = changed(BOUGHT, positions={"BTCUSDT": ["4", "40", "0"]})
    history = books.apply(twice, BUY, new=0).end()
    assert {"PF3"} <= violated(history)
    assert "a repetition changed cost of BTCUSDT 20 to 40" in sentence(history, "PF3")


def test_a_repetition_that_is_called_new(books):
    """Whoever counts by that counts double."""
    history = books.apply(BOUGHT, DEPOSIT, BUY).apply(BOUGHT, BUY, new=1).end()
    assert violated(history) == {"PF3"}


def test_an_order_that_makes_a_difference(books):
    """Two books with the same entries, of which the last word counts."""
    late = changed(FLIPPED, positions={"BTCUSDT": ["-1", "-10", "1"]}, value={1: "1", 2: "0"})
    history = books.apply(FLIPPED, DEPOSIT, BUY, SELL, FUNDING).apply(late, SELL, BUY, FUNDING, DEPOSIT, book="b").end()
    assert violated(history) == {"PF1", "PF4"}
    assert "in another order than in tape" in sentence(history, "PF4")


def test_books_of_different_entries_are_not_compared(books):
    """Nor is one that may have more."""
    history = books.apply(BOUGHT, DEPOSIT, BUY).apply(FLIPPED, DEPOSIT, BUY, SELL, FUNDING, book="b").end()
    assert verdicts(history)["PF4"] is Outcome.INCONCLUSIVE


def test_a_start_that_lost_what_was_acked(books):
    """After a kill, or after closing."""
    history = books.apply(BOUGHT, DEPOSIT, BUY).reload(EMPTY, incarnation=2).end()
    assert "PF5" in violated(history)
    assert "after a new start, deposits in USDT 100 to 0" in sentence(history, "PF5")


def test_a_start_of_nothing_has_nothing(books):
    """A first start that knows something is none."""
    assert "PF5" in violated(books.reload(BOUGHT).end())


@pytest.mark.parametrize(
    ("said", "fine"),
    [
        (BOUGHT, True),
        (FLIPPED, True),
        (changed(FLIPPED, funding={}), True),
        (EMPTY, False),
        (changed(BOUGHT, fees={}), False),
    ],
    ids=["without it", "with it", "with half of it", "empty", "something else"],
)
def test_a_batch_in_doubt(books, said, fine):
    """The host died in it: the next life has it, or a beginning of it, or nothing of it; and all that was acked."""
    books.apply(BOUGHT, DEPOSIT, BUY).apply(None, SELL, FUNDING, ends=False)
    books.run.host("keeper", "killed", books.time + 0.4)
    history = books.reload(said, incarnation=2).end()
    assert ("PF5" in violated(history)) is not fine
    assert "PF1" not in violated(history)  # nobody knows what it must say


def test_a_batch_in_doubt_that_comes_again(books):
    """Then it is known what the book must hold."""
    books.apply(BOUGHT, DEPOSIT, BUY).apply(None, SELL, FUNDING, outcome="info")
    books.apply(BOUGHT, BUY, new=0)
    steps = read_steps(books.apply(BOUGHT, SELL, FUNDING).end())
    assert [step.sure for step in steps] == [True, False, True]
    assert violated(books.end()) == {"PF1", "PF2"}


def test_a_batch_that_failed_changed_nothing(books):
    """That is what its reason says."""
    books.apply(BOUGHT, DEPOSIT, BUY).apply(None, SELL, FUNDING, outcome="fail")
    assert violated(books.apply(BOUGHT, BUY, new=0).end()) == set()
    assert "PF1" in violated(books.apply(FLIPPED, BUY, new=0).end())


@pytest.fixture
def traded(books):
    """The exchange made two trades; the taker's fee is 0.05 %, the maker's 0.02 %."""

    def fill(trade_id, side, quantity, price, **more):
        value = {"symbol": "BTCUSDT", "trade_id": trade_id, "side": side, "quantity": quantity, "price": price, **more}
        books.run.events.append(Observation(seconds(0.1), "binance", 1, "fill", value))

    fill(3, "BUY", "2", "10")
    fill(7, "SELL", "3", "11", maker=True)
    return books


RECONCILED = {
    "positions": {"BTCUSDT": ["-1", "-11", "2"]},
    "fees": {"USDT": "0.0166"},
    "deposits": {},
    "funding": {},
    "value": ["0", "2", "-1", "0.0166", "0", "0.9834"],
}


def reconcile(books, found, through=7, differences=(), said=RECONCILED):
    """A comparison."""
    told = {"backfilled": found, "differences": list(differences), "settled": True, "through": {"BTCUSDT": through}}
    return books.do("reconcile", {**told, **said}, symbols=["BTCUSDT"]).end()


def test_what_a_book_fetched_is_taken_from_the_exchange(traded):
    """Not from the book: which trades there were, and what they cost."""
    first = ["BTCUSDT", 3, 5, "2", "10", "0.01", "USDT"]
    said = {**EMPTY, "positions": {"BTCUSDT": ["2", "20", "0"]}, "fees": {"USDT": "0.01"}}
    traded.apply({**said, "value": ["0", "0", "4", "0.01", "0", "3.99"]}, first)
    assert violated(reconcile(traded, [["BTCUSDT", 7]])) == set()


def test_a_gap_that_was_not_filled(traded):
    """Although it is said to be."""
    history = reconcile(traded, [["BTCUSDT", 3], ["BTCUSDT", 7]], said=EMPTY)
    assert violated(history) == {"PF1", "PF2"}


def test_a_gap_beyond_what_was_compared_is_owed_later(traded):
    """The exchange had made that trade, and not told of it yet."""
    said = {**EMPTY, "positions": {"BTCUSDT": ["2", "20", "0"]}, "fees": {"USDT": "0.01"}}
    history = reconcile(
        traded, [["BTCUSDT", 3]], through=3, said={**said, "value": ["0", "0", "4", "0.01", "0", "3.99"]}
    )
    assert violated(history) == set()


@pytest.mark.parametrize(
    ("found", "differences", "words"),
    [
        ([["BTCUSDT", 3]], (), "it says that 1 trades were missing; 2 were, such as ('BTCUSDT', 7)"),
        ([["BTCUSDT", 3], ["BTCUSDT", 7]], ("equity",), "it names a difference that there is not: equity"),
    ],
)
def test_a_comparison_that_is_told_wrongly(traded, found, differences, words):
    """The figures are right, and what is said of them is not."""
    history = reconcile(traded, found, differences=differences)
    assert violated(history) == {"PF1"}
    assert words in sentence(history, "PF1")


@pytest.mark.parametrize(
    ("outcome", "found", "broken"),
    [
        ("info", [["BTCUSDT", 7]], set()),
        ("info", [["BTCUSDT", 3], ["BTCUSDT", 7]], set()),
        ("fail", [["BTCUSDT", 7]], {"PF1"}),
    ],
)
def test_a_comparison_before_it_that_failed_may_have_taken_some(traded, outcome, found, broken):
    """Unless it gave a reason, which says that it took nothing: then the next one has to find all of them."""
    traded.do("reconcile", {}, symbols=["BTCUSDT"], outcome=outcome)
    assert violated(reconcile(traded, found)) == broken


def test_nothing_to_look_at(run):
    """Is no pass."""
    assert set(verdicts(run.end(1)).values()) == {Outcome.INCONCLUSIVE}


def test_a_finding_shows_what_happened(books):
    """The step before, the batch, and what was wrong after it."""
    books.apply(BOUGHT, DEPOSIT, BUY)
    history = books.apply(changed(BOUGHT, fees={}), BUY, new=0).end()
    (found,) = (one.finding for one in judge_all(history, [idempotent()]))
    assert [(row.event, row.offending) for row in found.rows] == [
        ("apply: figures as they were", False),
        ("apply of 1 entry", False),
        ("a repetition changed fees in USDT 0.1 to 0", True),
    ]
    assert found.first == "tape apply 1 at 2.500 s"
