"""A small service behind the guard, called over ASGI as a server calls it."""

import json

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from reference_impl._http.app import Operator, guarded
from reference_impl._http.audit import RefusalLog, Throttle
from reference_impl._http.guard import Rules
from reference_impl._http.nonces import RecentNonces
from reference_impl._http.tokens import Tokens

TOKENS = {"alice": "alice-token-0123456789", "bob": "bob-token-0123456789ab"}


class Change(BaseModel):
    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=20)
    amount: float = 0.0


class Service:
    """What was changed, what was recorded, and what to fail with."""

    def __init__(self, **rules):
        self.changes = []
        self.records = []
        self.nonces = RecentNonces(kept=3)
        self.error = None
        self.nonce_error = None
        self.audit_error = None
        self.refusals = RefusalLog(self.keep, Throttle(window_s=60, limit=5))
        router = APIRouter()

        @router.get("/api/state")
        async def state() -> dict[str, int]:
            return {"changes": len(self.changes)}

        @router.post("/api/change")
        async def change(body: Change, operator: Operator) -> dict[str, str]:
            if self.error is not None:
                raise self.error
            self.changes.append((operator, body.reason))
            return {"by": operator}

        options = {"tokens": Tokens(TOKENS), "nonces": self, "refusals": self.refusals, "body_bytes_max": 200} | rules
        self.app = guarded("service", [router], Rules(**options))

    async def keep(self, refused):
        if self.audit_error is not None:
            raise self.audit_error
        self.records.append(refused)

    async def use(self, operator, nonce):
        if self.nonce_error is not None:
            raise self.nonce_error
        return self.nonces.use(operator, nonce)

    async def call(self, method="POST", path="/api/change", *, json_body=None, **options):
        """A good call, unless an option says otherwise; a header of None is left out."""
        headers = {
            "Authorization": f"Bearer {TOKENS['alice']}",
            "Content-Type": "application/json",
            "X-Request-Id": "request-0001",
        } | options.pop("headers", {})
        if method == "POST":
            options.setdefault("content", json.dumps({"reason": "drill"} if json_body is None else json_body))
        transport = httpx.ASGITransport(app=self.app, client=("10.0.0.9", 555))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            kept = [(name, value) for name, value in headers.items() if value is not None]
            return await client.request(method, path, headers=kept, **options)

    def told(self):
        """The records, short."""
        return [(one.who, one.status, one.code) for one in self.records]


@pytest.fixture
def service():
    return Service()


@pytest.fixture(scope="session")
def new_service():
    return Service
