from tests.engine.conftest import _closed, evicting

__all__ = ["_closed", "evicting"]
