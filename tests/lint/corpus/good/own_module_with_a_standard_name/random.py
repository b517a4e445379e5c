def choice(names: list[str]) -> str:
    return names[0]
