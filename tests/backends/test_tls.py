"""Servers that speak TLS, with a password of special characters: the certificate is looked at, and nothing else is let through."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import os
import re
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncmy
import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from perdure import App, Context, Orchestrator, connect, workflow
from perdure.errors import StoreError, StoreUsageError
from scripts.servers import SERVERS, Services, free_ports, processes
from tests.stores import service_url

_PASSWORD = "p@ss/w:r?d#[%]&= ü"


@workflow
async def hello(ctx: Context) -> str:
    return "hello"


APP = App(workflows=[hello])


@dataclass(frozen=True)
class Secured:
    """A server that speaks TLS, and the certificate of who vouches for it."""

    name: str
    port: int
    certificate: Path

    def url(self, certificate: Path) -> str:
        user = "" if self.name == "redis" else "perdure"
        place = f"{user}:{quote(_PASSWORD, safe='')}@127.0.0.1:{self.port}"
        return {
            "postgresql": f"postgresql://{place}/perdure?sslmode=verify-full&sslrootcert={certificate}",
            "mariadb": f"mariadb://{place}/perdure?ssl_mode=verify_identity&ssl_ca={certificate}",
            "mysql": f"mysql://{place}/perdure?ssl_mode=verify_identity&ssl_ca={certificate}",
            "redis": f"rediss://{place}?ssl_ca_certs={certificate}",
        }[self.name]


@pytest.fixture(scope="module", params=["postgresql", "mariadb", "mysql", "redis"])
def secured(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    name = request.param
    service_url(name)
    services, folder = Services.in_new_folder(), tmp_path_factory.mktemp("certificates")
    try:
        url = services.start(name)
        node, server = services.nodes(name)[0], SERVERS[name]
        certificate, key = (node.data / "server.crt", node.data / "server.key")
        for path, content in zip((certificate, key), _certificate(), strict=True):
            path.write_bytes(content)
            path.chmod(0o600)
            like_others = node.data.stat()
            os.chown(path, like_others.st_uid, like_others.st_gid)
        (folder / "ca.pem").write_bytes(certificate.read_bytes())
        _set_password(url)
        if name == "postgresql":
            doors = node.data / "pg_hba.conf"
            doors.write_text(re.sub(r"^host ", "hostssl ", doors.read_text(), flags=re.MULTILINE))
        port = free_ports(1)[0] if name == "redis" else node.port
        speaks_tls = {
            "postgresql": ["--ssl=on"],
            "mariadb": [f"--ssl-cert={certificate}", f"--ssl-key={key}", "--require-secure-transport=on"],
            "mysql": [f"--ssl-cert={certificate}", f"--ssl-key={key}", "--require-secure-transport=on"],
            "redis": [
                *("--tls-port", str(port), "--tls-auth-clients", "no", "--requirepass", _PASSWORD),
                *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)),
            ],
        }[name]  # fmt: skip
        processes.end([node], signal.SIGTERM)
        processes.spawn(node, [*(word for word in server.command(node) if "init-file" not in word), *speaks_tls])
        processes.wait_until_ready(node, lambda node: _listens(port) if name == "redis" else server.is_ready(node))
        yield Secured(name, port, folder / "ca.pem")
    finally:
        services.stop([name])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _certificate() -> tuple[bytes, bytes]:
    """One that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "perdure's tests")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _set_password(url: str) -> None:
    parts = urlsplit(url)

    async def of_postgresql() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(f"alter role perdure password '{_PASSWORD}'")
        await connection.close()

    async def of_mysql() -> None:
        place = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
        async with asyncmy.connect(**place) as connection, connection.cursor() as cursor:
            change = "password(%s)" if parts.scheme == "mariadb" else "%s"
            await cursor.execute(f"set password = {change}", (_PASSWORD,))

    if parts.scheme == "postgresql":
        asyncio.run(of_postgresql())
    elif parts.scheme != "redis":
        asyncio.run(of_mysql())


async def test_the_certificate_that_is_named_is_trusted(secured: Secured) -> None:
    async with Orchestrator(secured.url(secured.certificate), APP) as perdure:
        assert await perdure.run(hello) == "hello"


async def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured, tmp_path: Path) -> None:
    stranger = tmp_path / "other.pem"
    stranger.write_bytes(_certificate()[0])
    with pytest.raises(StoreUsageError, match="certificate that isn't trusted") as caught:
        await connect(secured.url(stranger)).open()
    assert "p@ss" not in str(caught.value)


async def test_a_server_that_wants_tls_serves_nobody_without(secured: Secured) -> None:
    url = secured.url(secured.certificate)
    without = url.partition("?")[0].replace("rediss:", "redis:")
    without += "?sslmode=disable" if secured.name == "postgresql" else ""
    with pytest.raises(StoreError):
        await connect(without).open()
