"""Values, failures and events to bytes and back."""

from perdure.serialization.calls import CallSchema, EncodedCall
from perdure.serialization.codecs import Codec, Compression, Encryption
from perdure.serialization.converters import Converter
from perdure.serialization.events import (
    decode_events,
    decode_pending,
    encode_events,
    encode_pending,
    event_from_plain,
    event_name,
    event_to_plain,
)
from perdure.serialization.failures import to_exception, to_failure
from perdure.serialization.payloads import DEFAULT_LIMIT, Payloads

__all__ = [
    "Payloads",
    "CallSchema",
    "EncodedCall",
    "DEFAULT_LIMIT",
    "Converter",
    "Codec",
    "Compression",
    "Encryption",
    "to_failure",
    "to_exception",
    "encode_events",
    "decode_events",
    "encode_pending",
    "decode_pending",
    "event_name",
    "event_to_plain",
    "event_from_plain",
]
