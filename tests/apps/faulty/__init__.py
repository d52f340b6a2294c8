"""An application that writes down each start of each run, for tests that break things under it."""
