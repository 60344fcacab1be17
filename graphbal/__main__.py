"""``python -m graphbal``: the command line."""

from graphbal.cli import main

main()
