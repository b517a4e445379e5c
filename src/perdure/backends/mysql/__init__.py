"""A store in a MySQL or MariaDB database, for many machines."""

from __future__ import annotations

from perdure.backends.mysql.network import MysqlBackend
from perdure.backends.mysql.options import MysqlOptions

__all__ = ["MysqlBackend", "MysqlOptions"]
