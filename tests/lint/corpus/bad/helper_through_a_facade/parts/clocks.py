from datetime import datetime as d


def now() -> str:
    return d.now().isoformat()  # expect: PRD101
