"""Models with their own program code, which is never run."""


def own_code_problem(error: BaseException) -> str | None:
    """What to say if a library refused to load a model because this needs the model's own code; else None.

    Args:
        error: The library's exception.
    """
    said = str(error)
    if "trust_remote_code" not in said and "custom code" not in said:
        return None
    return (
        "it needs its own program code (auto_map), and code of models is not run; save it as an architecture "
        "that transformers has"
    )
