"""Compression and encryption, side by side with plain payloads."""

import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import ConfigurationError, DecodeError
from perdure.serialization import Compression, Encryption, Payloads
from perdure.serialization.codecs import CodecChain

OLD, NEW = b"o" * 32, b"n" * 16


class Reversing:
    name = "reversing"

    def encode(self, data: bytes, /) -> bytes:
        return data[::-1]

    def decode(self, data: bytes, /) -> bytes:
        return data[::-1]


@given(st.text() | st.lists(st.integers()))
def test_a_payload_comes_back_through_all_codecs(value: Any) -> None:
    payloads = Payloads(codecs=[Compression(threshold_bytes=20), Encryption({"k": OLD}, "k"), Reversing()])

    assert payloads.decode(payloads.encode(value)) == value


def test_without_a_codec_a_payload_is_json_byte_for_byte() -> None:
    assert Payloads().encode({"a": 1}) == b'{"a":1}'
    assert Payloads(codecs=[Compression()]).encode({"a": 1}) == b'{"a":1}'


def test_plain_and_coded_payloads_stand_in_one_history() -> None:
    plain, coded = Payloads(), Payloads(codecs=[Reversing()])

    assert coded.decode(plain.encode("x")) == "x"
    assert coded.decode(coded.encode("x")) == "x"


def test_a_codec_that_is_not_configured_is_named() -> None:
    payload = Payloads(codecs=[Reversing()]).encode("x")

    with pytest.raises(DecodeError, match="codec 'reversing', which isn't configured"):
        Payloads().decode(payload)


def test_the_digest_is_taken_before_codecs() -> None:
    async def function(a: str) -> None: ...

    coded = Payloads(codecs=[Encryption({"k": OLD}, "k")])
    encoded = coded.call(function).encode(("x",), {})

    assert encoded.digest == Payloads().call(function).encode(("x",), {}).digest
    assert coded.digest(encoded.payload) == encoded.digest
    assert coded.call(function).digest_with_todays_types(encoded.payload) == encoded.digest
    assert encoded.payload != coded.call(function).encode(("x",), {}).payload


@pytest.mark.parametrize(
    "payload", [b"\xc1", b"\xc1zlib", b"\xc1zlib\0junk", b"\xc1\0x", b"\xc1a,b\0x", b"\xc1\xff\0x"]
)
def test_a_broken_envelope_is_a_decode_error(payload: Any) -> None:
    with pytest.raises(DecodeError):
        Payloads(codecs=[Compression()]).decode(payload)


def test_names_are_checked() -> None:
    class Bad(Reversing):
        name = "Bad,Name"

    with pytest.raises(ConfigurationError, match="codec name"):
        CodecChain([Bad()])
    with pytest.raises(ConfigurationError, match="same name"):
        CodecChain([Reversing(), Reversing()])


class TestCompression:
    def test_leaves_what_it_would_not_make_smaller(self) -> None:
        data = bytes(range(256)) * 1

        assert Compression(threshold_bytes=1).encode(data) is data

    def test_leaves_what_is_under_its_threshold(self) -> None:
        data = b"a" * 1023

        assert Compression().encode(data) is data
        assert len(Compression().encode(data + b"a")) < 100

    def test_refuses_what_unpacks_to_more_than_it_may(self) -> None:
        bomb = zlib.compress(b"\0" * 100_000)

        with pytest.raises(ValueError, match="too much"):
            Compression(longest_bytes=1000).decode(bomb)

    def test_takes_what_unpacks_to_exactly_that(self) -> None:
        assert len(Compression(longest_bytes=1000).decode(zlib.compress(b"\0" * 1000))) == 1000


class TestEncryption:
    def test_a_rotated_key_is_still_read_and_the_current_one_written(self) -> None:
        before = Payloads(codecs=[Encryption({"2023": OLD}, "2023")])
        after = Payloads(codecs=[Encryption({"2023": OLD, "2024": NEW}, "2024")])

        assert after.decode(before.encode("secret")) == "secret"
        assert b"2024" in after.encode("secret")
        assert b"secret" not in after.encode("secret")

    def test_a_key_that_is_gone_is_named(self) -> None:
        payload = Payloads(codecs=[Encryption({"2023": OLD}, "2023")]).encode("x")

        with pytest.raises(DecodeError, match="key '2023' isn't configured"):
            Payloads(codecs=[Encryption({"2024": NEW}, "2024")]).decode(payload)

    @pytest.mark.parametrize("position", [-1, -20, 9, 12])
    def test_changed_data_is_refused(self, position: Any) -> None:
        payloads = Payloads(codecs=[Encryption({"k": OLD}, "k")])
        payload = bytearray(payloads.encode("a rather long text"))
        payload[position] ^= 1

        with pytest.raises(DecodeError):
            payloads.decode(bytes(payload))

    def test_wrong_keys_are_configuration_errors(self) -> None:
        with pytest.raises(ConfigurationError, match="isn't among the keys"):
            Encryption({"a": OLD}, "b")
        with pytest.raises(ConfigurationError, match="16, 24 or 32 bytes, not 5"):
            Encryption({"a": b"short"}, "a")
        with pytest.raises(ConfigurationError, match="1 to 255"):
            Encryption({"": OLD}, "")

    def test_without_the_package_the_error_names_the_extra(self, monkeypatch: Any) -> None:
        monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)

        with pytest.raises(ConfigurationError, match=r"perdure\[crypto\]"):
            Encryption({"a": OLD}, "a")
