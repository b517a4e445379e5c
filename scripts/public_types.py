"""Check that everything a user can get from `import perdure` is fully typed, as `pyright --verifytypes` understands it.

pyright counts every module without a leading underscore as public; here those are the names that `perdure` exports.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

EXPORTS = Path("src/perdure/__init__.py")


def exported() -> set[str]:
    """The full names of what `perdure` exports, as in perdure.worker.worker.Worker."""
    for node in ast.parse(EXPORTS.read_text()).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "_NAMES":
            assert node.value is not None
            table: dict[str, tuple[str, ...]] = ast.literal_eval(node.value)
            return {f"perdure.{module}.{name}" for module, names in table.items() for name in names}
    raise SystemExit(f"{EXPORTS} has no _NAMES")


def is_public(name: str, names: set[str]) -> bool:
    """Whether it is exported, or a part of what is."""
    return any(name == each or name.startswith(f"{each}.") for each in names)


def main() -> int:
    """Print what isn't fully typed; 1 if there is anything."""
    command = ["pyright", "--verifytypes", "perdure", "--ignoreexternal", "--outputjson"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)
    names = exported()
    problems = [
        f"{symbol['name']}: {diagnostic['message']}"
        for symbol in report["typeCompleteness"]["symbols"]
        if not symbol["isTypeKnown"] and is_public(symbol["name"], names)
        for diagnostic in symbol["diagnostics"]
    ]
    print(*problems, sep="\n", end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
