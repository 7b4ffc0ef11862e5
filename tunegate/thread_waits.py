"""Threads that wait for each other sleep."""

import os


def sleep_while_waiting() -> None:
    """Have OpenMP's threads sleep while they wait, in what this process loads from now on.

    Else they spin, and where other programs use the cores each step waits for a thread that has none:
    SmolLM2-135M with 32 rows and two threads on two busy cores made 0.2 steps a second, and 1.6 with threads
    that sleep. OpenMP's libraries read it when they load; a value that the user has set stays.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
