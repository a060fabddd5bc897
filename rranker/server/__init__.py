"""The HTTP server, `rranker serve` (extra `serve`): docs/serving.md."""
