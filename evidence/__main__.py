"""`python -m evidence`: the same as the console script `evidence`; nothing else lives here."""

from evidence.cli import main

if __name__ == "__main__":
    main()
