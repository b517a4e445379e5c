"""All topics of the suite as one class. A store that needs them apart can take the topics one by one."""

from __future__ import annotations

import pytest

from perdure.testing.conformance.administering import Administering
from perdure.testing.conformance.agreeing import Agreeing
from perdure.testing.conformance.appending import Appending
from perdure.testing.conformance.asking import Asking
from perdure.testing.conformance.attempting import Attempting
from perdure.testing.conformance.batching import Batching, Poison
from perdure.testing.conformance.checkpointing import Checkpointing
from perdure.testing.conformance.claiming import Claiming
from perdure.testing.conformance.continuing import Continuing
from perdure.testing.conformance.creating import Creating
from perdure.testing.conformance.expiring import Expiring, Pruning
from perdure.testing.conformance.first_steps import FirstSteps
from perdure.testing.conformance.forking import Forking
from perdure.testing.conformance.handing_back import HandingBack, LimitingQueues
from perdure.testing.conformance.handing_back_signalled import HandingBackSignalled
from perdure.testing.conformance.inspecting import Listing, Overlooking, Reading
from perdure.testing.conformance.keeping import KeepingBlobs, KeepingSettings, Removing
from perdure.testing.conformance.lapsing import Lapsing, TimingOut
from perdure.testing.conformance.moving import Moving, Sealing
from perdure.testing.conformance.opening import Opening
from perdure.testing.conformance.retiring import Retiring
from perdure.testing.conformance.sub_workflows import ClosingParents, Messaging, SubWorkflows
from perdure.testing.conformance.submitting import Submitting
from perdure.testing.conformance.suspecting import Suspecting
from perdure.testing.conformance.untaken_first_steps import UntakenFirstSteps
from perdure.testing.conformance.waiting import Threads, WaitingForTheEnd, WaitingForWork
from perdure.testing.conformance.weighing import Weighing


class ConformanceSuite(
    Creating,
    Appending,
    Claiming,
    Checkpointing,
    FirstSteps,
    UntakenFirstSteps,
    Forking,
    HandingBack,
    HandingBackSignalled,
    LimitingQueues,
    Attempting,
    Opening,
    Lapsing,
    Suspecting,
    TimingOut,
    Retiring,
    Administering,
    Continuing,
    SubWorkflows,
    ClosingParents,
    Messaging,
    Listing,
    Reading,
    Overlooking,
    Removing,
    Pruning,
    Expiring,
    KeepingBlobs,
    Weighing,
    KeepingSettings,
    Moving,
    Sealing,
    WaitingForWork,
    WaitingForTheEnd,
    Asking,
    Threads,
    Submitting,
    Batching,
    Poison,
    Agreeing,
):
    """Subclass it as `Test…` with a fixture `store` that gives a new, empty StoreUnderTest."""

    pytestmark = pytest.mark.asyncio


def _refuse_doubles() -> None:
    """Two topics with a test of one name would hide one of them."""
    seen: set[str] = set()
    for topic in ConformanceSuite.__bases__:
        names = {name for name in vars(topic) if name.startswith("test_")}
        doubles = seen & names
        assert not doubles, f"tests of one name in two topics: {doubles}"
        seen |= names


_refuse_doubles()
