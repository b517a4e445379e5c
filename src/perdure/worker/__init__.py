"""The worker: claims tasks from a store, runs workflow code and activities, and keeps the leases on them."""

from perdure.worker.worker import Worker

__all__ = ["Worker"]
