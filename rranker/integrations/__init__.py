"""Other libraries' rankers, each in a file of its own, each with an extra of its name: docs/adapters.md."""
