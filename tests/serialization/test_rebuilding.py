"""Exceptions made of failures: which class, and that no code of it runs."""

import asyncio
import builtins
import subprocess
import sys
import traceback
import types
from typing import Any, ClassVar, Self

import pytest

from perdure import errors
from perdure.errors import ActivityError, ActivityTimeout, SubWorkflowError
from perdure.model.failure import Failure, plain_failure
from perdure.serialization import Encryption, Payloads, to_exception, to_failure

PAYLOADS = Payloads()


class Declined(Exception):
    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason, code)
        self.ran = True


class Outer:
    class Nested(ValueError):
        pass


class Watched(OSError):
    calls: ClassVar[list[str]] = []

    def __new__(cls, *args: object) -> Self:
        cls.calls.append("new")
        return super().__new__(cls, *args)

    def __init__(self, *args: object) -> None:
        self.calls.append("init")
        super().__init__(*args)

    def __setattr__(self, name: str, value: object) -> None:
        self.calls.append(name)


class Group(ExceptionGroup):
    pass


def failure(*types: str, message: str = "m", **more: object) -> Failure:
    return Failure(types=types, message=message, **more)  # type: ignore[arg-type]


def rebuilt(error: BaseException) -> Exception:
    return to_exception(to_failure(error, PAYLOADS), {}, ActivityError, PAYLOADS)


class TestTheClass:
    def test_is_the_original_where_its_module_is_loaded(self) -> None:
        error = rebuilt(Declined("no", 402))

        assert type(error) is Declined
        assert error.args == ("no", 402)
        assert not hasattr(error, "ran")

    def test_is_found_inside_of_another_class(self) -> None:
        assert type(rebuilt(Outer.Nested("x"))) is Outer.Nested

    def test_is_a_registered_one_by_its_name(self) -> None:
        error = to_exception(
            failure("shop.errors:Gone", "builtins:Exception"), {"shop.errors:Gone": Declined}, ActivityError
        )

        assert type(error) is Declined
        assert error.args == ("m",)

    def test_is_the_nearest_known_base(self) -> None:
        error = to_exception(failure("a:X", "b:Y", "builtins:KeyError", "builtins:LookupError"), {}, ActivityError)

        assert type(error) is KeyError

    def test_is_the_wrapper_where_only_roots_are_known(self) -> None:
        found = failure("a:X", "perdure.errors:PerdureError", "builtins:Exception")
        error = to_exception(found, {}, SubWorkflowError)

        assert type(error) is SubWorkflowError
        assert error.failure is found
        assert error.type == "X"
        assert error.is_type("a.X")
        assert str(error) == "m"

    def test_is_the_wrapper_for_a_bare_exception(self) -> None:
        assert type(rebuilt(Exception("x"))) is ActivityError

    @pytest.mark.parametrize(
        "name",
        [
            "asyncio.exceptions:CancelledError",
            "asyncio:CancelledError",
            "builtins:SystemExit",
            "builtins:KeyboardInterrupt",
            "builtins:GeneratorExit",
            "builtins:BaseException",
            "builtins:StopIteration",
            "builtins:StopAsyncIteration",
            "builtins:int",
            "builtins:print",
            "builtins:",
            "builtins",
            ":",
            "",
            "os:path.join",
            "sys:modules",
            "builtins:ValueError.__mro__",
            "builtins:object.__subclasses__",
        ],
    )
    def test_is_never_one_that_would_stop_more_than_this_or_is_no_exception(self, name: Any) -> None:
        assert type(to_exception(failure(name), {}, ActivityError)) is ActivityError
        assert type(to_exception(failure(name), {name: int}, ActivityError)) is ActivityError  # type: ignore[dict-item]

    def test_is_one_of_perdures_own_with_its_failure(self) -> None:
        found = plain_failure("ActivityTimeout", "30 s")
        error = to_exception(found, {}, ActivityError)

        assert type(error) is ActivityTimeout
        assert error.failure is found

    def test_of_every_builtin_exception_can_be_built(self) -> None:
        kinds = [kind for kind in vars(builtins).values() if isinstance(kind, type) and issubclass(kind, Exception)]
        for kind in kinds:
            error = to_exception(failure(f"builtins:{kind.__name__}"), {}, ActivityError)
            assert isinstance(error, kind | ActivityError)
            traceback.format_exception(error)

    def test_of_every_error_of_perdure_can_be_built(self) -> None:
        for kind in vars(errors).values():
            if isinstance(kind, type) and issubclass(kind, Exception):
                traceback.format_exception(to_exception(plain_failure(kind.__name__, "m"), {}, ActivityError))


