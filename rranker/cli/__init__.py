"""The command line `rranker`: docs/cli.md."""
