DEBUG = False
LEVELS: dict[str, int] = {}
