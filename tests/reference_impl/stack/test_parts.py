"""The smaller parts of the services: settings, topics on the dashboard, cursors, the day's highest, outcomes."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from reference_impl._ai.candles import generate, return_ppm
from reference_impl._stack.books import Cursor, position_told
from reference_impl._stack.high_water import DAY_S, HighWater
from reference_impl._stack.market import Market
from reference_impl._stack.settings import Settings
from reference_impl._stack.showing import events_of, models_of, services_of
from reference_impl._stack.strategy import Outcomes, signal_of


def test_settings_say_what_is_wrong_with_them():
    """A name that is not known, a span that is none; secrets are in no text of theirs."""
    with pytest.raises(ValueError, match="unknown settings: redis"):
        Settings.parse({"redis": "x"})
    with pytest.raises(ValueError, match="candle_s must be a positive number"):
        Settings(candle_s=0.0)
    settings = Settings.parse({"symbols": ["BTCUSDT"], "api_secret": "hidden", "operators": {"alice": "hidden"}})
    assert settings.symbols == ("BTCUSDT",)
    assert "hidden" not in repr(settings)


def test_a_transition_of_the_stop_is_shown_as_critical():
    """Topics that begin with `ess.` may not be lost."""
    payload = {"to": "TRIPPED", "reason": "drawdown", "actor": "system", "at_ms": 1_500, "trip": "t", "transition": "t"}
    (shown,) = events_of("ess.tripped", payload)
    assert (shown.topic, shown.key) == ("ess.state", "")
    assert shown.value == {"state": "TRIPPED", "reason": "drawdown", "actor": "system", "since": 1.5}


def test_orders_are_shown_by_symbol_and_name_themselves():
    """Keys are to be few; the words are the exchange's."""
    payload = {
        "intent": "s-1",
        "symbol": "BTCUSDT",
        "side": "BUY",
        "status": "abandoned",
        "quantity": "1",
        "filled": "0",
        "missing": "1",
        "price": None,
        "reason": "slippage",
    }
    (shown,) = events_of("order.reported", payload)
    assert (shown.topic, shown.key) == ("order.update", "BTCUSDT")
    assert (shown.value["client_order_id"], shown.value["status"]) == ("s-1", "CANCELED")


def test_prices_take_one_key():
    """Fifty events a second are soon used up, and all prices come at once anyway."""
    (shown,) = events_of("market.prices", {"prices": {"BTCUSDT": "1", "ETHUSDT": "2"}})
    assert (shown.topic, shown.value) == ("market.prices", {"BTCUSDT": "1", "ETHUSDT": "2"})


@pytest.mark.parametrize("body", [None, [], {}, {"models": []}, {"models": {"xgb": 1}}, {"services": "x"}])
def test_an_answer_that_is_none_shows_nothing(body: Any):
    """Whatever a service says instead."""
    assert [*models_of(body), *services_of(body)] == []


def test_models_and_services_are_shown_by_name():
    """What the page knows of them, times in Unix seconds."""
    figure = {"status": "ok", "accuracy": 0.5, "samples": 4, "reason": None, "as_of": "1970-01-01T00:01:00.000Z"}
    (model,) = models_of({"models": {"xgb": figure}})
    assert (model.topic, model.key, model.value["as_of"]) == ("ai.metrics", "xgb", 60.0)
    (service,) = services_of({"services": {"risk": {"state": "HEALTHY", "reason": "", "since": 1.0, "age": 2.0}}})
    assert (service.topic, service.key) == ("health.service", "risk")
    assert service.value == {"state": "HEALTHY", "reason": "", "since": 1.0}


def test_the_last_trades_are_asked_for_again():
    """A trade that was executed earlier may be listed later; a full page means that there is more."""
    cursor = Cursor()
    assert cursor.query("BTCUSDT")["fromId"] == 0
    assert cursor.read("BTCUSDT", list(range(5, 105)))
    assert cursor.query("BTCUSDT")["fromId"] == 103
    assert not cursor.read("BTCUSDT", [103, 104, 105])
    assert not cursor.read("BTCUSDT", [])
    assert cursor.query("BTCUSDT")["fromId"] == 104


@dataclass(frozen=True)
class Held:
    """A position's figures."""

    amount: Fraction
    cost: Fraction
    realised: Fraction = Fraction(0)


def test_a_position_is_told_rounded_and_without_a_price_not_valued():
    """The exact figures stay in the books."""
    told = position_told("BTCUSDT", Held(Fraction(3), Fraction(10)), "4")
    assert (told["quantity"], told["entry_price"], told["unrealised"]) == ("3.00000000", "3.33333333", "2.00000000")
    flat = position_told("BTCUSDT", Held(Fraction(0), Fraction(0)), None)
    assert (flat["entry_price"], flat["mark_price"], flat["unrealised"]) == (None, None, None)


def test_the_days_highest_outlives_a_restart(tmp_path: Path):
    """And a new day begins without one."""
    path = tmp_path / "high.json"
    HighWater(path).raise_to(Decimal("100.5"), 10.0)
    again = HighWater(path)
    assert again.highest(20.0) == Decimal("100.5")
    again.raise_to(Decimal(90), 30.0)
    assert HighWater(path).highest(40.0) == Decimal("100.5")
    assert HighWater(path).highest(DAY_S + 1.0) == 0


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"day": 0}', b'{"day": 0, "highest": "much"}'])
def test_a_highest_that_cannot_be_read_is_none(tmp_path: Path, content: bytes):
    """The next reading is the highest then."""
    path = tmp_path / "high.json"
    path.write_bytes(content)
    assert HighWater(path).highest(0.0) == 0


def test_the_market_goes_on_for_ever():
    """Where its candles end they begin again, later."""
    market = Market(1, history=5, ahead=3)
    opens = [market.next().open_ms for _ in range(7)]
    assert opens == [60_000 * number for number in range(5, 12)]
    assert [candle.open_ms for candle in market.past()] == [60_000 * number for number in range(5)]


def test_predictions_are_told_what_came_of_them():
    """Those of the last candle, with its move; before the first there is nothing to tell."""
    first, second = generate(1, 2)
    outcomes = Outcomes()
    assert outcomes.due(first) == {}
    outcomes.made(first, ("a", "b"))
    assert outcomes.due(second) == {"a": return_ppm(first, second), "b": return_ppm(first, second)}


@dataclass(frozen=True)
class Expected:
    """A prediction."""

    id: str
    direction: int
    confidence: float


def test_a_model_that_does_not_know_says_nothing():
    """At a confidence of one half either way is as likely."""
    assert signal_of(Expected("1", 1, 0.5), "BTCUSDT", 5.0) is None
    signal = signal_of(Expected("1", -1, 0.75), "BTCUSDT", 5.0)
    assert signal == {"id": "ai-BTCUSDT-1", "symbol": "BTCUSDT", "side": "SELL", "confidence": 0.75, "ttl_s": 5.0}
