"""An order executor as a program of its own: the reference adapter behind the protocol of harness/docs/target.md."""

import asyncio
import os
from decimal import Decimal
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from reference_impl.binance_adapter import make


def fields(report):
    price = report.average_price
    return {
        "intent": report.intent,
        "status": report.status,
        "filled": str(report.filled),
        "missing": str(report.missing),
        "average_price": None if price is None else str(price),
        "reason": report.reason,
        "attempts": report.attempts,
    }


def answering(work):
    async def answer(request):
        try:
            return JSONResponse(await work(await request.json()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            return JSONResponse({"reason": getattr(error, "reason", ""), "message": str(error)}, status_code=503)

    return answer


async def main():
    adapter = make(
        base_url=os.environ["BINANCE_BASE_URL"],
        api_key=os.environ["BINANCE_API_KEY"],
        api_secret=os.environ["BINANCE_API_SECRET"],
        directory=Path(os.environ["HARNESS_DIRECTORY"]),
        name=os.environ["HARNESS_NAME"],
    )
    await adapter.start()

    async def execute(told):
        told["quantity"] = Decimal(told["quantity"])
        told["decision_price"] = told["decision_price"] and Decimal(told["decision_price"])
        return fields(await adapter.execute_order(**told))

    async def limit(told):
        told |= {"quantity": Decimal(told["quantity"]), "price": Decimal(told["price"])}
        return {"client_order_id": await adapter.place_limit(**told)}

    async def cancel(told):
        return {"executed": str(await adapter.cancel_order(**told))}

    async def get(told):
        return {"body": await adapter.get(**told)}

    async def reconcile(told):
        return {"reports": [fields(one) for one in (await adapter.reconcile(**told)).values()]}

    paths = {"/execute": execute, "/limit": limit, "/cancel": cancel, "/get": get, "/reconcile": reconcile}
    app = Starlette(routes=[Route(path, answering(work), methods=["POST"]) for path, work in paths.items()])
    port = int(os.environ["HARNESS_PORT"])
    await uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning")).serve()


asyncio.run(main())
