"""What can happen to clients of the exchange. One function for each fault; its arguments are the modes it may take.

| fault `binance.` | modes | what happens | proof that it bit |
|---|---|---|---|
| storm | rest-of-window, short, no-headers | 429 -1003, as if the weight were used up | requests answered so |
| ban | first, second, third, escalating | 418 until the imposed ban is over | requests turned away by it |
| order_storm | at-429, at-400, no-headers | -1015 on new orders | orders refused so |
| unavailable | A-executed, A-executed-late, A-not-executed, B, C, D | the variants of 503 | outcomes as told |
| unknown_status | 1006-..., 1007-..., each executed and not | -1006, -1007 | the same |
| recv_window | recv-window | -1021, whatever the timestamp | requests answered so |
| firewall | firewall | 403, HTML | requests answered so |
| rejects | the codes, as -2019 | a terminal error | orders refused with that code |
| timeouts | before, after | no answer; not executed, or executed | requests never answered, outcomes as told |
| resets | before, after | a reset instead of the answer; the same | requests reset, outcomes as told |
| latency | spikes, all | answers are late | late answers |
| tenants | weight, orders | others use the same limits | requests that found a limit so far in use |
| lower_limits | lower-limits | limits are cut | requests that found a lowered one so far in use |
| no_headers | no-headers | answers do not tell the use | such answers, to requests that were charged |
| thin_book | thin-book | the book has hardly any depth | orders left short, or filled at worse prices |
| slippage | slippage | the price runs away from each order | fills at worse prices |
| flash_crash | flash-crash | prices fall within seconds, and stay down | answers that told the fallen price |
| streams | disconnect, expiry | user data streams end | streams closed while open |

Faults of single requests take a `share` of those in `scope`, the first `count` of them (0: as long as it holds):

| scope | requests |
|---|---|
| all | every request |
| orders | new orders |
| changes | new orders and cancels |
| reads | GETs, also of orders |

Proof comes from what the exchange recorded (proof.py), never from what a client says of itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from harness.dependencies.binance.arms import Arm, Kind
from harness.dependencies.binance.proof import Bans, Crowded, CrowdedOrders, Delayed, Ended, Headerless, Hit, Lowered
from harness.dependencies.binance.settings import FUTURES_LIMITS, Limit
from harness.dependencies.binance.ways import Armed, Escalating, ExchangeFault, Way
from harness.units import ms

Scope: TypeAlias = Literal["all", "orders", "changes", "reads"]

_ORDER_PATHS: Final = ("/fapi/v1/order", "/fapi/v1/batchOrders", "/api/v3/order")
_SCOPES: Final[Mapping[Scope, Mapping[str, Any]]] = {
    "all": {},
    "orders": {"methods": ("POST",), "paths": _ORDER_PATHS},
    "changes": {"methods": ("POST", "PUT", "DELETE"), "paths": (*_ORDER_PATHS, "/fapi/v1/allOpenOrders")},
    "reads": {"methods": ("GET",)},
}
TERMINAL: Final = (-2019, -4116, -4164, -1111, -4003, -2022)
"""Errors that sending the same order again cannot cure."""
BAN_LENGTHS_MS: Final = (120_000, 300_000, 1_800_000)
"""The first three that are documented, from 2 min on."""


def storm(
    *modes: str, on: str = "binance", share: float = 1.0, count: int = 0, scope: Scope = "all", short_ms: int = 2_000
) -> ExchangeFault:
    """429 -1003 although nobody used that much: as when something else on the IP went wild.

    `rest-of-window`: to wait for the end of the window; `short`: `short_ms`; `no-headers`: neither `Retry-After` nor
    the use is told. Who goes on sending earns a ban, as ever.
    """
    rest = _arm("too_many_requests", scope, share, count)
    short = _arm("too_many_requests", scope, share, count, retry_after_ms=short_ms)
    proof = Hit(kind="too_many_requests", status=429, code=-1003)
    how = {
        "rest-of-window": Armed((rest,), proof),
        "short": Armed((short,), proof),
        "no-headers": Armed((rest, _arm("no_headers", "all")), proof),
    }
    return _fault("storm", on, how, modes)


def ban(
    *modes: str,
    on: str = "binance",
    lengths_ms: Sequence[int] = BAN_LENGTHS_MS,
    pause_ms: tuple[int, int] = (5_000, 20_000),
) -> ExchangeFault:
    """An IP ban that falls from the sky: 418 and "banned until", for one of three lengths.

    `first`, `second`, `third`: one ban of that length, cut short where the fault ends. `escalating`: all of them in
    turn, the last one again, with a drawn pause in which the exchange answers.
    """
    if len(lengths_ms) != len(_BANS):
        raise ValueError(f"ban lengths are {len(_BANS)}, for {', '.join(_BANS)}; not {len(lengths_ms)}")
    how: dict[str, Way] = {
        name: Armed((Arm(kind="ban", options={"ms": length_ms}),), Bans())
        for name, length_ms in zip(_BANS, lengths_ms, strict=True)
    }
    how["escalating"] = Escalating(tuple(lengths_ms), pause_ms, Bans(least=2))
    return _fault("ban", on, how, modes)


def order_storm(
    *modes: str, on: str = "binance", share: float = 1.0, count: int = 0, retry_after_ms: int | None = None
) -> ExchangeFault:
    """-1015 on new orders, at 429 (documented) or 400 (seen); cancels and reads pass.

    `no-headers` is at 429, without `Retry-After` and order counts. `retry_after_ms`: None is the rest of the window.
    """
    wait = {} if retry_after_ms is None else {"retry_after_ms": retry_after_ms}
    at = {status: _arm("too_many_orders", "orders", share, count, status=status, **wait) for status in (429, 400)}
    proof = {status: Hit(kind="too_many_orders", status=status, code=-1015) for status in at}
    how = {
        "at-429": Armed((at[429],), proof[429]),
        "at-400": Armed((at[400],), proof[400]),
        "no-headers": Armed((at[429], _arm("no_headers", "all")), proof[429]),
    }
    return _fault("order_storm", on, how, modes)


def unavailable(
    *modes: str, on: str = "binance", share: float = 0.3, count: int = 0, scope: Scope = "changes"
) -> ExchangeFault:
    """503 in its four variants. After A nobody knows what became of the order; after B, C and D it was not executed.

    `A-executed-late` is executed a second after the answer: who asks at once is told that it does not exist.
    C (-1008) spares cancels and reduce-only orders, as the documentation says.
    """
    how = {
        f"A-{outcome}": Armed(
            (_arm("unknown_error", scope, share, count, executed=float(executed)),),
            Hit(kind="unknown_error", status=503, executed=executed),
        )
        for outcome, executed in _OUTCOMES.items()
    }
    late = _arm("unknown_error", scope, share, count, executed=1.0, after_ms=1_000)
    how["A-executed-late"] = Armed((late,), Ended(kind="unknown_error", count="late"))
    for variant, kind in _FAILED_503.items():
        how[variant] = Armed((_arm(kind, scope, share, count),), Hit(kind=kind, status=503))
    return _fault("unavailable", on, how, modes)


def unknown_status(
    *modes: str, on: str = "binance", share: float = 0.2, count: int = 0, scope: Scope = "changes"
) -> ExchangeFault:
    """-1006 and -1007: "execution status unknown", after an order that was executed, or was not."""
    how = {
        f"{-code}-{outcome}": Armed(
            (_arm(kind, scope, share, count, executed=float(executed)),), Hit(kind=kind, code=code, executed=executed)
        )
        for kind, code in _UNKNOWN_STATUS.items()
        for outcome, executed in _OUTCOMES.items()
    }
    return _fault("unknown_status", on, how, modes)


def recv_window(*, on: str = "binance", share: float = 0.3, count: int = 0, scope: Scope = "all") -> ExchangeFault:
    """-1021 on signed requests, whatever their timestamp: as when the clocks disagree."""
    arm = _arm("outside_recv_window", scope, share, count)
    how = {"recv-window": Armed((arm,), Hit(kind="outside_recv_window", status=400, code=-1021))}
    return _fault("recv_window", on, how)


def firewall(*, on: str = "binance", share: float = 1.0, count: int = 0, scope: Scope = "all") -> ExchangeFault:
    """403 with an HTML page from the web application firewall, in front of everything."""
    how = {"firewall": Armed((_arm("firewall", scope, share, count),), Hit(kind="firewall", status=403))}
    return _fault("firewall", on, how)


def rejects(
    *codes: int, on: str = "binance", share: float = 0.3, count: int = 0, scope: Scope = "orders"
) -> ExchangeFault:
    """A terminal error, not executed: one of `TERMINAL`, or of the codes given (any that errors.py has)."""
    how = {
        str(code): Armed((_arm("reject", scope, share, count, code=code),), Hit(kind="reject", code=code))
        for code in codes or TERMINAL
    }
    return _fault("rejects", on, how)


def timeouts(
    *modes: str, on: str = "binance", share: float = 0.1, count: int = 0, scope: Scope = "changes"
) -> ExchangeFault:
    """No answer, ever, and the connection stays: `before` the order was executed, or `after`."""
    how = {
        "before": Armed((_arm("silent_before", scope, share, count),), Hit(kind="silent_before", unanswered=True)),
        "after": Armed(
            (_arm("silent_after", scope, share, count),),
            Hit(kind="silent_after", unanswered=True, executed=_executes(scope)),
        ),
    }
    return _fault("timeouts", on, how, modes)


def resets(
    *modes: str, on: str = "binance", share: float = 0.1, count: int = 0, scope: Scope = "changes"
) -> ExchangeFault:
    """A reset (RST) instead of the answer, `before` the order was executed, or `after`."""
    how = {
        "before": Armed((_arm("reset_before", scope, share, count),), Hit(kind="reset_before")),
        "after": Armed((_arm("reset_after", scope, share, count),), Hit(kind="reset_after", executed=_executes(scope))),
    }
    return _fault("resets", on, how, modes)


def latency(
    *modes: str,
    on: str = "binance",
    latency_ms: int = 2_000,
    jitter_ms: int = 0,
    share: float = 0.1,
    scope: Scope = "all",
) -> ExchangeFault:
    """Answers come `latency_ms` late, plus or minus up to `jitter_ms`: to a share of the requests, or to `all`."""
    proof = Delayed(kind="latency", least_ns=ms(latency_ms - jitter_ms))
    how = {
        name: Armed((_arm("latency", scope, hit, ms=latency_ms, jitter_ms=jitter_ms),), proof)
        for name, hit in {"spikes": share, "all": 1.0}.items()
    }
    return _fault("latency", on, how, modes)


def tenants(
    *modes: str,
    on: str = "binance",
    share: float = 0.5,
    limits: Sequence[Limit] = FUTURES_LIMITS,
    felt_from: float = 0.5,
) -> ExchangeFault:
    """Others use that share of the limits: of the IP's `weight`, or of the account's `orders`.

    It bit if a request found `felt_from` of a limit in use, theirs included.
    """
    weight = {"weight_per_s": share * _rate(limits, "REQUEST_WEIGHT"), "orders_per_s": 0.0}
    orders = {"weight_per_s": 0.0, "orders_per_s": share * _rate(limits, "ORDERS")}
    how = {
        "weight": Armed((Arm(kind="tenant", options=weight),), Crowded(felt_from=felt_from)),
        "orders": Armed((Arm(kind="tenant", options=orders),), CrowdedOrders(felt_from=felt_from)),
    }
    return _fault("tenants", on, how, modes)


def lower_limits(*, on: str = "binance", factor: float = 0.5, felt_from: float = 0.5) -> ExchangeFault:
    """All limits are cut to `factor`; exchangeInfo says so. It bit if a request found `felt_from` of one in use."""
    proof = Lowered(felt_from=felt_from)
    return _fault("lower_limits", on, {"lower-limits": Armed((Arm(kind="limits", options={"factor": factor}),), proof)})


def no_headers(*, on: str = "binance") -> ExchangeFault:
    """Answers tell neither the use nor `Retry-After`, as behind a proxy that drops what it does not know."""
    return _fault("no_headers", on, {"no-headers": Armed((_arm("no_headers", "all"),), Headerless())})


def thin_book(
    *, on: str = "binance", factor: float = 0.05, refill_ms: int = 5_000, symbols: Sequence[str] = ()
) -> ExchangeFault:
    """Every level has `factor` of its depth, and takes `refill_ms` to come back: orders fill partly, or deep."""
    arm = Arm(kind="thin_book", symbols=tuple(symbols), options={"factor": factor, "refill_ms": refill_ms})
    return _fault("thin_book", on, {"thin-book": Armed((arm,), Ended(kind="thin_book", count="fills"))})


def slippage(*, on: str = "binance", bps: int = 80, symbols: Sequence[str] = ()) -> ExchangeFault:
    """The touch moves by `bps` against each order, just before it is matched."""
    arm = Arm(kind="price_move", symbols=tuple(symbols), options={"bps": bps})
    return _fault("slippage", on, {"slippage": Armed((arm,), Ended(kind="price_move", count="fills"))})


def flash_crash(
    *, on: str = "binance", bps: int = 2_000, over_ms: int = 3_000, symbols: Sequence[str] = ()
) -> ExchangeFault:
    """Prices fall by `bps` within `over_ms`, and stay there until healed: by default a fifth, in three seconds."""
    arm = Arm(kind="price_fall", symbols=tuple(symbols), options={"bps": bps, "over_ms": over_ms})
    return _fault("flash_crash", on, {"flash-crash": Armed((arm,), Ended(kind="price_fall", count="told"))})


def streams(*modes: str, on: str = "binance", every_ms: int = 1_000) -> ExchangeFault:
    """User data streams end, again and again: `disconnect` closes them, `expiry` lets their listen keys expire."""
    arms: dict[str, Arm] = {
        "disconnect": Arm(kind="stream_disconnect", options={"every_ms": every_ms}),
        "expiry": Arm(kind="listen_key_expiry", options={"ms": every_ms}),
    }
    how = {name: Armed((arm,), Ended(kind=arm.kind, count="streams")) for name, arm in arms.items()}
    return _fault("streams", on, how, modes)


_BANS: Final = ("first", "second", "third")
_OUTCOMES: Final = {"executed": True, "not-executed": False}
_FAILED_503: Final[Mapping[str, Kind]] = {"B": "service_unavailable", "C": "throttled", "D": "internal_error"}
_UNKNOWN_STATUS: Final[Mapping[Kind, int]] = {"bus_unknown": -1006, "backend_timeout": -1007}


def _arm(kind: Kind, scope: Scope, share: float = 1.0, count: int = 0, **options: Any) -> Arm:
    if scope not in get_args(Scope):
        raise ValueError(f"unknown scope {scope!r}; known: {', '.join(get_args(Scope))}")
    return Arm(kind=kind, share=share, count=count, options=options, **_SCOPES[scope])


def _executes(scope: Scope) -> bool | None:
    """Whether a request of that scope must have taken effect to prove a fault after execution; reads never do."""
    return None if scope == "reads" else True


def _rate(limits: Sequence[Limit], type_: str) -> float:
    """Return the highest sustained use a second that all limits of that type allow."""
    return min(1_000 * limit.limit / limit.window_ms for limit in limits if limit.type == type_)


def _fault(name: str, on: str, how: Mapping[str, Way], modes: Sequence[str] = ()) -> ExchangeFault:
    if unknown := set(modes) - set(how):
        raise ValueError(f"unknown modes {sorted(unknown)} of binance.{name}; known: {', '.join(how)}")
    return ExchangeFault(f"binance.{name}", on, {mode: how[mode] for mode in modes or how})
