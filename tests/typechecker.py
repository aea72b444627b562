"""How annotations are executed in the tests: by beartype, and by jaxtyping where they have shapes.

An int will do where a float is asked for (PEP 484's tower). jaxtyping's own decorator, which its import hook puts on
every function, binds each call to the signature and checks its arguments twice: more than half of the tests' time went
there. `checked` takes its place. It looks at every argument and value once, and opens one of jaxtyping's contexts, in
which a letter is one number, where there are letters.

Most calls are like an earlier one: the same function, arguments of the same types, tensors of the same shapes and
dtypes. What was found right then is right now, and is not looked at again: `signatures.py`.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.door import die_if_unbearable

from signatures import NOT_KNOWN, Key, choose_key

CONF = BeartypeConf(is_pep484_tower=True)
check = beartype(conf=CONF)
original = jaxtyping.jaxtyped


def checked(what: Any, *, typechecker: Callable[..., Any]) -> Any:
    """A function whose calls are checked; a dataclass whose making is."""
    if inspect.isclass(what):
        if dataclasses.is_dataclass(what) and "__init__" in vars(what) and not hasattr(what.__init__, "checked"):
            what.__init__ = made(what.__init__)
        return what
    if inspect.isgeneratorfunction(what) or not inspect.isfunction(what):
        return original(what, typechecker=typechecker)
    written, hints = what.__annotations__, hints_of(what)
    what.__annotations__ = hints
    call = check(what)
    what.__annotations__ = call.__annotations__ = written
    if call is what:
        return what
    if any(map(has_shape, hints.values())):
        call = in_context(call)
    if (key := choose_key(hints.values())) is not None:
        call = once(what, call, hints, key)
    call.checked = True
    return call


def once(what: Callable[..., Any], call: Callable[..., Any], hints: dict[str, Any], key: Key) -> Callable[..., Any]:
    """A function that is checked where no earlier call was like this one; `call` checks each."""
    seen: dict[Any, set[Any]] = {}  # the keys of right calls, and of what they returned
    signature = inspect.signature(what)

    @functools.wraps(call)
    def inside(*args: Any, **kwargs: Any) -> Any:
        try:
            given = (key(args), tuple(kwargs), key(kwargs.values())) if kwargs else key(args)
            values = seen.get(given)
        except NOT_KNOWN:
            return call(*args, **kwargs)
        if values is None:
            value = call(*args, **kwargs)
            values = seen.setdefault(given, set())
            is_checked = True
        else:
            value = what(*args, **kwargs)
            is_checked = False
        try:
            one = key((value,))
            if one in values:
                return value
        except NOT_KNOWN:
            one = None
        if not is_checked:
            check_again(signature.bind(*args, **kwargs), hints, value)
        if one is not None:
            values.add(one)
        return value

    return inside


def check_again(bound: inspect.BoundArguments, hints: dict[str, Any], value: Any) -> None:
    """Check arguments and the value that they led to."""
    with original("context"):
        for name, hint in hints.items():
            if name == "return":
                die_if_unbearable(value, hint, conf=CONF)
            elif name in bound.arguments:
                for one in values_of(bound.signature.parameters[name].kind, bound.arguments[name]):
                    die_if_unbearable(one, hint, conf=CONF)


def values_of(kind: Any, given: Any) -> Iterable[Any]:
    """What a parameter of this kind was given."""
    if kind is inspect.Parameter.VAR_POSITIONAL:
        return given
    return given.values() if kind is inspect.Parameter.VAR_KEYWORD else [given]


def made(init: Callable[..., None]) -> Callable[..., None]:
    """A dataclass's making, after which its fields are checked: what it refuses itself, it says in its own words."""
    hints = {name: hint for name, hint in hints_of(init).items() if name != "return"}
    key, seen = choose_key(hints.values()), set()

    @functools.wraps(init)
    def inside(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        try:
            known = key(tuple(getattr(self, name) for name in hints)) if key else None
            if known in seen:
                return
        except NOT_KNOWN:
            known = None
        with original("context"):
            for name, hint in hints.items():
                die_if_unbearable(getattr(self, name), hint, conf=CONF)
        if known is not None:
            seen.add(known)

    inside.checked = True
    return inside


def in_context(call: Callable[..., Any]) -> Callable[..., Any]:
    """A call whose letters are its own."""

    @functools.wraps(call)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with original("context"):
            return call(*args, **kwargs)

    return inside


def hints_of(function: Any) -> dict[str, Any]:
    """What its annotations mean."""
    return {name: resolved(hint, function.__globals__) for name, hint in function.__annotations__.items()}


def resolved(hint: Any, names: dict[str, Any]) -> Any:
    """What a hint in quotes means; anything, where that is not known yet."""

    def hinted(value: Any) -> None: ...

    hinted.__annotations__ = {"value": hint}
    try:
        return get_type_hints(hinted, names, include_extras=True)["value"]
    except (NameError, AttributeError):  # of a module that only type checkers import, or know so well
        return Any


def has_shape(hint: Any) -> bool:
    """Whether a hint holds letters, however deep; of what may stand for such a hint, that it does."""
    if isinstance(hint, list | tuple):
        return any(map(has_shape, hint))
    if parts := get_args(hint):
        return has_shape(parts)
    if inspect.isclass(hint):
        return issubclass(hint, jaxtyping.AbstractArray)
    return isinstance(hint, TypeVar)


def install(package: str) -> None:
    """From now on, modules of the package are imported with their annotations executed."""
    jaxtyping.jaxtyped = lambda what=None, *, typechecker: (
        functools.partial(checked, typechecker=typechecker) if what is None else checked(what, typechecker=typechecker)
    )
    jaxtyping.install_import_hook(package, "typechecker.check")