class TestNothingRuns:
    def test_of_the_class(self) -> None:
        Watched.calls.clear()
        found = failure(
            f"{__name__}:Watched", arguments=b'[2,"gone"]', traceback="tb", cause=failure("builtins:KeyError")
        )

        error = to_exception(found, {}, ActivityError)

        assert isinstance(error, Watched)
        assert Watched.calls == []
        assert (error.errno, error.strerror, error.args) == (2, "gone", (2, "gone"))

    def test_no_module_is_imported(self) -> None:
        code = (
            "import sys\n"
            "from perdure.errors import ActivityError\n"
            "from perdure.model.failure import Failure\n"
            "from perdure.serialization import to_exception\n"
            "e = to_exception(Failure(types=('wsgiref.validate:WSGIWarning', 'colorsys:X'), message='m'), {}, ActivityError)\n"
            "assert type(e) is ActivityError\n"
            "assert 'wsgiref' not in sys.modules and 'colorsys' not in sys.modules"
        )

        subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})

    def test_no_attribute_hook_of_a_module_is_asked(self, monkeypatch: Any) -> None:
        asked: list[str] = []
        module = types.ModuleType("hooked")
        module.__getattr__ = asked.append  # type: ignore[method-assign]
        monkeypatch.setitem(sys.modules, "hooked", module)

        to_exception(failure("hooked:Thing"), {}, ActivityError)

        assert asked == []

    def test_no_lazy_module_is_loaded(self, monkeypatch: Any) -> None:
        class Lazy(types.ModuleType):
            def __getattribute__(self, name: str) -> object:
                raise AssertionError(name)

        monkeypatch.setitem(sys.modules, "lazy", Lazy("lazy"))

        assert type(to_exception(failure("lazy:Thing"), {}, ActivityError)) is ActivityError


class TestWhatIsRestored:
    def test_the_remote_traceback_is_a_note(self) -> None:
        def remote_function() -> None:
            raise Declined("no", 1)

        try:
            remote_function()
        except Declined as error:
            again = rebuilt(error)

        assert "remote_function" in again.__notes__[0]
        assert again.__notes__[0].startswith("Remote traceback:\n")

    def test_the_chain_of_causes(self) -> None:
        first = Declined("no", 1)
        first.__cause__ = KeyError("k")

        again = rebuilt(first)

        assert type(again.__cause__) is KeyError
        assert again.__cause__.args == ("k",)

    def test_causes_of_unknown_types_are_wrapped_too(self) -> None:
        again = to_exception(failure("builtins:ValueError", cause=failure("a:X", message="inner")), {}, ActivityError)

        assert type(again) is ValueError
        assert isinstance(again.__cause__, ActivityError)
        assert again.__cause__.type == "X"

    def test_arguments_with_codecs_need_the_payloads(self) -> None:
        payloads = Payloads(codecs=[Encryption({"k": b"k" * 16}, "k")])
        found = to_failure(Declined("no", 402), payloads)

        assert to_exception(found, {}, ActivityError, payloads).args == ("no", 402)
        assert to_exception(found, {}, ActivityError).args == ("('no', 402)",)

    def test_junk_in_the_place_of_arguments_is_the_message_alone(self) -> None:
        for junk in (b"{", b"5", b"", b"\xff"):
            assert to_exception(failure("builtins:ValueError", arguments=junk), {}, ActivityError).args == ("m",)

    def test_an_os_error_has_its_number(self) -> None:
        again = rebuilt(FileNotFoundError(2, "No such file"))

        assert type(again) is FileNotFoundError
        assert again.errno == 2

    def test_a_message_stands_for_arguments_that_are_not_known(self) -> None:
        assert str(rebuilt(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"))) is not None
        assert str(rebuilt(ValueError((1, 2)))) == "(1, 2)"


class TestGroups:
    def test_are_groups_again(self) -> None:
        again = rebuilt(ExceptionGroup("two", [ValueError("a"), Declined("no", 1)]))

        assert isinstance(again, ExceptionGroup)
        assert again.message == "two"
        assert [type(part) for part in again.exceptions] == [ValueError, Declined]

    def test_of_a_class_of_their_own_keep_it(self) -> None:
        assert type(rebuilt(Group("g", [ValueError("a")]))) is Group

    def test_with_cancellations_in_them_hold_wrappers(self) -> None:
        again = rebuilt(BaseExceptionGroup("g", [asyncio.CancelledError(), ValueError("a")]))

        assert isinstance(again, ExceptionGroup)
        assert [type(part) for part in again.exceptions] == [ActivityError, ValueError]

    def test_without_parts_are_wrapped(self) -> None:
        assert type(to_exception(failure("builtins:ExceptionGroup"), {}, ActivityError)) is ActivityError


def test_a_failure_survives_several_levels() -> None:
    first = to_failure(Declined("no", 402), PAYLOADS)
    unknown = Failure(types=("gone:Declined", "builtins:Exception"), message=first.message, permanent=True)

    in_child = to_exception(unknown, {}, ActivityError)
    in_parent = to_exception(to_failure(in_child, PAYLOADS), {}, SubWorkflowError)

    assert isinstance(in_parent, SubWorkflowError)
    assert in_parent.type == "Declined"
    assert in_parent.failure is not None
    assert in_parent.failure.permanent


def test_a_base_that_was_built_crosses_again_under_its_original_name() -> None:
    unknown = Failure(types=("gone:Declined", "builtins:ValueError"), message="no", permanent=True)

    in_child = to_exception(unknown, {}, ActivityError)
    again = to_failure(in_child, PAYLOADS)

    assert type(in_child) is ValueError
    assert again.types == unknown.types
    assert again.permanent


def test_a_very_deep_failure_is_built_as_far_as_it_is_sensible() -> None:
    deep = failure("builtins:ValueError")
    for _ in range(400):
        deep = failure("builtins:ValueError", cause=deep)

    assert isinstance(to_exception(deep, {}, ActivityError), ValueError)
