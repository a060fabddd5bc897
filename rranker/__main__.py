"""`python -m rranker` is the command `rranker`."""

from rranker.cli.main import main

if __name__ == "__main__":
    main()
