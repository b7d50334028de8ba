"""The `obc` command: what operators and data engineers do with the public API."""
