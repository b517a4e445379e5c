"""The reference: every public name is in it, with its signature as it stands in the source, where each type is a link to its entry.

Left to itself, autodoc evaluates types: aliases are spelt out then, and a name that is loaded from `perdure` is shown, and looked
for, in the module that it comes from.
"""

from __future__ import annotations

import builtins
import inspect
from importlib import import_module
from typing import Any

from docutils.nodes import Element, document
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.autodoc._dynamic import _signatures
from sphinx.pycode import ModuleAnalyzer
from sphinx.util import logging
from sphinx.util.inspect import stringify_signature

PACKAGES = ("perdure", "perdure.diagnostics", "perdure.otel", "perdure.testing", "perdure.testing.conformance")
PUBLIC = {name: f"{package}.{name}" for package in PACKAGES for name in import_module(package).__all__}

MADE_BY_USERS = {
    "App", "Channel", "Client", "Compression", "ContextVarPropagator", "Encryption", "Limits", "ManualClock", "OpenTelemetry",
    "Orchestrator", "Retention", "Replayer", "RetryPolicy", "Schedule", "Signal", "StoreUnderTest", "SyncClient", "SyncOrchestrator", "Worker",
    "WorkflowTester",
}  # fmt: skip
"""Of other classes perdure makes the objects: their constructors aren't shown."""

log = logging.getLogger(__name__)


def written_signature(
    app: Sphinx, what: str, name: str, described: Any, *given: object
) -> tuple[str, str | None] | None:
    _options, signature, _returns = given
    if what == "exception" or (what == "class" and name.rpartition(".")[2] not in MADE_BY_USERS):
        return ("", None) if signature else None
    if what not in {"class", "function", "method"}:
        return None
    written = inspect.signature(described)
    parameters = [each for each in written.parameters.values() if each.name != "self"]
    if not all(isinstance(each.annotation, str) for each in parameters):
        return None
    arguments = stringify_signature(written.replace(parameters=parameters), show_return_annotation=False)
    return arguments, None if what == "class" else written.return_annotation


def is_member_left_out(
    app: Sphinx, what: str, name: str, member: object, is_left_out: bool, options: object
) -> bool | None:
    """Fields of data need no docstring to be shown; methods do."""
    return True if inspect.isroutine(member) and not member.__doc__ else None


def find_docstring(app: Sphinx, what: str, name: str, described: object, options: object, lines: list[str]) -> None:
    if what == "data":  # it stands in the module that the constant is loaded from; what came here is its type's
        package, _, constant = name.rpartition(".")
        docstrings = ModuleAnalyzer.for_module(import_module(package)._HOMES[constant]).find_attr_docs()
        lines[:] = docstrings.get(("", constant), [])
    if name in PUBLIC.values() and not any(lines):
        log.warning("%s has no docstring", name)


def name_types_in_full(app: Sphinx, page: document) -> None:
    for reference in list(page.findall(pending_xref)):
        if (reference["refdomain"], reference["reftype"]) != ("py", "class"):
            continue
        reference.attributes.pop("refspecific", None)  # else `list` is a link to Client.list
        target = reference["reftarget"]
        if hasattr(builtins, target):
            reference.replace_self(reference.children)
        else:
            reference["reftarget"] = PUBLIC.get(target, target)


def find_type(app: Sphinx, env: BuildEnvironment, reference: pending_xref, shown: Element) -> Element | None:
    """A type that isn't public is a link if it has an entry all the same, or else text."""
    if reference["refdomain"] != "py":
        return None
    python = env.domains.python_domain
    types = [
        name
        for name, entry in python.objects.items()
        if entry.objtype == "class" and name.endswith(f".{reference['reftarget']}")
    ]
    if len(types) != 1:
        return shown
    return python.resolve_xref(env, reference["refdoc"], app.builder, "class", types[0], reference, shown)


def check_that_all_are_there(app: Sphinx, env: BuildEnvironment) -> None:
    for name in PUBLIC.values():
        if name not in env.domains.python_domain.objects:
            log.warning("docs/reference has no %s", name)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", written_signature)
    # Those of overloads, for which there is no event:
    _signatures.evaluate_signature = lambda signature, *_: signature  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", find_docstring)
    app.connect("autodoc-skip-member", is_member_left_out)
    app.connect("doctree-read", name_types_in_full)
    app.connect("missing-reference", find_type)
    app.connect("env-check-consistency", check_that_all_are_there)
    return {"parallel_read_safe": True}
