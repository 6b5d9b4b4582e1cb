"""A context variable with a value inside a block. Every request enters several such blocks."""

from contextvars import ContextVar, Token
from typing import Any, Generic, TypeVar

Value = TypeVar("Value")


class Bound(Generic[Value]):
    """Sets *variable* to *value* inside the block, and back at its end. Each object serves one block.

    A class, as a generator of `contextlib.contextmanager` costs several times as much.
    """

    __slots__ = ("_token", "_value", "_variable")

    def __init__(self, variable: ContextVar[Value], value: Value) -> None:
        self._variable, self._value = variable, value
        self._token: Token[Value] | None = None

    def __enter__(self) -> None:
        self._token = self._variable.set(self._value)

    def __exit__(self, *_: Any) -> None:
        if self._token:
            self._variable.reset(self._token)
