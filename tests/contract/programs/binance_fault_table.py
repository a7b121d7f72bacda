"""What the exchange's faults do to unmodified clients: the table that both worlds and the respx routes are held to."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from harness.dependencies.binance import faults
from harness.dependencies.binance.settings import Limit
from harness.faults import network
from harness.faults.base import Evidence, Fault
from harness.history.events import Event, HostChanged, Observation
from harness.history.history import History
from harness.history.query import fault_windows
from harness.world.base import WorldKind

LIMITS = (Limit("REQUEST_WEIGHT", "SECOND", 1, 2_000), Limit("ORDERS", "SECOND", 1, 500))
"""Windows so short that a fault of limits is felt soon; the prober by itself never comes near them."""
OPTIONS = {"futures_limits": LIMITS, "strikes": 1_000_000}

Met: TypeAlias = dict[str, Any]
Expected: TypeAlias = Sequence[tuple[str, str]] | Callable[[Met], bool]
"""(what, outcome) pairs, each to be met after the one before; or what an observation must be."""

FINE = {"read": "200 told", "order": "200 told", "rest": "200 told", "query": "200 told", "cancel": "200 told"}
STORM = [("read", "429 -1003 wait told"), ("order", "429 -1003 wait told")]
BAN = ("read", "418 -1003 wait")
BANS = (200, 300, 400)
PEER_RESET = "reset by the exchange"
PEER_RESETS = {"sim": "ReadError", "real": "RemoteProtocolError"}
"""A peer's own reset: the proxy of the real world passes it on as a close, as the original Toxiproxy does."""


def late(met: Met) -> bool:
    """An answer that came late, and came."""
    return met["what"] == "read" and met["outcome"] == "200 told" and met["ms"] >= 300


def answers(what: str, *outcomes: str) -> list[tuple[str, str]]:
    """The same request meets these one after the other."""
    return [(what, outcome) for outcome in outcomes]


TABLE: list[tuple[Fault, dict[str, Expected]]] = [
    (
        faults.storm(),
        {
            "rest-of-window": STORM,
            "short": STORM,
            "no-headers": [("read", "429 -1003"), ("order", "429 -1003")],
        },
    ),
    (
        faults.ban(lengths_ms=BANS, pause_ms=(100, 200)),
        {
            "first": [BAN],
            "second": [BAN],
            "third": [BAN],
            "escalating": [BAN, ("read", "200 told"), BAN, ("read", "200 told")],
        },
    ),
    (
        faults.order_storm(),
        {
            "at-429": [("order", "429 -1015 wait told"), ("read", "200 told")],
            "at-400": [("order", "400 -1015 told"), ("read", "200 told")],
            "no-headers": [("order", "429 -1015"), ("read", "200")],
        },
    ),
    (
        faults.unavailable(),
        {
            "A-executed": answers("order", "503 - told"),
            "A-not-executed": answers("order", "503 - told"),
            "A-executed-late": answers("order", *["503 - told"] * 60),  # more than a second's
            "B": answers("order", "503 - told"),
            "C": answers("order", "503 -1008 told"),
            "D": answers("order", "503 -1001 told"),
        },
    ),
    (
        faults.unknown_status(),
        {
            "1006-executed": answers("order", "400 -1006 told"),
            "1006-not-executed": answers("order", "400 -1006 told"),
            "1007-executed": answers("order", "408 -1007 told"),
            "1007-not-executed": answers("order", "408 -1007 told"),
        },
    ),
    (faults.recv_window(), {"recv-window": [("order", "400 -1021 told"), ("query", "400 -1021 told")]}),
    (faults.firewall(), {"firewall": [("read", "403 html"), ("order", "403 html")]}),
    (faults.rejects(), {str(code): answers("order", f"400 {code} told") for code in faults.TERMINAL}),
    (
        faults.timeouts(share=0.5),
        {"before": answers("order", "ReadTimeout"), "after": answers("order", "ReadTimeout")},
    ),
    (faults.resets(share=0.5), {"before": answers("order", PEER_RESET), "after": answers("order", PEER_RESET)}),
    (faults.latency(latency_ms=400, jitter_ms=100, share=0.5), {"spikes": late, "all": late}),
    (
        faults.tenants(share=0.9, limits=LIMITS),
        {"weight": lambda met: met.get("used", 0) >= 1_200, "orders": lambda met: met.get("orders", 0) >= 300},
    ),
    (faults.lower_limits(factor=0.01), {"lower-limits": [("read", "429 -1003 wait told")]}),
    (faults.no_headers(), {"no-headers": answers("read", "200", "200")}),
    (faults.thin_book(), {"thin-book": answers("order", "200 told", "200 told")}),
    (faults.slippage(), {"slippage": answers("order", "200 told", "200 told")}),
    (faults.flash_crash(over_ms=200), {"flash-crash": answers("read", *["200 told"] * 40)}),
    (
        faults.streams(every_ms=100),
        {
            "disconnect": answers("stream", "closed 1006", "closed 1006"),
            "expiry": answers("stream", "expired closed 1000", "expired closed 1000"),
        },
    ),
    (
        network.drop_http_reply("prober", "binance", methods=("POST",), path="/fapi/v1/order", share=0.5),
        {"drop-reply": answers("order", "ReadTimeout"), "drop-request": answers("order", "ReadTimeout")},
    ),
    (
        network.reset_http("prober", "binance", methods=("POST",), path="/fapi/v1/order", share=0.5),
        {
            "before": answers("order", "ReadError"),
            "after": answers("order", "ReadError"),
            "mid-reply": answers("order", "ReadError"),
        },
    ),
]
WAYS = [(fault, mode, expected) for fault, modes in TABLE for mode, expected in modes.items()]


class Seen(list[Event]):
    """A sink."""

    def record(self, event: Event) -> None:
        """Keep it; a prober that fails ends the run."""
        self.append(event)
        assert not (isinstance(event, HostChanged) and event.change == "failed"), event

    def met(self, since: int, *, began_ns: int = 0) -> list[Met]:
        """What the prober met, observed since that position, of what it began since that time."""
        return [
            event.value
            for event in self[since:]
            if isinstance(event, Observation) and event.name == "met" and event.value["began_ns"] >= began_ns
        ]


def is_met(expected: Expected, seen: list[Met], kind: WorldKind) -> bool:
    """Whether everything expected was met in that world, in its order."""
    if callable(expected):
        return any(expected(met) for met in seen)
    wanted = [(what, PEER_RESETS[kind] if outcome == PEER_RESET else outcome) for what, outcome in expected]
    for met in seen:
        if wanted and (met["what"], met["outcome"]) == wanted[0]:
            del wanted[0]
    return not wanted


def rounds(seen: list[Met]) -> int:
    """How many whole rounds of the prober."""
    return sum(met["what"] == "query" for met in seen)


def is_well(seen: list[Met]) -> bool:
    """Whether every kind of request is answered as ever."""
    return {(met["what"], met["outcome"]) for met in seen} >= FINE.items()


def evidence(history: History, fault: Fault, number: int) -> Evidence:
    """The evidence of the fault of that number."""
    (window,) = (one for one in fault_windows(history) if one.number == number)
    return fault.evidence(history, window)
