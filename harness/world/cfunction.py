"""Redirecting functions that are written in C, in place.

`from time import monotonic` and `def f(clock=time.monotonic)` keep the function *object*, so replacing the attribute
of the module does not reach them. Instead the object itself is redirected. A `PyCFunctionObject` holds a pointer to
its definition (name, C function, calling convention) and the `self` that is passed to it, side by side:

- `self` becomes the Python callable that shall run instead;
- the definition becomes a private copy whose C function is the function of CPython's own API with the very signature
  of that calling convention: a call `f(self, NULL)` becomes `PyObject_CallObject(callable, NULL)`, and so on.

No ctypes callback is involved, so exceptions, signals and reference counts behave as in any other call, and nothing
that other objects share is written to. Both pointers are swapped in one copy while the GIL is held. Redirections live
for ever once made (a thread may be inside one while it is taken out); only the pointers go in and out.

Checked on CPython 3.11; the layout has been the same from 3.8 to 3.13. `_verify` in sources.py refuses to start a run
when an interpreter does not follow it. Free-threaded builds are refused: there the swap would not be atomic.
"""

import ctypes
import sys
import sysconfig
from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any, Final

from harness.errors import WorldError

_METH_VARARGS: Final = 0x01
_METH_KEYWORDS: Final = 0x02
_METH_NOARGS: Final = 0x04
_METH_O: Final = 0x08
_METH_CLASS: Final = 0x10
_METH_FASTCALL: Final = 0x80

_CALLS: Final = {
    _METH_NOARGS: "PyObject_CallObject",
    _METH_O: "PyObject_CallOneArg",
    _METH_VARARGS: "PyObject_CallObject",
    _METH_VARARGS | _METH_KEYWORDS: "PyObject_Call",
    _METH_FASTCALL | _METH_KEYWORDS: "PyObject_Vectorcall",
}
"""Calling convention -> the API function with the same C signature. METH_FASTCALL alone has none (no `kwnames`)."""


class _MethodDef(ctypes.Structure):
    """`PyMethodDef`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    )


class _Binding(ctypes.Structure):
    """The two neighbouring fields of `PyCFunctionObject` that say what is called."""

    _fields_ = (("definition", ctypes.c_void_p), ("self", ctypes.c_void_p))


_BINDING_AT: Final = object.__basicsize__
_SIZE_OF_A_FUNCTION: Final = 7 * ctypes.sizeof(ctypes.c_void_p)  # head, m_ml, m_self, m_module, weakrefs, vectorcall

# Not ctypes.memmove: that one releases the GIL, and another thread could call a half-swapped function.
_copy = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)(
    ctypes.cast(ctypes.memmove, ctypes.c_void_p).value or 0,
)


def _address(name: str) -> int:
    found = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    if found is None:  # pragma: no cover - dlsym would have failed before
        raise WorldError(f"this interpreter has no {name}")
    return found


def _new_function(definition: int, owner: object, module: object) -> Any:
    make = ctypes.pythonapi.PyCMethod_New
    make.restype = ctypes.py_object
    make.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.py_object, ctypes.c_void_p)
    return make(definition, owner, module, None)


def supported() -> bool:
    """Say whether this interpreter lays functions out as this module expects."""
    return (
        sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not hasattr(sys, "gettotalrefcount")  # debug builds put other things before the fields
        and BuiltinFunctionType.__basicsize__ == _SIZE_OF_A_FUNCTION
    )


class Redirection:
    """One C function and the Python callable that runs in its place while `install`ed.

    `replacement(original)` returns that callable; `original` is a twin of the function that is never redirected.

    Raises:
        WorldError: the function's calling convention cannot be redirected on this interpreter.

    """

    __slots__ = ("_after", "_before", "_definition", "_function", "_keep", "installed", "original")

    def __init__(
        self,
        function: Callable[..., Any],
        replacement: Callable[[Callable[..., Any]], Callable[..., Any]],
    ) -> None:
        if not supported() or type(function) is not BuiltinFunctionType:
            raise WorldError(f"clocks need CPython's usual builtins, and {function!r} is not one")
        self._function = function
        self._before = _Binding.from_buffer_copy(_Binding.from_address(id(function) + _BINDING_AT))
        real = _MethodDef.from_address(self._before.definition)
        call = _CALLS.get(real.flags & ~_METH_CLASS)
        if call is None:
            raise WorldError(f"{function!r} has a calling convention ({real.flags:#x}) that cannot be redirected")
        self.original: Any = _new_function(self._before.definition, function.__self__, function.__module__)
        run = replacement(self.original)
        self._definition = _MethodDef(real.name, _address(call), real.flags, real.doc)
        self._after = _Binding(ctypes.addressof(self._definition), id(run))
        # One reference more than we hold, for ever: the garbage collector counts the one in the function object too.
        self._keep = run
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(run))
        self.installed = False
        _ALIVE.append(self)

    def install(self) -> None:
        """Route every holder of the function to the replacement."""
        self._put(self._after)
        self.installed = True

    def restore(self) -> None:
        """Put the function back exactly as it was."""
        self._put(self._before)
        self.installed = False

    def _put(self, binding: _Binding) -> None:
        _copy(id(self._function) + _BINDING_AT, ctypes.addressof(binding), ctypes.sizeof(binding))


_ALIVE: list[Redirection] = []
