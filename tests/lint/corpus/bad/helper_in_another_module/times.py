import time


def stamp() -> str:
    return prefix() + "!"


def prefix() -> str:
    return f"{time.time()}"  # expect: PRD101


def never_called() -> float:
    return time.time()
