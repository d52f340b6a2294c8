"""The `taglane` command: parse, call, render."""
