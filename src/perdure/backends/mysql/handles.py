"""mysql:// and mariadb:// URLs, and pools."""

from __future__ import annotations

import re
from typing import Any

from perdure.backends.mysql.address import address_of, address_of_pool
from perdure.backends.mysql.dialect import MARIADB, MYSQL
from perdure.backends.mysql.network import MysqlBackend
from perdure.backends.mysql.options import MysqlOptions
from perdure.backends.options import names_of, take_options
from perdure.backends.sql import schema
from perdure.backends.urls import StoreUrl
from perdure.errors import ConfigurationError

_DIALECTS = {"mysql": MYSQL, "mariadb": MARIADB}
_TABLE = re.compile(r"\bperdure_")


def backend_of(url: StoreUrl, given: dict[str, Any]) -> MysqlBackend:
    given = {name.replace("-", "_"): value for name, value in given.items()}  # ssl-mode, as MySQL's own client has it
    pool = given.pop("pool", None)
    options = take_options(MysqlOptions, given, url.shown)
    if pool is None:
        address = address_of(url, given)
    elif given or url.netloc or url.path:
        raise ConfigurationError(
            f"{url.shown!r}: a pool knows where to connect to, and how: say {url.scheme}:// and the pool alone, with options of "
            f"the store ({', '.join(names_of(MysqlOptions))})"
        )
    else:
        address = address_of_pool(pool)
    return MysqlBackend(address, options, scheme=url.scheme)


def script_of(url: StoreUrl, given: dict[str, Any], found: int) -> str:
    """For the clients mysql and mariadb. Statements that make tables commit by themselves."""
    options = take_options(MysqlOptions, given, url.shown)
    return _TABLE.sub(options.prefix, schema.as_text(_DIALECTS[url.scheme], found))
