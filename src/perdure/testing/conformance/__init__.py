"""What every store promises, as tests that any store can be put under.

A store plugs in with a fixture in a file of its own::

    import pytest
    from perdure.testing.conformance import ConformanceSuite, ManualClock, StoreUnderTest


    class TestMyStore(ConformanceSuite):
        @pytest.fixture
        async def store(self, tmp_path):
            backend = MyBackend(tmp_path)
            await backend.open()
            yield StoreUnderTest(backend, advance=asyncio.sleep, unit_seconds=0.1, is_clock_manual=False)
            await backend.close()

Each test gets a new, empty store. The numbers in the tests' docstrings (B2, W9, …) are those of the rules that they prove.
pytest with pytest-asyncio runs them.
"""

from __future__ import annotations

import pkgutil

import pytest

# The asserts of the suite explain themselves like those of a test file; before the files are imported.
pytest.register_assert_rewrite(*(f"{__name__}.{topic.name}" for topic in pkgutil.iter_modules(__path__)))

from perdure.testing.conformance.playing import ManualClock, PlayedWorker, StoreUnderTest  # noqa: E402
from perdure.testing.conformance.suite import ConformanceSuite  # noqa: E402

__all__ = ["ConformanceSuite", "StoreUnderTest", "PlayedWorker", "ManualClock"]
