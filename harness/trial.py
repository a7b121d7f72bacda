"""A conversation with a target in which nothing is broken: what a port's `trial` function is written with.

    async def talk(trial: Trial) -> None:
        bus = trial.make(redis_url=trial.endpoints["redis"], directory=trial.disk, name="trial")
        await trial.call("start()", bus.start)
        ...
        await trial.expect("a handler was called", lambda: bool(heard), after="publish_event()")

It stops at the first thing that does not work (`DoesNotWorkError`), as what follows would only repeat it.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from harness.shape import problems
from harness.world.base import Host

T = TypeVar("T")

PATIENCE_S: Final = 5.0
"""In which a call must return, or something happen: simulated time, and nothing is broken."""

_POLL_S: Final = 0.05
_HARNESS: Final = str(Path(__file__).parent)


class DoesNotWorkError(Exception):
    """What a target did not do, each in words."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__("; ".join(texts))
        self.texts = tuple(texts)


class Trial:
    """One target on a host of its own. `worked` grows by what did, in words."""

    def __init__(self, host: Host, factory: Callable[..., Any], shape: type) -> None:
        self._factory = factory
        self._shape = shape
        self._before = asyncio.all_tasks()
        self.host = host
        self.endpoints: Mapping[str, str] = host.endpoints
        self.disk: Path = host.disk
        self.worked: list[str] = []

    def make(self, **keywords: Any) -> Any:
        """Make the target and look at its shape."""
        try:
            target = self._factory(**keywords)
        except Exception as error:
            raise DoesNotWorkError([f"the factory raised {describe(error)}"]) from error
        found = list(problems(target, self._shape))
        if found:
            raise DoesNotWorkError(found)
        self.worked.append(f"the factory made it, and it has all of {self._shape.__name__}")
        return target

    async def call(self, what: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
        """Call an async method and return what it returned in time."""
        try:
            answer = function(*args, **keywords)
            async with asyncio.timeout(PATIENCE_S):
                result = await _awaitable(what, answer)
        except TimeoutError as error:
            raise DoesNotWorkError([f"{what} did not return within {PATIENCE_S:.0f} s"]) from error
        except DoesNotWorkError:
            raise
        except Exception as error:
            raise DoesNotWorkError([f"{what} raised {describe(error)}"]) from error
        self.worked.append(f"{what} returned")
        return result

    async def refused(self, what: str, function: Callable[..., Any], *args: Any, **keywords: Any) -> Exception:
        """Call an async method that must raise, and return the error."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                answer = await function(*args, **keywords)
        except Exception as error:  # noqa: BLE001 - whichever it is, it refused
            self.worked.append(f"{what} was refused")
            return error
        raise DoesNotWorkError([f"{what} returned {_shown(answer)}, and should have raised"])

    async def expect(self, what: str, condition: Callable[[], bool], *, after: str) -> None:
        """Wait until something has happened."""
        for _ in range(round(PATIENCE_S / _POLL_S)):
            if condition():
                self.worked.append(f"{what} after {after}")
                return
            await asyncio.sleep(_POLL_S)
        raise DoesNotWorkError([f"{after} returned, but it did not happen within {PATIENCE_S:.0f} s that {what}"])

    def equal(self, what: str, expected: object, found: object) -> None:
        """See that a figure is as it must be."""
        if expected != found:
            raise DoesNotWorkError([f"{what} is {_shown(found)}; it should be {_shown(expected)}"])
        self.worked.append(f"{what} is {_shown(found)}")

    def true(self, what: str, *, otherwise: str, when: bool) -> None:
        """See that something is so; `otherwise` says what is wrong if it is not."""
        if not when:
            raise DoesNotWorkError([otherwise])
        self.worked.append(what)

    async def end(self) -> None:
        """See that nothing is left running once the target is closed."""
        await asyncio.sleep(_POLL_S)
        left = [task for task in asyncio.all_tasks() - self._before if not task.done()]
        if left:
            names = sorted(_name(task) for task in left)
            some = f"{len(left)} tasks" if len(left) > 1 else "a task"
            raise DoesNotWorkError([f"close() left {some} running: {', '.join(names)}"])
        self.worked.append("close() left nothing running")


def describe(error: BaseException) -> str:
    """Return an error in one line, with the last line of it that is not the harness's."""
    text = " ".join(str(error).split())
    place = ""
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((_HARNESS, "<")) and "site-packages" not in code.co_filename:
            place = f" (at {Path(code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    return f"{type(error).__name__}{': ' if text else ''}{text[:300]}{place}"


def _awaitable(what: str, answer: Any) -> Awaitable[Any]:
    if not inspect.isawaitable(answer):
        raise DoesNotWorkError([f"{what} returned {_shown(answer)}, which cannot be awaited: make it async"])
    return answer


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line


def _name(task: "asyncio.Task[Any]") -> str:
    coroutine = task.get_coro()
    code = getattr(coroutine, "cr_code", None)
    return task.get_name() if code is None else f"{code.co_qualname} ({Path(code.co_filename).name})"
