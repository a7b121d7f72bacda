"""The AI engine: trained, it predicts; told what came of it, it reports live metrics."""

from dataclasses import dataclass

import httpx

from harness.trial import DoesNotWorkError, Trial
from scenarios.ai_models import Workshop
from scenarios.ports.ai import AiEngine

_HISTORY = 400
_INTERVAL_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Candle:
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float


async def talk(trial: Trial) -> None:
    """Train it, give it a candle and the outcomes, look at its metrics."""
    engine: AiEngine = trial.make(
        directory=trial.disk,
        name="trial",
        executor=Workshop(fit_ns=0),
        models="small",
        window=50,
        predict_limit_s=0.5,
        stale_after_s=600.0,
        stuck_after=10,
        folds=0,
    )
    await trial.call("start()", engine.start)
    candles = [_candle(number) for number in range(_HISTORY + 1)]
    await trial.call("train()", engine.train, candles[:-1])
    predictions = await trial.call("on_candle()", engine.on_candle, candles[-1])
    if not predictions:
        raise DoesNotWorkError(["on_candle() returned no prediction, though it was trained"])
    trial.equal("predictions of a candle given again", _ids(predictions), _ids(await engine.on_candle(candles[-1])))
    for one in predictions:
        if one.direction not in (1, -1) or not 0.5 <= one.confidence <= 1:  # noqa: PLR2004 - as the port has it
            raise DoesNotWorkError([f"prediction of {one.source}: direction {one.direction}, {one.confidence}"])
    outcomes = dict.fromkeys(_ids(predictions), 1_000)
    trial.equal("on_outcomes()", len(outcomes), await trial.call("on_outcomes()", engine.on_outcomes, outcomes))
    path = "/api/dashboard/ml_metrics"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(engine.app()), base_url="http://trial") as client:
        answer = await trial.call(f"GET {path}", client.get, path)
    trial.equal(f"status of GET {path}", httpx.codes.OK.value, answer.status_code)
    await trial.call("close()", engine.close)


def _ids(predictions: object) -> list[str]:
    return [one.id for one in predictions]  # type: ignore[attr-defined]


def _candle(number: int) -> _Candle:
    price = 100.0 + (number * 7 % 13) * 0.5 + number * 0.01
    return _Candle(
        1_700_000_000_000 + number * _INTERVAL_MS, price, price + 0.3, price - 0.3, price + 0.1, 10.0 + number % 5
    )
