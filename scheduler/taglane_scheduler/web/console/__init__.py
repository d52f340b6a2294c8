"""The console's pages: each is a function from a desk and what was asked to a view; templates say it in HTML."""
