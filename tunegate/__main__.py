"""``python -m tunegate`` is the ``tunegate`` command."""

from tunegate.command import main

main()
