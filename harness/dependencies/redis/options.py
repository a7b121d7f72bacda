"""What a scenario may ask of a Redis server, the same in both worlds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from harness.errors import UsageError

_KNOWN: Final = ("password", "persistence", "server")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisOptions:
    """`server` is a program's path or name on PATH (real world only; None: the one of the wheel)."""

    persistence: Literal["aof", "none"] = "aof"
    password: str = ""
    server: str | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Return checked options. Raises UsageError."""
        unknown = sorted(set(options) - set(_KNOWN))
        if unknown:
            raise UsageError(f"unknown options of redis: {', '.join(unknown)}; known: {', '.join(_KNOWN)}")
        if options.get("persistence", "aof") not in {"aof", "none"}:
            raise UsageError(f"persistence of redis is aof or none, not {options['persistence']!r}")
        return cls(**options)
